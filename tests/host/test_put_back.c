/* Signals, masks, descriptors, limits: they are as they were. */
#define _GNU_SOURCE
#include "hosts.h"
#include <errno.h>
#include <fcntl.h>
#include <halo/inside.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static void ignore_signal(int signal)
{
    (void)signal;
}

static char before[65536], after[65536];

static void tidy_host(void *argument)
{
    const enum halo_backend_choice backend = *(enum halo_backend_choice *)argument;
    struct halo_sandbox *box;
    sigset_t set;
    int code;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    must(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    must(raise(SIGUSR1) == 0);
    must(signal(SIGPIPE, ignore_signal) != SIG_ERR && signal(SIGURG, ignore_signal) != SIG_ERR);
    process_describe(before, sizeof(before));
    run_to_exit_7(backend);
    box = opened(backend, "loop");
    must(halo_serve_begin(box, 30 * MS) == HALO_ETIMEDOUT);
    must(halo_run(box, 30 * MS, &code) == HALO_ETIMEDOUT);
    halo_close(box);
    must(open_guest(&box, backend, "/dev/null", "") == HALO_EFILE);
    halo_close(box);
    process_describe(after, sizeof(after));
    if (strcmp(before, after) != 0)
        fprintf(stderr, "before:\n%s\nafter:\n%s\n", before, after);
    must(strcmp(before, after) == 0);
}

static void host_02_everything_of_the_host_is_as_it_was_before(void **state)
{
    (void)state;
    on_every_backend(tidy_host);
}

static void host_without_standard_files(void *argument)
{
    const enum halo_backend_choice backend = *(enum halo_backend_choice *)argument;
    const int errors = fcntl(2, F_DUPFD_CLOEXEC, 20);
    struct halo_sandbox *box;
    int code = 0, error;

    for (int fd = 0; fd < 3; fd++)
        close(fd);
    error = open_guest(&box, backend, trouble, "exit-7");
    for (int fd = 0; fd < 3; fd++) {
        char path[64], link[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, link, sizeof(link) - 1) > 0) {
            dprintf(errors, "%d is %s\n", fd, link);
            _exit(1);
        }
    }
    if (error || halo_run(box, 20000 * MS, &code) || code != 7) {
        dprintf(errors, "%s\n", halo_errmsg(box));
        _exit(1);
    }
    halo_close(box);
}

/* While the host answers it: whether a standard descriptor has come to be. */
static void *inspector(void *at)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int high = fcntl(fd, F_DUPFD_CLOEXEC, 20);
    intptr_t found = 0;
    char byte;

    close(fd);
    if (connect(high, at, sizeof(struct sockaddr_un)) < 0 || read(high, &byte, 1) != 1)
        return (void *)1;
    for (int i = 0; i < 3; i++)
        found |= fcntl(i, F_GETFD) >= 0;
    close(high);
    return (void *)found;
}

/* The answer has the guest's memory, more than a socket takes at once: it is under way meanwhile.
 */
static void host_that_is_inspected(void *argument)
{
    const enum halo_backend_choice backend = *(enum halo_backend_choice *)argument;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct halo_sandbox *box = opened(backend, "loop");
    const int listener = fcntl(socket(AF_UNIX, SOCK_STREAM, 0), F_DUPFD_CLOEXEC, 20);
    const int errors = fcntl(2, F_DUPFD_CLOEXEC, 20), few = 8192;
    pthread_t thread;
    void *found;

    (void)snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "halo-test-%d", (int)getpid());
    must(bind(listener, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(listener, 1) == 0);
    must(setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &few, sizeof(few)) == 0);
    must(halo_inspect(box, listener, 0) == 0); /* nobody: it does not wait */
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    must(pthread_create(&thread, NULL, inspector, &at) == 0);
    while (halo_inspect(box, listener, HALO_DUMP_MEMORY) == 0)
        usleep(1000);
    must(pthread_join(thread, &found) == 0);
    if (found)
        dprintf(errors, "a standard descriptor was the inspector's\n");
    if (found || !(fcntl(listener, F_GETFL) & O_NONBLOCK))
        _exit(1);
    halo_close(box);
}

static void host_03_no_descriptor_of_an_inspection_is_a_standard_one(void **state)
{
    (void)state;
    on_every_backend(host_that_is_inspected);
}

/* What is left of the first thread's stack, as the kernel counts, is `bytes` here. */
static void leave_stack(uint64_t bytes)
{
    const uint64_t here = (uintptr_t)__builtin_frame_address(0), begin = getauxval(AT_EXECFN);
    struct rlimit limit;

    must(begin > here && getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = begin - here + bytes;
    must(setrlimit(RLIMIT_STACK, &limit) == 0);
}

static void host_with_little_stack(void *argument)
{
    const enum halo_backend_choice backend = *(enum halo_backend_choice *)argument;
    struct halo_sandbox *box;

    leave_stack(HALO_THREAD_STACK - 1024);
    must(open_guest(&box, backend, trouble, "exit-7") == HALO_EHOST);
    must(strstr(halo_errmsg(box), "of stack left") && strstr(halo_errmsg(box), "RLIMIT_STACK"));
    halo_close(box);
    leave_stack(1 << 20);
    run_to_exit_7(backend);
}

static void host_18_a_stack_that_ends_soon_is_told_of(void **state)
{
    (void)state;
    on_every_backend(host_with_little_stack);
}

static void host_03_no_descriptor_of_a_machine_is_a_standard_one(void **state)
{
    (void)state;
    on_every_backend(host_without_standard_files);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_02_everything_of_the_host_is_as_it_was_before),
        cmocka_unit_test(host_18_a_stack_that_ends_soon_is_told_of),
        cmocka_unit_test(host_03_no_descriptor_of_a_machine_is_a_standard_one),
        cmocka_unit_test(host_03_no_descriptor_of_an_inspection_is_a_standard_one),
    };

    return hosts_find_guests(argc, argv) ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
