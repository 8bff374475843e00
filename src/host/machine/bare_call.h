/* System calls and message layouts for code that has no C library: the keeper and the child. */
#ifndef HALO_SRC_BARE_CALL_H
#define HALO_SRC_BARE_CALL_H

#include <asm/unistd.h>

static inline long call6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long call3(long number, long a, long b, long c)
{
    return call6(number, a, b, c, 0, 0, 0);
}

/* What the kernel's headers leave to libc. */
#define BARE_FAMILY_UNIX 1
#define BARE_SOCKET_SEQPACKET 5
#define BARE_SOCKET_CLOEXEC 02000000
#define BARE_LEVEL_SOCKET 1
#define BARE_RIGHTS 1
#define BARE_DONTWAIT 0x40
#define BARE_NOSIGNAL 0x4000

#endif
