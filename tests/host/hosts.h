/*
 * Hosts of a test's making: each is a process of its own, so that it may be killed, filtered or
 * made process 1. In it `must` takes the place of cmocka's assertions.
 */
#ifndef HOSTS_H
#define HOSTS_H

#include "guest_process.h"
#include <errno.h>
#include <halo/halo.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define HOST_SECONDS 60
#define MS 1000000ll

#define must(what)                                                                      \
    do {                                                                                \
        if (!(what)) {                                                                  \
            fprintf(stderr, "%s:%d: %s, errno %d\n", __FILE__, __LINE__, #what, errno); \
            _exit(1);                                                                   \
        }                                                                               \
    } while (0)

/* Guest files, and a library with libhalo in it, in the directory that is a test's argument.
 */
extern char trouble[300], syscalls[300], plugin[300];
bool hosts_find_guests(int argc, char **argv);

/* Run it in a process of its own, which must end well, and soon. */
void in_host(void (*host)(void *argument), void *argument);

/* The same for each backend that there is; the argument is an enum halo_backend_choice. */
void on_every_backend(void (*host)(void *argument));

/* halo_open, with one argument for the guest. */
int open_guest(struct halo_sandbox **box, enum halo_backend_choice backend, const char *path,
               const char *mode);

/* The guest trouble, which must open. */
struct halo_sandbox *opened(enum halo_backend_choice backend, const char *mode);

void run_to_exit_7(enum halo_backend_choice backend);

/*
 * Inside a seccomp filter: from `first` to `last`, calls get the action; all others are allowed,
 * and with an argument those whose first argument is another.
 */
struct around {
    uint32_t first, last, action;
    uint32_t argument;
};

void filter_around(const struct around *around);

#endif
