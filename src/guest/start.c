/*
 * libhalo-guest: what a guest program is linked with. Start and end of a guest.
 *
 *     boot.c      the boot page, the doorbell, panic: what all else stands on
 *     libc/       memory functions and malloc
 *     stack.c     the two stacks, where those are the transport
 *     port.c      the queue to the host, and the one place where the guest waits
 *     future.c    waiting for one answer
 *     call/       a service: calls of the host's functions, and the host's calls of the program's
 *     stream/     a service: reading and writing
 *     exit.c      the end
 *     upcall.c    calls of the host's while the program computes, where it asks for them
 *     linux/      system calls, where the program has a C library
 *     start.c     knows all of them, and nothing else does
 *
 * Each uses only what stands above it in this list, and the two services not each other: what the
 * port needs one for stands in its table (service.h). A request goes down to the port, its answer
 * comes back through the function in it (port.h); the ways of a call and of a read are in
 * call/call.h and stream/stream.h.
 *
 * There is one thread. The host that runs it can do to the guest whatever it likes, but a rule that
 * it breaks in the queues is found and ends the guest in words, rather than in wrong results.
 */
#include "boot.h"
#include "call/call.h"
#include "linux/start.h"
#include "port.h"
#include "stream/stream.h"

int main(int argc, char **argv);

/* The strings of argv lie in a page of their own already. */
static char **make_argv(const struct halo_boot *boot)
{
    char **argv = malloc((boot->arg_count + 1ull) * sizeof(*argv));
    char *at = (char *)(uintptr_t)boot->args;

    if (!argv)
        halo_panic("no memory for the arguments");
    for (uint32_t i = 0; i < boot->arg_count; i++) {
        argv[i] = at;
        at += strlen(at) + 1;
    }
    argv[boot->arg_count] = NULL;
    return argv;
}

int main(int argc, char **argv);

/* Started by Linux itself, which passes nothing in rdi: say what this is, and end. */
_Noreturn static void say_what_it_is(void)
{
    enum { WRITE = 1, EXIT_GROUP = 231, CANNOT_RUN = 126 };
    static const char text[] = "this is a guest of Halo's: start it with `halo run FILE`\n";
    long result = WRITE;

    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(2), "S"(text), "d"(sizeof(text) - 1)
                     : "rcx", "r11", "memory");
    for (;;) {
        result = EXIT_GROUP;
        __asm__ volatile("syscall" : "+a"(result) : "D"(CANNOT_RUN) : "rcx", "r11", "memory");
    }
}

/* Entered by the host with a stack and the boot page, as if called. */
_Noreturn void _start(const struct halo_boot *boot);

_Noreturn void _start(const struct halo_boot *boot)
{
    if (!boot)
        say_what_it_is();
    halo__boot_take(boot);
    if (halo__linux_begin)
        halo__linux_begin(boot);
    halo__port_start();
    if (halo__export_count() > 0)
        halo__port_add(&halo__export_service);
    halo__port_add(&halo__stream_service);
    halo__hello();
    if (halo__linux_main)
        halo__linux_main(boot);
    halo_exit(main((int)boot->arg_count, make_argv(boot)));
}
