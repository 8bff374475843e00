/*
 * The host confines itself: halo/confine.h. The list is below, a block for each feature, and
 * whatever a new part of the host needs behind halo_open goes there, where it is seen. The first
 * rows are those of each exit, for the kernel goes through the list where a rule looks at an
 * argument.
 */
#define _GNU_SOURCE
#include <halo/confine.h>
#include "descriptor.h"
#include "machine/seccomp_rules.h"
#include "machine/track.h"
#include "stream/helper.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define ALWAYS (1u << 31)
#define ALL ALWAYS       /* of every process */
#define SIGNAL_CANCEL 32 /* glibc's, for pthread_cancel */

/* What is looked at besides the number: the lower half of an argument. */
enum look {
    ANY,     /* nothing */
    IS,      /* it is this value */
    WITH,    /* it has one of these bits */
    WITHOUT, /* it has none of them */
    OWN,     /* it is this process's id */
    REFUSED, /* nothing: the call fails with this errno, where another one means something else */
};

struct row {
    uint32_t features;
    uint16_t call;
    uint8_t look, argument;
    uint32_t value;
};

static const struct row rows[] = {
    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, KVM_RUN},
    {HALO_CONFINE_PROCESS, SYS_ioctl, IS, 1, (uint32_t)SECCOMP_IOCTL_NOTIF_RECV},
    {HALO_CONFINE_PROCESS, SYS_ioctl, IS, 1, (uint32_t)SECCOMP_IOCTL_NOTIF_SEND},
    {HALO_CONFINE_PROCESS, SYS_ioctl, IS, 1, (uint32_t)SECCOMP_IOCTL_NOTIF_ID_VALID},
    {ALL, SYS_poll, ANY, 0, 0},
    {ALL, SYS_read, ANY, 0, 0},
    {ALL, SYS_write, ANY, 0, 0},
    {ALL, SYS_futex, ANY, 0, 0},
    {ALL, SYS_clock_gettime, ANY, 0, 0},

    /* Memory. */
    {ALL, SYS_mmap, WITHOUT, 2, PROT_EXEC},
    {ALL, SYS_mprotect, WITHOUT, 2, PROT_EXEC},
    {ALL, SYS_munmap, ANY, 0, 0},
    {ALL, SYS_mremap, ANY, 0, 0},
    {ALL, SYS_madvise, ANY, 0, 0},
    {ALL, SYS_brk, ANY, 0, 0},
    {ALL, SYS_fallocate, ANY, 0, 0}, /* guest memory, before it is touched */
    /* What of it is there, for halo_restore. Of a descriptor; but a path gets through newfstatat,
     * and its length and times are told. */
    {ALL, SYS_lseek, ANY, 0, 0},
    {ALL, SYS_newfstatat, IS, 3, AT_EMPTY_PATH},
    {ALL, SYS_fstat, ANY, 0, 0},

    /* And which pages nobody has written since, of descriptors that halo_open has made. */
    {ALL, SYS_ioctl, IS, 1, (uint32_t)HALO_TRACK_SCAN},
    {ALL, SYS_ioctl, IS, 1, (uint32_t)UFFDIO_API},
    {ALL, SYS_ioctl, IS, 1, (uint32_t)UFFDIO_REGISTER},
    {ALL, SYS_ioctl, IS, 1, (uint32_t)UFFDIO_WRITEPROTECT},

    /* Time, signals, and the end. */
    {ALL, SYS_gettimeofday, ANY, 0, 0},
    {ALL, SYS_nanosleep, ANY, 0, 0},
    {ALL, SYS_clock_nanosleep, ANY, 0, 0},
    {ALL, SYS_restart_syscall, ANY, 0, 0},
    {ALL, SYS_sched_yield, ANY, 0, 0},
    {ALL, SYS_getpid, ANY, 0, 0},
    {ALL, SYS_gettid, ANY, 0, 0},
    {ALL, SYS_getrandom, ANY, 0, 0},
    {ALL, SYS_rt_sigprocmask, ANY, 0, 0},
    {ALL, SYS_rt_sigpending, ANY, 0, 0},
    {ALL, SYS_rt_sigtimedwait, ANY, 0, 0},
    {ALL, SYS_rt_sigreturn, ANY, 0, 0},
    {ALL, SYS_sigaltstack, ANY, 0, 0},
    {ALL, SYS_tgkill, OWN, 0, 0},
    {ALL, SYS_close, ANY, 0, 0},
    {ALL, SYS_exit, ANY, 0, 0},
    {ALL, SYS_exit_group, ANY, 0, 0},

    /* The loop's own descriptor, which waits for streams. */
    {ALL, SYS_ppoll, ANY, 0, 0},
    {ALL, SYS_epoll_wait, ANY, 0, 0},
    {ALL, SYS_epoll_pwait, ANY, 0, 0},
    {ALL, SYS_epoll_pwait2, ANY, 0, 0},
    {ALL, SYS_epoll_ctl, ANY, 0, 0},

    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, (uint32_t)KVM_GET_SREGS},
    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, (uint32_t)KVM_SET_SREGS},
    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, (uint32_t)KVM_SET_USER_MEMORY_REGION},
    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, (uint32_t)KVM_SET_SIGNAL_MASK},
    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, (uint32_t)KVM_GET_XSAVE},
    {HALO_CONFINE_KVM, SYS_ioctl, IS, 1, (uint32_t)KVM_SET_XSAVE},
    {HALO_CONFINE_KVM, SYS_timer_create, ANY, 0, 0},
    {HALO_CONFINE_KVM, SYS_timer_settime, ANY, 0, 0},
    {HALO_CONFINE_KVM, SYS_timer_delete, ANY, 0, 0},

    {HALO_CONFINE_PROCESS, SYS_pidfd_send_signal, ANY, 0, 0},
    {HALO_CONFINE_PROCESS, SYS_shutdown, ANY, 0, 0},
    {HALO_CONFINE_PROCESS, SYS_waitid, ANY, 0, 0},

    {HALO_CONFINE_STREAMS, SYS_readv, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_writev, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_pread64, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_pwrite64, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_preadv, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_pwritev, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_preadv2, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_pwritev2, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_recvmsg, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_sendmsg, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_accept4, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_shutdown, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_setsockopt, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_getsockopt, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_eventfd2, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_fstatfs, ANY, 0, 0},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_DUPFD_CLOEXEC},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_GETFD},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_SETFD},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_GETFL},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_SETFL},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_GETSIG},
    {HALO_CONFINE_STREAMS, SYS_fcntl, IS, 1, F_SETSIG},
    {HALO_CONFINE_STREAMS, SYS_statx, WITH, 2, AT_EMPTY_PATH},

    {HALO_CONFINE_THREADS, SYS_clone, WITH, 0, CLONE_THREAD},
    {HALO_CONFINE_THREADS, SYS_clone3, REFUSED, 0, ENOSYS}, /* flags that no filter sees */
    {HALO_CONFINE_THREADS, SYS_set_robust_list, ANY, 0, 0},
    {HALO_CONFINE_THREADS, SYS_rseq, ANY, 0, 0},
    {HALO_CONFINE_THREADS, SYS_sched_getaffinity, ANY, 0, 0}, /* pthread_getattr_np */
    {HALO_CONFINE_THREADS, SYS_rt_sigaction, IS, 0, SIGNAL_CANCEL},
    {HALO_CONFINE_THREADS, SYS_prctl, IS, 0, PR_SET_NAME},

    {HALO_CONFINE_TERMINAL, SYS_ioctl, IS, 1, TCGETS},
    {HALO_CONFINE_TERMINAL, SYS_ioctl, IS, 1, TIOCGPGRP},
    {HALO_CONFINE_TERMINAL, SYS_ioctl, IS, 1, TIOCGWINSZ},
    {HALO_CONFINE_TERMINAL, SYS_getpgrp, ANY, 0, 0},
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))
#define ROW_LEN 5u /* of instructions, at most */

