/* Handlers, their frames, stacks and masks, and timers: what a program's signals to itself do. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t seen, depth, raised;
static char stack[65536] __attribute__((aligned(16)));
static int ends[2];

static void count(int number)
{
    seen++;
}

static void set(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

    sigaction(number, &action, NULL);
}

static void mask(int how, int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(how, &set, NULL);
}

/* --- What a handler is told ------------------------------------------------------------------- */

static void told(int number, siginfo_t *info, void *context)
{
    const ucontext_t *uc = context;

    printf("signal %d: %d %d, from itself %d, user %d, value %d\n", number, info->si_signo,
           info->si_code, info->si_pid == getpid(), info->si_uid == getuid(),
           info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
    printf("link %d, stack %d, mask %d\n", uc->uc_link != NULL, uc->uc_stack.ss_flags,
           sigismember(&uc->uc_sigmask, SIGUSR2));
}

/* The registers of a call are those of the context, and those of the context are loaded again. */
static void registers(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    const greg_t *all = uc->uc_mcontext.gregs;
    const struct _libc_fpstate *state = (void *)uc->uc_mcontext.fpregs;

    printf("rax %lld rbx %llx rdi %d rsi %lld r12 %llx r15 %llx\n", (long long)all[REG_RAX],
           (long long)all[REG_RBX], all[REG_RDI] == getpid(), (long long)all[REG_RSI],
           (long long)all[REG_R12], (long long)all[REG_R15]);
    printf("rcx is rip %d, after syscall %d, sp %d, segments %llx\n", all[REG_RCX] == all[REG_RIP],
           memcmp((char *)all[REG_RIP] - 2, "\x0f\x05", 2), all[REG_RSP] > (greg_t)&state,
           (long long)all[REG_CSGSFS] & 0xffff);
    printf("xmm5 %x, mxcsr %x, aligned %d\n", *(const uint32_t *)((const char *)state + 160 + 80),
           *(const uint32_t *)((const char *)state + 24), (int)((uintptr_t)state % 64));
    uc->uc_mcontext.gregs[REG_R12] = 0x77;
    uc->uc_mcontext.gregs[REG_RCX] = 0x78;
    uc->uc_mcontext.gregs[REG_RAX] = 79;
    *(uint32_t *)((char *)uc->uc_mcontext.fpregs + 160 + 80) = 0x80;
    __asm__ volatile("pcmpeqb %%xmm5, %%xmm5\n\tpcmpeqb %%xmm15, %%xmm15" : : : "xmm5", "xmm15");
}

static void kill_with_registers(void)
{
    struct sigaction action = {.sa_sigaction = registers, .sa_flags = SA_SIGINFO};
    register uint64_t r12 __asm__("r12") = 0x1212, r15 __asm__("r15") = 0x1515;
    uint64_t rbx = 0xbbbb, rcx = 0, rax = SYS_kill;
    uint32_t xmm5 = 0x5555, xmm15 = 0xffff;

    sigaction(SIGUSR1, &action, NULL);
    __asm__ volatile("movd %[five], %%xmm5\n\tmovd %[fifteen], %%xmm15\n\tsyscall\n\t"
                     "movd %%xmm5, %[five]\n\tmovd %%xmm15, %[fifteen]"
                     : "+a"(rax), "+b"(rbx), "=c"(rcx), "+r"(r12),
                       "+r"(r15), [five] "+m"(xmm5), [fifteen] "+m"(xmm15)
                     : "D"((uint64_t)getpid()), "S"((uint64_t)SIGUSR1)
                     : "r11", "memory", "xmm5", "xmm15");
    printf("rax %d rbx %x rcx %x r12 %x r15 %x xmm5 %x xmm15 %x\n", (int)rax, (int)rbx, (int)rcx,
           (int)r12, (int)r15, xmm5, xmm15);
}

static void infos(void)
{
    struct sigaction action = {.sa_sigaction = told, .sa_flags = SA_SIGINFO};

    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGRTMIN + 1, &action, NULL);
    mask(SIG_BLOCK, SIGUSR2);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42});
    mask(SIG_BLOCK, SIGRTMIN + 1);
    for (int i = 1; i <= 3; i++)
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
    mask(SIG_UNBLOCK, SIGRTMIN + 1);
    mask(SIG_UNBLOCK, SIGUSR2);
}

/* --- Order, masks, flags ---------------------------------------------------------------------- */

