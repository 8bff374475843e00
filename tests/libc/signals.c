/* Signals that a program sends itself, and abort. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t seen;
static sigjmp_buf env;

static void handler(int signal)
{
    printf("signal %d, %d before\n", signal, (int)seen++);
}

static void info_handler(int signal, siginfo_t *info, void *context)
{
    printf("signal %d %d %d\n", signal, info->si_signo, context != NULL);
    raise(SIGUSR1);
}

static void jump(int signal)
{
    siglongjmp(env, signal);
}

/* What it raises is pending until it has returned, and then nobody handles it any more. */
static void handler_no_more(int number)
{
    signal(number, number == SIGUSR1 ? SIG_IGN : SIG_DFL);
    raise(number);
    puts("handled for the last time");
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_sigaction = info_handler, .sa_flags = SA_SIGINFO};
    volatile double kept = 1.5;
    sigset_t set, old;

    if (argc > 1 && strcmp(argv[1], "abort") == 0) {
        printf("printed, and lost where it is not flushed");
        fflush(stdout);
        abort();
    }
    if (argc > 1 && strcmp(argv[1], "term") == 0)
        raise(SIGTERM);
    if (argc > 1 && strcmp(argv[1], "again") == 0) {
        signal(SIGUSR1, handler_no_more);
        raise(SIGUSR1);
        signal(SIGUSR2, handler_no_more);
        setvbuf(stdout, NULL, _IONBF, 0);
        raise(SIGUSR2);
    }
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    sigaction(SIGUSR2, &action, NULL);
    kill(getpid(), SIGUSR2);
    printf("%d %f\n", (int)seen, kept * 2);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1);
    printf("blocked: %d\n", (int)seen);
    sigpending(&set);
    printf("pending: %d %d\n", sigismember(&set, SIGUSR1), sigismember(&set, SIGUSR2));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("unblocked: %d\n", (int)seen);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGCHLD);
    printf("ignored: %d\n", (int)seen);
    signal(SIGABRT, jump);
    if (sigsetjmp(env, 1) == 0)
        abort();
    puts("jumped");
    printf("%d %d\n", sigaction(SIGKILL, &action, NULL), errno);
    return 5;
}