struct filter {
    struct sock_filter code[ROW_COUNT * ROW_LEN + 8];
    unsigned count;
};

static void add(struct filter *filter, const struct sock_filter *code, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        filter->code[filter->count++] = code[i];
}

#define ADD(filter, ...)                                        \
    do {                                                        \
        const struct sock_filter code_[] = {__VA_ARGS__};       \
        add((filter), code_, sizeof(code_) / sizeof(code_[0])); \
    } while (0)

/* The number is loaded before each row, and behind it. */
static void add_row(struct filter *filter, const struct row *row)
{
    const uint32_t value = row->look == OWN ? (uint32_t)getpid() : row->value;
    const struct sock_filter test =
        row->look == WITH ? (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, value, 0, 1)
        : row->look == WITHOUT
            ? (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, value, 1, 0)
            : (struct sock_filter)SECCOMP_IF(value, 0, 1);

    if (row->look == ANY)
        ADD(filter, SECCOMP_RULE(row->call, SECCOMP_RET_ALLOW));
    else if (row->look == REFUSED)
        ADD(filter, SECCOMP_RULE(row->call, SECCOMP_RET_ERRNO | value));
    else
        ADD(filter, SECCOMP_IF(row->call, 0, 4),
            SECCOMP_LOAD(offsetof(struct seccomp_data, args) + 8u * row->argument), test,
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW), SECCOMP_LOAD_FIELD(nr));
}