static void nested(int number)
{
    sigset_t set;

    depth++;
    sigprocmask(SIG_SETMASK, NULL, &set);
    printf("begin %d at %d, blocked %d %d\n", number, (int)depth, sigismember(&set, SIGUSR1),
           sigismember(&set, SIGUSR2));
    if (number == SIGUSR1 && raised++ == 0)
        raise(SIGUSR1);
    printf("end %d at %d\n", number, (int)depth--);
}

static void orders(void)
{
    static const int flags[] = {0, SA_NODEFER, SA_RESETHAND};
    struct sigaction action = {.sa_handler = nested};
    sigset_t both, none, old;

    sigemptyset(&none);
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    for (int i = 0; i < 2; i++) {
        action.sa_flags = flags[i];
        sigaction(SIGUSR1, &action, NULL);
        raised = 0;
        raise(SIGUSR1);
    }
    action.sa_flags = 0;
    for (int i = 0; i < 2; i++) { /* both at once; the second time one blocks the other */
        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGUSR2, &action, NULL);
        sigprocmask(SIG_BLOCK, &both, &old);
        depth = 1;
        kill(getpid(), SIGUSR2);
        kill(getpid(), SIGUSR1);
        printf("suspended: %d, interrupted %d\n", sigsuspend(&none), errno == EINTR);
        sigprocmask(SIG_SETMASK, &old, NULL);
        depth = 0;
        action.sa_mask = both;
    }
    action.sa_flags = SA_RESETHAND;
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &action);
    printf("reset: %d\n", action.sa_handler == SIG_DFL);
    sigprocmask(SIG_BLOCK, &both, NULL);
    raise(SIGUSR2);
    printf("waited for: %d\n", sigtimedwait(&both, NULL, &(struct timespec){0, 0}));
    printf("for nothing: %d %d\n", sigtimedwait(&both, NULL, &(struct timespec){0, 1000}), errno);
    sigprocmask(SIG_UNBLOCK, &both, NULL);
}

/* --- Another stack ---------------------------------------------------------------------------- */

static void there(int number)
{
    char here;
    stack_t now;

    printf("on the stack %d", &here >= stack && &here < stack + sizeof(stack));
    sigaltstack(NULL, &now);
    printf(" %d %d", now.ss_flags, now.ss_sp == stack);
    printf(" %d\n", sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL) ? errno : 0);
    if (number == SIGUSR1)
        raise(SIGUSR2); /* and goes on there */
}

static void stacks(void)
{
    stack_t new = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;

    printf("small %d\n", sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = 100}, NULL) ? errno : 0);
    printf("odd %d\n", sigaltstack(&(stack_t){.ss_sp = stack, .ss_flags = 4}, NULL) ? errno : 0);
    printf("%d", sigaltstack(&new, &old));
    printf(" %d\n", old.ss_flags);
    set(SIGUSR1, there, SA_ONSTACK);
    set(SIGUSR2, there, SA_ONSTACK);
    raise(SIGUSR1);
    set(SIGUSR1, there, 0);
    set(SIGUSR2, there, 0);
    raise(SIGUSR2);
    new.ss_flags = 1 << 31; /* SS_AUTODISARM */
    printf("%d\n", sigaltstack(&new, NULL));
    set(SIGUSR2, there, SA_ONSTACK);
    raise(SIGUSR2);
    sigaltstack(NULL, &old);
    printf("again %x\n", old.ss_flags);
    new.ss_flags = SS_DISABLE;
    printf("%d\n", sigaltstack(&new, NULL));
    raise(SIGUSR2);
}

/* --- Pipes and timers ------------------------------------------------------------------------- */

static void write_to_pipe(int number)
{
    seen++;
    if (write(ends[1], "x", 1) != 1)
        abort();
}

static void in(int ms, int flags, void (*handler)(int))
{
    const struct itimerval time = {.it_value = {0, ms * 1000}};

    set(SIGALRM, handler, flags);
    setitimer(ITIMER_REAL, &time, NULL);
}

static void say(const char *what, long result)
{
    printf("%s: %ld, %s, seen %d\n", what, result, result < 0 ? strerror(errno) : "", (int)seen);
    errno = 0;
}

