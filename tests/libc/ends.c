/*
 * A program that is told to end, while it does one thing or another:
 *
 *     ends MODE   what it does, and what comes of SIGTERM: see `modes`
 *
 * It says so when it is ready, where it is one that waits by gathered output, which goes out then.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t came;
static volatile unsigned long count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void leave(int signal)
{
    (void)signal;
    (void)!write(1, "bye\n", 4);
    _exit(7);
}

static void note(int signal)
{
    came = signal;
}

static void stay(int signal)
{
    (void)signal;
    for (;;)
        count++;
}

static void handle(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}; /* waits end with EINTR */

    sigaction(SIGTERM, &action, NULL);
}

static void ready(int fd)
{
    (void)!write(fd, "ready\n", 6);
}

static void spin(void)
{
    handle(note);
    ready(2);
    while (!came)
        count++;
    puts("bye");
    exit(7);
}

static void read_(void)
{
    char byte;

    handle(note);
    ready(1);
    if (read(0, &byte, 1) == -1 && errno == EINTR && came == SIGTERM) {
        puts("bye");
        exit(7);
    }
}

static void poll_(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};

    handle(note);
    ready(1);
    if (poll(&input, 1, -1) == -1 && errno == EINTR && came == SIGTERM) {
        puts("bye");
        exit(7);
    }
}

static void nap(void)
{
    struct timespec left;

    handle(note);
    ready(1);
    if (nanosleep(&(struct timespec){1000000, 0}, &left) == -1 && errno == EINTR && came &&
        left.tv_sec > 900000) {
        puts("bye");
        exit(7);
    }
}

static void pauses(void)
{
    handle(leave);
    ready(1);
    pause();
}

static void takes(void)
{
    sigset_t set;
    int signal = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ready(1);
    if (sigwait(&set, &signal) == 0 && signal == SIGTERM) {
        puts("bye");
        exit(7);
    }
}

static void *works(void *arg)
{
    if (arg)
        for (;;)
            count++;
    pthread_mutex_lock(&lock);
    for (;;)
        pthread_cond_wait(&never, &lock);
    return NULL;
}

static void threads_that(int spin)
{
    pthread_t threads[3];

    handle(leave);
    for (long i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, works, i == 1 && spin ? &threads : NULL);
    ready(spin ? 2 : 1);
    pthread_join(threads[0], NULL);
}

static void threads(void)
{
    threads_that(0);
}

static void busy(void)
{
    threads_that(1);
}

static void ignore(void)
{
    signal(SIGTERM, SIG_IGN);
    ready(1);
    for (;;)
        nanosleep(&(struct timespec){1000, 0}, NULL);
}

static void endless(void)
{
    handle(stay);
    ready(1);
    pause();
}

static void again(void)
{
    handle(note);
    ready(2);
    for (;;) { /* it has heard, and goes on */
        count++;
        came = 0;
    }
}

static void pours(void)
{
    handle(note);
    ready(2);
    for (;;)
        (void)!write(1, "more\n", 5);
}

static void usual(void)
{
    ready(1);
    nanosleep(&(struct timespec){1000000, 0}, NULL);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*mode)(void);
    } modes[] = {{"spin", spin},     {"read", read_},      {"poll", poll_},      {"nap", nap},
                 {"pause", pauses},  {"sigwait", takes},   {"threads", threads}, {"busy", busy},
                 {"ignore", ignore}, {"endless", endless}, {"again", again},     {"pours", pours},
                 {"usual", usual}};

    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) == 0)
            modes[i].mode();
    }
    return argc == 1 && argv[0][0] == '\0' ? 2 : 1; /* nobody has named it */
}
