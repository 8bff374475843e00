/*
 * Threads: what a program finds of them, with each library. Without arguments it tries all that
 * ends by itself; with one, a thing that ends the program in its own way. What it prints does not
 * depend on who runs first.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 5, ROUNDS = 300 };

static pthread_attr_t small;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t first, second;
static long total;
static _Thread_local long own = 7;

static pthread_t start(void *(*function)(void *), long arg)
{
    pthread_t thread;
    int error = pthread_create(&thread, &small, function, (void *)arg);

    if (error) {
        printf("no thread: %d\n", error);
        exit(1);
    }
    return thread;
}

static long end(pthread_t thread)
{
    void *result;

    pthread_join(thread, &result);
    return (long)result;
}

/* THREADS of them, and what they return. */
static void all(const char *name, void *(*function)(void *))
{
    pthread_t threads[THREADS];

    total = 0;
    for (long i = 0; i < THREADS; i++)
        threads[i] = start(function, i);
    printf("%s:", name);
    for (int i = 0; i < THREADS; i++)
        printf(" %ld", end(threads[i]));
    printf(", %ld\n", total);
}

/* --- Locks ------------------------------------------------------------------------------------ */

static int turn;

static void *by_turns(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (turn % THREADS != (long)arg)
            pthread_cond_wait(&cond, &mutex);
        turn++;
        total += (long)arg;
        own++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)own;
}

static void *holding(void *arg)
{
    long seen = 0;

    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&mutex);
        seen = total;
        sched_yield(); /* the others come to the lock */
        total = seen + 1;
        pthread_mutex_unlock(&mutex);
        sched_yield();
    }
    return arg;
}

