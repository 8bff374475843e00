/*
 * The keeper's life: keeper.h. Built without a C library, stack protector or sanitizer, for it has
 * no thread-local storage of its own.
 */
#include "keeper.h"
#include "process_child.h"
#include "seccomp_rules.h"
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/wait.h>

#define HOST_GONE SIGHUP
#define OUT_OF_THE_WAY 16
#define CLOSE_MAX (1ul << 20)

static const struct sock_filter lock[] = {
    SECCOMP_RULES_BEGIN,
    SECCOMP_RULE(__NR_rt_sigtimedwait, SECCOMP_RET_ALLOW),
    SECCOMP_RULE(__NR_wait4, SECCOMP_RET_ALLOW),
    SECCOMP_RULE(__NR_getppid, SECCOMP_RET_ALLOW),
    SECCOMP_RULE(__NR_exit_group, SECCOMP_RET_ALLOW),
    SECCOMP_RULES_END(SECCOMP_RET_KILL_PROCESS),
};

__attribute__((noreturn)) static void end(int code)
{
    call3(__NR_exit_group, code, 0, 0);
    __builtin_trap(); /* a filter refuses even that */
}

/* Without close_range (Linux 5.9, or a filter that does not know it): one by one. */
static void close_from(long first)
{
    struct rlimit limit = {CLOSE_MAX, CLOSE_MAX};

    if (call3(__NR_close_range, first, ~0u, 0) >= 0)
        return;
    if (call3(__NR_getrlimit, RLIMIT_NOFILE, (long)&limit, 0) < 0 || limit.rlim_cur > CLOSE_MAX)
        limit.rlim_cur = CLOSE_MAX;
    for (long fd = first; fd < (long)limit.rlim_cur; fd++)
        call3(__NR_close, fd, 0, 0);
}

/* Those of the child by the numbers that it wants, and no other of the host's. */
static long arrange_files(const struct halo_keeper *keeper)
{
    int from[5] = {keeper->socket, -1, keeper->ram, keeper->program, -1};
    long high[5], result = 0;
    int tie[2];

    if (call6(__NR_socketpair, BARE_FAMILY_UNIX, BARE_SOCKET_SEQPACKET | BARE_SOCKET_CLOEXEC, 0,
              (long)tie, 0, 0) < 0)
        return -1;
    from[CHILD_TIE - CHILD_SOCKET] = tie[0];
    from[KEEPER_TIE - CHILD_SOCKET] = tie[1];
    for (int i = 0; i < 5; i++)
        high[i] = call3(__NR_fcntl, from[i], F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
    for (int i = 0; i < 5 && result >= 0; i++)
        result = call3(__NR_dup3, high[i], CHILD_SOCKET + i, i < 3 ? 0 : O_CLOEXEC);
    for (int fd = 0; fd < CHILD_SOCKET; fd++)
        call3(__NR_close, fd, 0, 0);
    close_from(KEEPER_TIE + 1);
    return result;
}

/* As vfork: the child shares memory and stack with us, who stand still, until it has begun. */
static long start_child(struct halo_keeper *keeper)
{
    const char *const none[] = {0};
    long child = call6(__NR_clone, CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD, 0,
                       (long)&keeper->child, 0, 0, 0);

    if (child == 0) {
        call6(__NR_execveat, CHILD_PROGRAM, (long)"", (long)none, (long)none, AT_EMPTY_PATH, 0);
        end(CHILD_EXEC);
    }
    return child;
}

/* No right is left: whoever gets hold of the keeper through the host's memory has gained none. */
static long give_up_rights(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    long result = call3(__NR_capset, (long)&header, (long)none, 0);

    if (result >= 0)
        result = call6(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
    if (result >= 0)
        result = seccomp_install(lock, sizeof(lock) / sizeof(lock[0]), 0);
    return result;
}

/*
 * The kernel sends HOST_GONE whenever the thread that created us ends. Whether the host has ended
 * with it, our parent tells: it is another process then. (In a PID namespace without the host it
 * is 0 either way, and the end of that thread counts.)
 */
__attribute__((noreturn)) static void watch(struct halo_keeper *keeper, long child)
{
    const unsigned long awaited = 1ul << (SIGCHLD - 1) | 1ul << (HOST_GONE - 1);
    long signal = 0;
    long parent, ended;

    for (;;) {
        ended = call6(__NR_wait4, child, (long)&keeper->status, WNOHANG | __WALL, 0, 0, 0);
        keeper->has_status = ended == child;
        if (ended != 0)
            end(ended == child ? 0 : HALO_KEEPER_WAIT);
        parent = call3(__NR_getppid, 0, 0, 0);
        if (parent == 0 ? signal == HOST_GONE : parent != keeper->host)
            end(0);
        signal = call6(__NR_rt_sigtimedwait, (long)&awaited, 0, 0, 8, 0, 0);
        if (signal < 0 && signal != -EINTR)
            end(HALO_KEEPER_SIGNALS);
    }
}

/* Called by halo__keeper_start, below. */
__attribute__((noreturn, used)) void halo__keeper_main(struct halo_keeper *keeper);

void halo__keeper_main(struct halo_keeper *keeper)
{
    const struct sigaction action = {.sa_flags = SA_NOCLDSTOP}; /* the host may ignore SIGCHLD */
    const unsigned long all = ~0ul;
    long child;

    if (call6(__NR_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8, 0, 0) < 0 ||
        call6(__NR_rt_sigaction, SIGCHLD, (long)&action, 0, 8, 0, 0) < 0)
        end(HALO_KEEPER_SIGNALS);
    call6(__NR_prctl, PR_SET_PDEATHSIG, HOST_GONE, 0, 0, 0, 0);
    call6(__NR_prctl, PR_SET_NAME, (long)"halo-keeper", 0, 0, 0, 0);
    if (call3(__NR_setsid, 0, 0, 0) < 0) /* a terminal's signals are for the host */
        end(HALO_KEEPER_SESSION);
    call3(__NR_chdir, (long)"/", 0, 0);
    if (arrange_files(keeper) < 0)
        end(HALO_KEEPER_FILES);
    child = start_child(keeper);
    if (child < 0)
        end(HALO_KEEPER_CHILD);
    for (int fd = CHILD_SOCKET; fd < KEEPER_TIE; fd++)
        call3(__NR_close, fd, 0, 0);
    if (give_up_rights() < 0)
        end(HALO_KEEPER_LOCK);
    watch(keeper, child);
}

/* By hand, for libc's clone may be somebody's who means threads by it, as a sanitizer does. */
long halo__keeper_start(struct halo_keeper *keeper, int *pidfd)
{
    register long child_tid __asm__("r10") = 0;
    register long tls __asm__("r8") = 0;
    long result;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%rbx, %%rdi\n\t"
                     "call halo__keeper_main\n"
                     "1:"
                     : "=a"(result)
                     : "a"(__NR_clone), "D"(CLONE_VM | CLONE_PIDFD),
                       "S"(keeper->stack + HALO_KEEPER_STACK), "d"(pidfd), "r"(child_tid), "r"(tls),
                       "b"(keeper)
                     : "rcx", "r11", "memory");
    return result;
}
