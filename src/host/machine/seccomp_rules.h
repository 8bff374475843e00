/*
 * Seccomp filters as rows of rules, for code that has no C library.
 *
 *     const struct sock_filter lock[] = {
 *         SECCOMP_RULES_BEGIN,
 *         SECCOMP_RULE(__NR_read, SECCOMP_RET_ALLOW),
 *         SECCOMP_RULES_END(SECCOMP_RET_KILL_PROCESS),
 *     };
 *
 * Calls of another architecture are killed for; those of x32 have numbers that no rule names.
 */
#ifndef HALO_SRC_SECCOMP_RULES_H
#define HALO_SRC_SECCOMP_RULES_H

#include "bare_call.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

/* Where the next word is loaded from. */
#define SECCOMP_LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offset))
#define SECCOMP_LOAD_FIELD(field) SECCOMP_LOAD(offsetof(struct seccomp_data, field))

/* Skip so many rows where the loaded word is, or is not, the value. */
#define SECCOMP_IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))

#define SECCOMP_RULES_BEGIN                                        \
    SECCOMP_LOAD_FIELD(arch), SECCOMP_IF(AUDIT_ARCH_X86_64, 1, 0), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), SECCOMP_LOAD_FIELD(nr)

#define SECCOMP_RULE(call, action) SECCOMP_IF((call), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))

#define SECCOMP_RULES_END(action) BPF_STMT(BPF_RET | BPF_K, (action))

/* Install a filter for the caller. Returns what the kernel does. */
static inline long seccomp_install(const struct sock_filter *rules, unsigned long count,
                                   unsigned long flags)
{
    const struct sock_fprog program = {(unsigned short)count, (struct sock_filter *)rules};

    return call3(__NR_seccomp, SECCOMP_SET_MODE_FILTER, (long)flags, (long)&program);
}

#endif