static void *at_barrier(void *arg)
{
    long serial = 0;

    for (int i = 0; i < 10; i++) {
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        sched_yield();
    }
    pthread_mutex_lock(&mutex);
    total += serial;
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void *read_or_write(void *arg)
{
    long seen = 0;

    for (int i = 0; i < 20; i++) {
        if ((long)arg == 0) {
            pthread_rwlock_wrlock(&rwlock);
            seen = total;
            sched_yield();
            total = seen + 1;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            seen = total;
            sched_yield();
            if (seen != total)
                abort();
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return arg;
}

static void *pong(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        sem_wait(&second);
        total++;
        sem_post(&first);
    }
    return arg;
}

static struct timespec soon(clockid_t clock, long ms)
{
    struct timespec time;

    clock_gettime(clock, &time);
    time.tv_nsec += ms * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static void *holds_for_a_while(void *arg)
{
    pthread_mutex_lock(&mutex);
    sem_post(&first);
    sem_wait(&second);
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void *dies_with_it(void *arg)
{
    pthread_mutex_lock((pthread_mutex_t *)arg);
    return NULL;
}

static void locks(void)
{
    struct timespec time;
    pthread_mutexattr_t attr;
    pthread_mutex_t other;
    pthread_t thread;

    all("by turns", by_turns);
    all("one at a time", holding);
    pthread_barrier_init(&barrier, NULL, THREADS);
    all("at a barrier", at_barrier);
    all("readers and a writer", read_or_write);

    sem_init(&first, 0, 0);
    sem_init(&second, 0, 0);
    total = 0;
    thread = start(pong, 3);
    for (int i = 0; i < ROUNDS; i++) {
        sem_post(&second);
        sem_wait(&first);
    }
    printf("semaphores: %ld, %ld\n", end(thread), total);

    thread = start(holds_for_a_while, 4);
    sem_wait(&first);
    time = soon(CLOCK_REALTIME, 3);
    printf("held: %d %d", pthread_mutex_trylock(&mutex) == EBUSY,
           pthread_mutex_timedlock(&mutex, &time) == ETIMEDOUT);
    time = soon(CLOCK_REALTIME, 3);
    printf(" %d", sem_timedwait(&first, &time) < 0 && errno == ETIMEDOUT);
    sem_post(&second);
    printf(" %ld", end(thread));
    pthread_mutex_lock(&mutex);
    time = soon(CLOCK_REALTIME, 3);
    printf(" %d\n", pthread_cond_timedwait(&cond, &mutex, &time) == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&other, &attr);
    printf("twice: %d %d %d", pthread_mutex_lock(&other), pthread_mutex_lock(&other) == EDEADLK,
           pthread_mutex_unlock(&other));
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&other, &attr);
    printf(" %d %d\n", pthread_mutex_lock(&other), pthread_mutex_lock(&other));
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&other, &attr);
    (void)end(start(dies_with_it, (long)&other));
    printf("its owner is dead: %d", pthread_mutex_lock(&other) == EOWNERDEAD);
    printf(" %d", pthread_mutex_consistent(&other));
    printf(" %d\n", pthread_mutex_unlock(&other));
}

/* --- Lives ------------------------------------------------------------------------------------ */

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void at_end(void *value)
{
    total += (long)value;
}

static void make_key(void)
{
    total += 1000;
    pthread_key_create(&key, at_end);
}

static void *with_key(void *arg)
{
    char *some[20];

    pthread_once(&once, make_key);
    pthread_setspecific(key, (void *)((long)arg + 1));
    sched_yield();
    for (int i = 0; i < 20; i++) {
        some[i] = malloc(1000 + 100 * i);
        memset(some[i], (int)(long)arg, 1000);
        if (i % 4 == 0)
            sched_yield();
    }
    for (int i = 0; i < 20; i++) {
        if (some[i][999] != (long)arg)
            abort();
        free(some[i]);
    }
    if ((long)arg % 2)
        pthread_exit(pthread_getspecific(key));
    return pthread_getspecific(key);
}

static void *detached(void *arg)
{
    sem_post((sem_t *)arg);
    return NULL;
}

/* Registers are each thread's own, while it waits and while it runs. */
static void *computes(void *arg)
{
    double x[8];

    for (int i = 0; i < 8; i++)
        x[i] = (double)(long)arg + i;
    for (int round = 0; round < 50; round++) {
        register double a = x[0], b = x[1], c = x[2], d = x[3];

        for (int i = 0; i < 4; i++)
            x[i] = x[i] * 0.5 + x[i + 4];
        syscall(SYS_sched_yield);
        x[4] += a * 1e-3;
        x[5] += b * 1e-3;
        x[6] += c * 1e-3;
        x[7] += d * 1e-3;
    }
    return (void *)(long)(x[0] + x[3]);
}

static void *sees_itself(void *arg)
{
    const long id = syscall(SYS_gettid);
    char name[16] = "";

    snprintf(name, sizeof(name), "worker %ld", (long)arg);
    pthread_setname_np(pthread_self(), name);
    pthread_barrier_wait(&barrier);
    memset(name, 0, sizeof(name));
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return (void *)((id != getpid()) * 100 + (name[7] - '0'));
}

static void lives(void)
{
    pthread_attr_t attr;
    pthread_t thread;

    all("keys", with_key);
    all("numbers", computes);
    all("names", sees_itself);
    sem_init(&first, 0, 0);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 40; i++) {
        if (pthread_create(&thread, &attr, detached, &first))
            abort();
        sem_wait(&first);
    }
    puts("40 that nobody waits for");
    for (int i = 0; i < 200; i++)
        (void)end(start(detached, (long)&first));
    puts("200 one after the other");
}

/* --- Pipes and time --------------------------------------------------------------------------- */

static int ends[2];

static void *pours(void *arg)
{
    static char bytes[300000];

    memset(bytes, 'p', sizeof(bytes));
    total = write(ends[1], bytes, sizeof(bytes));
    close(ends[1]);
    return arg;
}

static void *sleeps(void *arg)
{
    struct timespec time = {0, (5 - (long)arg) * 3000000};

    nanosleep(&time, NULL);
    pthread_mutex_lock(&mutex);
    total += (long)arg;
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void *polls(void *arg)
{
    struct pollfd one = {.fd = ends[0], .events = POLLIN};
    const int ready = poll(&one, 1, -1);

    return (void *)(long)(ready * 10 + (one.revents == POLLIN));
}

static void pipes(void)
{
    char bytes[7001];
    long got, sum = 0;
    pthread_t thread;

    pipe(ends);
    thread = start(pours, 2);
    while ((got = read(ends[0], bytes, sizeof(bytes))) > 0)
        sum += got;
    printf("through a pipe: %ld of", sum);
    end(thread);
    printf(" %ld\n", total);
    close(ends[0]);
    pipe(ends);
    thread = start(polls, 0);
    sched_yield();
    write(ends[1], "x", 1);
    printf("polled: %ld\n", end(thread));
    all("asleep", sleeps);
}

/* --- Signals ---------------------------------------------------------------------------------- */

static volatile pthread_t handled_by;

static void handle(int signal)
{
    handled_by = pthread_self();
}

static void *waits_for_signal(void *arg)
{
    sem_post(&first);
    if (arg) {
        char byte;

        errno = 0;
        return (void *)(long)(read(ends[0], &byte, 1) < 0 && errno == EINTR &&
                              pthread_equal(handled_by, pthread_self()));
    }
    pause();
    return (void *)(long)pthread_equal(handled_by, pthread_self());
}

static void *takes(void *arg)
{
    const sigset_t *set = arg;
    int signal = 0;

    sigwait(set, &signal);
    return (void *)(long)signal;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = handle};
    struct timespec time = {0, 2000000};
    sigset_t set;
    pthread_t thread;
    void *result;

    sigaction(SIGUSR1, &action, NULL);
    pipe(ends);
    for (long i = 0; i < 2; i++) {
        thread = start(waits_for_signal, i);
        sem_wait(&first);
        while (pthread_tryjoin_np(thread, &result)) { /* it may not wait yet */
            pthread_kill(thread, SIGUSR1);
            nanosleep(&time, NULL);
        }
        printf("to one: %ld\n", (long)result);
    }
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    thread = start(takes, (long)&set);
    kill(getpid(), SIGUSR2);
    printf("to all: %d\n", end(thread) == SIGUSR2);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* --- Cancellation ----------------------------------------------------------------------------- */

static void clean(void *arg)
{
    total = total * 10 + (long)arg;
}

static void *in_vain(void *arg)
{
    char byte;

    pthread_cleanup_push(clean, (void *)2);
    pthread_cleanup_push(clean, (void *)1);
    sem_post(&first);
    switch ((long)arg) {
    case 0:
        pthread_mutex_lock(&mutex);
        pthread_cleanup_push((void (*)(void *))pthread_mutex_unlock, &mutex);
        for (;;)
            pthread_cond_wait(&cond, &mutex);
        pthread_cleanup_pop(0);
    case 1:
        read(ends[0], &byte, 1);
        break;
    case 2:
        sleep(1000);
        break;
    case 3:
        sem_wait(&second);
        break;
    case 4:
        for (;;) {
            pthread_testcancel();
            sched_yield();
        }
    case 5:
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
        sem_wait(&second);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
        total = total * 10 + 5;
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancels(void)
{
    const struct timespec time = {0, 2000000};

    pipe(ends);
    sem_init(&second, 0, 0);
    for (long i = 0; i < 6; i++) {
        pthread_t thread = start(in_vain, i);
        void *result;

        total = 0;
        sem_wait(&first);
        nanosleep(&time, NULL);
        printf("cancelled: %d", pthread_cancel(thread));
        if (i == 5)
            sem_post(&second);
        pthread_join(thread, &result);
        printf(" %d %ld %d\n", result == PTHREAD_CANCELED, total, pthread_mutex_trylock(&mutex));
        pthread_mutex_unlock(&mutex);
    }
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void *ends_all(void *arg)
{
    puts("the end");
    exit(5);
}

static void *is_last(void *arg)
{
    sleep(0);
    for (int i = 0; i < 10; i++)
        sched_yield();
    puts("last");
    return NULL;
}

static void *waits(void *arg)
{
    pthread_mutex_lock(&mutex);
    return NULL;
}

static void *reads(void *arg)
{
    char line[100];

    while (fgets(line, sizeof(line), stdin))
        total += atol(line);
    return arg;
}

static void *counts(void *arg)
{
    for (int i = 0; i < 100; i++)
        sched_yield();
    return (void *)100;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    if (!strcmp(what, "exit")) {
        start(ends_all, 0);
        for (;;)
            pause();
    }
    if (!strcmp(what, "last")) {
        start(is_last, 0);
        pthread_exit(NULL);
    }
    if (!strcmp(what, "input")) {
        pthread_t reader = start(reads, 0), counter = start(counts, 0);

        printf("%ld", end(counter));
        end(reader);
        printf(" %ld\n", total);
        return 0;
    }
    if (!strcmp(what, "deadlock")) {
        pthread_mutex_lock(&mutex);
        end(start(waits, 0));
    }
    if (!strcmp(what, "many")) {
        pthread_t thread;
        int count = 0, error;

        while (count < 300 && !(error = pthread_create(&thread, &small, waits_for_signal, NULL)))
            count++;
        printf("%d threads, then %d\n", count, error);
        return 0;
    }
    if (!strcmp(what, "abort")) {
        start(counts, 0);
        abort();
    }
    locks();
    lives();
    pipes();
    signals();
    cancels();
    return 0;
}
