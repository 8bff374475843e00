/*
 * A program that waits in every way that has a time, and looks whether each wait was as long as it
 * was to be, by its own clock: where it is kept and goes on elsewhere while it waits, too. It reads
 * a line in the end.
 *
 *     sleeps            each way, some ms long
 *     sleeps once MS    one poll of its input
 *     sleeps clock MS   one sleep; then the time of day
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ll
#define LONG (20 * MS)
#define FAR (1000000 * MS) /* no machine is so slow */

static int wrong;
static volatile sig_atomic_t rang;

static long long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 * MS + time.tv_nsec;
}

static struct timespec in(clockid_t clock, long long ns)
{
    struct timespec time;

    clock_gettime(clock, &time);
    ns += time.tv_nsec;
    return (struct timespec){time.tv_sec + ns / (1000 * MS), ns % (1000 * MS)};
}

/* It took so long, and no more than any machine would. */
static void took(const char *what, int is_right, long long from, long long least)
{
    const long long passed = now() - from;

    if (!is_right || passed < least || passed > FAR) {
        wrong++;
        printf("%s: wrong, after %lld ns: %s\n", what, passed, strerror(errno));
    } else {
        printf("%s\n", what);
    }
    fflush(stdout);
}

static void ring(int signal)
{
    (void)signal;
    rang++;
}

/* Again and again, for the first may come before what it is to end; or no more. */
static void alarms(long ms)
{
    rang = 0;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, ms * 1000}, {0, ms * 1000}}, NULL);
}

static void alone(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct timespec left = {0, 0}, until;
    struct timeval time;
    long long from;
    fd_set set;

    from = now();
    took("nanosleep", nanosleep(&(struct timespec){0, LONG}, NULL) == 0, from, LONG);
    from = now();
    until = in(CLOCK_MONOTONIC, LONG);
    took("clock_nanosleep", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0,
         from, LONG);
    from = now();
    took("poll", poll(&input, 1, LONG / MS) == 0, from, LONG);
    from = now();
    took("poll of nothing", poll(NULL, 0, LONG / MS) == 0, from, LONG);
    from = now();
    FD_ZERO(&set);
    FD_SET(0, &set);
    time = (struct timeval){0, LONG / 1000};
    took("select",
         syscall(SYS_select, 1, &set, NULL, NULL, &time) == 0 && time.tv_sec + time.tv_usec == 0,
         from, LONG);
    signal(SIGALRM, ring);
    alarms(10);
    from = now();
    took("poll, and alarms", poll(&input, 1, -1) == -1 && errno == EINTR && rang > 0, from, 0);
    from = now();
    took("nanosleep, and alarms",
         nanosleep(&(struct timespec){1000, 0}, &left) == -1 && errno == EINTR && rang > 1 &&
             left.tv_sec >= 900 && left.tv_sec < 1000,
         from, 0);
    from = now();
    took("pause, and alarms", pause() == -1 && errno == EINTR && rang > 2, from, 0);
    alarms(0);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER, soon = PTHREAD_COND_INITIALIZER;
static int count;

static void *naps(void *arg)
{
    const long long ns = (1 + (long)arg) * 5 * MS;

    for (int i = 0; i < 4; i++) {
        const long long from = now();

        if (nanosleep(&(struct timespec){0, ns}, NULL) || now() - from < ns || now() - from > FAR)
            __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
        pthread_mutex_lock(&lock);
        count++;
        pthread_cond_broadcast(&soon);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *waits(void *arg)
{
    pthread_mutex_lock(&lock);
    while (count < 12)
        pthread_cond_wait(&soon, &lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void together(void)
{
    pthread_t threads[4];
    struct timespec until;
    long long from;
    void *result = NULL;

    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, i < 3 ? naps : waits, (void *)i);
    from = now();
    until = in(CLOCK_REALTIME, LONG);
    pthread_mutex_lock(&lock);
    took("pthread_cond_timedwait", pthread_cond_timedwait(&never, &lock, &until) == ETIMEDOUT, from,
         LONG / 2); /* the time of day may be set meanwhile */
    pthread_mutex_unlock(&lock);
    from = now();
    took("poll, and others", poll(NULL, 0, LONG / MS) == 0, from, LONG);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], &result);
    took("pthread_join", count == 12 && result == (void *)3, from, LONG);
}

int main(int argc, char **argv)
{
    const int ms = argc > 2 ? atoi(argv[2]) : 0;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    const long long from = now();
    char line[64] = "";

    if (argc > 1 && strcmp(argv[1], "once") == 0) {
        took("waits once", poll(&input, 1, ms) == 0, from, ms * MS);
    } else if (argc > 1) {
        took("sleeps once", nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL) == 0,
             from, ms * MS);
        printf("%lld\n", (long long)time(NULL));
        return wrong;
    } else {
        alone();
        together();
    }
    if (fgets(line, sizeof(line), stdin))
        printf("read %s", line);
    printf("%d wrong\n", wrong);
    return wrong;
}