/* All threads get it. It costs the processor's speculation nothing: docs/security.md. */
static int refuse_calls(uint32_t features)
{
    const unsigned long flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    struct filter filter = {.count = 0};
    long result;

    ADD(&filter, SECCOMP_RULES_BEGIN);
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        if (rows[i].features & (features | ALWAYS))
            add_row(&filter, &rows[i]);
    }
    ADD(&filter, SECCOMP_RULES_END(SECCOMP_RET_ERRNO | EPERM));
    result = seccomp_install(filter.code, filter.count, flags);
    errno = result < 0 ? (int)-result : EBUSY; /* above 0: a thread with a filter of its own */
    return result ? HALO_EHOST : 0;
}

/* No path at all, nor a port, as far as this kernel's version knows. */
static bool forbid_files(void)
{
    static const unsigned char file_rights[] = {0, 13, 14, 15, 15, 16};
    struct {
        uint64_t files, ports;
    } rules = {0, 0};
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int fd, result;

    if (version < 1)
        return false;
    rules.files = (1ull << file_rights[version < 5 ? version : 5]) - 1;
    rules.ports = version >= 4 ? 3 : 0;
    fd = halo__fd_high((int)syscall(SYS_landlock_create_ruleset, &rules, version >= 4 ? 16 : 8, 0));
    if (fd < 0)
        return false;
    result = (int)syscall(SYS_landlock_restrict_self, fd, 0);
    close(fd);
    return result == 0;
}

int halo_confine(uint32_t features, uint32_t *walls)
{
    uint32_t have = 0;
    int error = 0;

    if (walls)
        *walls = 0;
    if (features >= 2 * HALO_CONFINE_FILES_ALONE)
        return HALO_EINVAL;
    halo__helper_prepare(); /* a library is loaded for it */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return HALO_EHOST;
    if (forbid_files())
        have |= HALO_WALL_FILES;
    if (features & HALO_CONFINE_FILES_ALONE)
        error = have ? 0 : HALO_EHOST;
    else
        error = refuse_calls(features);
    if (!error && !(features & HALO_CONFINE_FILES_ALONE))
        have |= HALO_WALL_CALLS;
    if (walls)
        *walls = have;
    return error;
}