static void interrupted(void)
{
    struct timespec time = {100, 0}, left = {0};
    struct pollfd none = {.fd = -1};
    sigset_t set_of_alarm, empty;
    char byte = 0;
    fd_set set_of_pipe;

    seen = 0;
    in(5, SA_RESTART, count);
    say("nanosleep", nanosleep(&time, &left));
    printf("left %d\n", left.tv_sec == 99);
    in(5, 0, count);
    say("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &left));
    in(5, SA_RESTART, count);
    say("poll", poll(&none, 1, 100000));
    in(5, SA_RESTART, count);
    say("pause", pause());
    in(5, 0, count);
    say("read of a pipe", read(ends[0], &byte, 1));
    in(5, SA_RESTART, write_to_pipe);
    say("read of a pipe, again", read(ends[0], &byte, 1));
    in(5, 0, count);
    FD_ZERO(&set_of_pipe);
    FD_SET(ends[0], &set_of_pipe);
    say("select", select(ends[0] + 1, &set_of_pipe, NULL, NULL, NULL));
    mask(SIG_BLOCK, SIGALRM);
    sigemptyset(&empty);
    in(5, 0, count);
    say("ppoll", ppoll(NULL, 0, &time, &empty));
    in(5, 0, count);
    say("pselect", pselect(0, NULL, NULL, NULL, &time, &empty));
    in(5, 0, count);
    sigemptyset(&set_of_alarm);
    sigaddset(&set_of_alarm, SIGALRM);
    say("sigwaitinfo", sigwaitinfo(&set_of_alarm, NULL));
    in(5, 0, count);
    time.tv_sec = 0;
    time.tv_nsec = 20000000;
    say("blocked, a sleep", nanosleep(&time, NULL));
    mask(SIG_UNBLOCK, SIGALRM);
    say("and unblocked", 0);
}

static void expired(int number, siginfo_t *info, void *context)
{
    printf("timer: %d, code %d, value %d\n", number == SIGRTMIN, info->si_code,
           info->si_value.sival_int);
    seen++;
}

static void timers(void)
{
    struct sigaction action = {.sa_sigaction = expired, .sa_flags = SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct itimerspec often = {.it_value = {0, 2000000}, .it_interval = {0, 2000000}}, is;
    struct itimerval left;
    timer_t timer;

    seen = 0;
    event.sigev_value.sival_int = 17;
    sigaction(SIGRTMIN, &action, NULL);
    say("timer_create", timer_create(CLOCK_MONOTONIC, &event, &timer));
    say("timer_settime", timer_settime(timer, 0, &often, NULL));
    while (seen < 3)
        pause();
    mask(SIG_BLOCK, SIGRTMIN);
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    mask(SIG_UNBLOCK, SIGRTMIN);
    printf("overrun %d\n", timer_getoverrun(timer) >= 5);
    memset(&often, 0, sizeof(often));
    timer_settime(timer, 0, &often, &is);
    printf("interval %ld, runs %d\n", is.it_interval.tv_nsec, is.it_value.tv_nsec > 0);
    timer_gettime(timer, &is);
    printf("stands %d\n", is.it_value.tv_nsec == 0);
    say("timer_delete", timer_delete(timer));
    say("again", syscall(SYS_timer_delete, (long)99999));
    say("alarm", alarm(100));
    say("alarm", alarm(0));
    say("getitimer", getitimer(ITIMER_REAL, &left));
    printf("%ld %ld\n", (long)left.it_value.tv_sec, (long)left.it_value.tv_usec);
    say("setitimer",
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 1000}, .it_interval = {0, 1000}},
                  NULL));
    set(SIGALRM, count, 0);
    while (seen < 10) /* it makes calls, and does not wait */
        (void)getppid();
    say("setitimer", setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
}

static void broken_pipe(void)
{
    int closed[2];

    if (pipe(closed))
        abort();
    close(closed[0]);
    seen = 0;
    set(SIGPIPE, count, SA_RESTART);
    say("write", write(closed[1], "x", 1));
    set(SIGPIPE, SIG_IGN, 0);
    say("write", write(closed[1], "x", 1));
}

int main(int argc, char **argv)
{
    char byte;

    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1 && strcmp(argv[1], "alarm") == 0) {
        alarm(1);
        for (;;)
            pause();
    }
    if (argc > 1 && strcmp(argv[1], "input") == 0) { /* nobody writes and nobody closes */
        in(20, 0, count);
        say("read", read(0, &byte, 1));
        in(20, 0, count);
        say("poll", poll(&(struct pollfd){0, POLLIN, 0}, 1, -1));
        return 3;
    }
    if (argc > 1 && strcmp(argv[1], "small") == 0) { /* the frame has no room on its stack */
        sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = 2048}, NULL);
        set(SIGUSR1, count, SA_ONSTACK);
        for (int i = 0; i < 100; i++)
            stack[i] = 1;
        raise(SIGUSR1);
        return 4;
    }
    if (pipe(ends))
        return 1;
    infos();
    kill_with_registers();
    orders();
    stacks();
    interrupted();
    timers();
    broken_pipe();
    return 7;
}
