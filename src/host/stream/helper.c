/* A thread for what may wait: see helper.h. */
#define _GNU_SOURCE
#include "helper.h"
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define STACK_LEN (64u << 10)

enum job {
    JOB_READ,
    JOB_WRITE,
    JOB_LOOK, /* whether there is something to read */
    JOB_ASK,  /* what file system it lies in */
};

struct halo_helper {
    pthread_t thread;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    enum halo_helper_state state;
    bool gone;      /* it touches nothing any more but this, to free it */
    bool abandoned; /* and nobody else does */
    int fd, ready;
    enum job job;
    int count;
    int64_t offset, result;
    struct iovec iov[HALO_HELPER_PARTS];
    unsigned char *bounce; /* or NULL */
};

/* --- The thread ------------------------------------------------------------------------------- */

static int64_t try(const struct halo_helper *helper)
{
    struct pollfd pollfd = {.fd = helper->fd, .events = POLLIN};
    const struct iovec *iov = helper->iov;
    const int fd = helper->fd, count = helper->count;
    struct statfs fs;

    switch (helper->job) {
    case JOB_READ:
        return helper->offset < 0 ? readv(fd, iov, count) : preadv(fd, iov, count, helper->offset);
    case JOB_WRITE:
        return helper->offset < 0 ? writev(fd, iov, count)
                                  : pwritev(fd, iov, count, helper->offset);
    case JOB_LOOK:
        return poll(&pollfd, 1, -1);
    default:
        return fstatfs(fd, &fs) < 0 ? -1 : (int64_t)(uint32_t)fs.f_type;
    }
}

/* It can be cancelled here and nowhere else, so that nothing is held then. */
static int64_t move(const struct halo_helper *helper)
{
    struct pollfd pollfd = {.fd = helper->fd,
                            .events = helper->job == JOB_WRITE ? POLLOUT : POLLIN};
    int64_t n;

    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    do {
        n = try(helper);
        if (n < 0 && errno == EAGAIN) /* somebody made it non-blocking */
            n = poll(&pollfd, 1, -1) < 0 && errno != EINTR ? -1 : -2;
    } while (n == -2 || (n < 0 && errno == EINTR));
    n = n < 0 ? -errno : n;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return n;
}

static void discard(struct halo_helper *helper)
{
    halo__budget_give(helper->bounce);
    free(helper);
}

static void leave(void *self)
{
    struct halo_helper *helper = self;
    bool abandoned;

    close(helper->fd); /* here, for that may wait, too */
    pthread_mutex_lock(&helper->mutex);
    helper->gone = true;
    abandoned = helper->abandoned;
    pthread_cond_signal(&helper->changed);
    pthread_mutex_unlock(&helper->mutex);
    if (abandoned)
        discard(helper);
}

static void *work(void *self)
{
    struct halo_helper *helper = self;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_setname_np(pthread_self(), "halo-helper");
    pthread_cleanup_push(leave, helper);
    pthread_mutex_lock(&helper->mutex);
    while (helper->state != HALO_HELPER_LEAVING) {
        int64_t n;

        if (helper->state != HALO_HELPER_BUSY) {
            pthread_cond_wait(&helper->changed, &helper->mutex);
            continue;
        }
        pthread_mutex_unlock(&helper->mutex);
        n = move(helper);
        pthread_mutex_lock(&helper->mutex);
        if (helper->state == HALO_HELPER_BUSY) { /* else nobody asks any more */
            helper->result = n;
            helper->state = HALO_HELPER_DONE;
            pthread_cond_signal(&helper->changed); /* for halo__helper_ask */
            (void)!write(helper->ready, &(uint64_t){1}, sizeof(uint64_t));
        }
    }
    pthread_mutex_unlock(&helper->mutex);
    pthread_cleanup_pop(1);
    return NULL;
}

/*
 * pthread_cancel needs a library of the compiler's, and ends the process where that cannot be
 * loaded: in a chroot, or under a filter. So it is loaded before the first thread is there; where
 * it is missing nobody is cancelled, and who does not come back in time is left alone.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool can_cancel;

static void load_unwinder(void)
{
    can_cancel = dlopen("libgcc_s.so.1", RTLD_NOW) != NULL;
}

void halo__helper_prepare(void)
{
    pthread_once(&once, load_unwinder);
}

/* --- For the stream --------------------------------------------------------------------------- */

struct halo_helper *halo__helper_start(int fd, int ready)
{
    struct halo_helper *helper = calloc(1, sizeof(*helper));
    pthread_condattr_t clock;
    pthread_attr_t attributes;
    sigset_t all, before;
    int error = ENOMEM;

    halo__helper_prepare();
    if (helper) {
        helper->fd = fd;
        helper->ready = ready;
        pthread_mutex_init(&helper->mutex, NULL);
        pthread_condattr_init(&clock);
        pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
        pthread_cond_init(&helper->changed, &clock);
        pthread_condattr_destroy(&clock);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK_LEN);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&helper->thread, &attributes, work, helper);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    if (!error)
        return helper;
    free(helper);
    close(fd);
    errno = error;
    return NULL;
}

unsigned char *halo__helper_bounce(struct halo_helper *helper, struct halo_budget *budget)
{
    if (!helper->bounce)
        helper->bounce = halo__budget_take(budget, HALO_HELPER_BOUNCE); /* COST-01 */
    if (!helper->bounce)
        errno = ENOMEM;
    return helper->bounce;
}

static void begin(struct halo_helper *helper, enum job job)
{
    helper->job = job;
    helper->state = HALO_HELPER_BUSY;
    pthread_cond_signal(&helper->changed);
}

void halo__helper_give(struct halo_helper *helper, const struct iovec *iov, int count, size_t skip,
                       int64_t offset, bool write)
{
    pthread_mutex_lock(&helper->mutex);
    helper->count = 0;
    for (int i = 0; i < count; i++) {
        struct iovec part = iov[i];
        const size_t less = skip < part.iov_len ? skip : part.iov_len;

        skip -= less;
        part.iov_base = (unsigned char *)part.iov_base + less;
        part.iov_len -= less;
        if (part.iov_len > 0)
            helper->iov[helper->count++] = part;
    }
    helper->offset = offset;
    begin(helper, write ? JOB_WRITE : JOB_READ);
    pthread_mutex_unlock(&helper->mutex);
}

void halo__helper_look(struct halo_helper *helper)
{
    pthread_mutex_lock(&helper->mutex);
    begin(helper, JOB_LOOK);
    pthread_mutex_unlock(&helper->mutex);
}

enum halo_helper_state halo__helper_take(struct halo_helper *helper, int64_t *result)
{
    enum halo_helper_state state;

    pthread_mutex_lock(&helper->mutex);
    state = helper->state;
    if (state == HALO_HELPER_DONE) {
        *result = helper->result;
        helper->state = HALO_HELPER_IDLE;
    }
    pthread_mutex_unlock(&helper->mutex);
    return state;
}

void halo__helper_leave(struct halo_helper *helper)
{
    pthread_mutex_lock(&helper->mutex);
    if (helper->state == HALO_HELPER_BUSY && can_cancel)
        pthread_cancel(helper->thread);
    helper->state = HALO_HELPER_LEAVING;
    pthread_cond_signal(&helper->changed);
    pthread_mutex_unlock(&helper->mutex);
}

static struct timespec time_in(int64_t ns)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    ns += time.tv_nsec;
    time.tv_sec += ns / 1000000000;
    time.tv_nsec = ns % 1000000000;
    return time;
}

bool halo__helper_stop(struct halo_helper *helper, int64_t patience)
{
    const struct timespec until = time_in(patience);
    bool gone;

    halo__helper_leave(helper);
    pthread_mutex_lock(&helper->mutex);
    while (!helper->gone &&
           pthread_cond_timedwait(&helper->changed, &helper->mutex, &until) != ETIMEDOUT)
        continue;
    gone = helper->gone;
    helper->abandoned = !gone;
    if (!gone)
        pthread_detach(helper->thread);
    pthread_mutex_unlock(&helper->mutex);
    if (gone) {
        pthread_join(helper->thread, NULL);
        discard(helper);
    }
    return gone;
}

int64_t halo__helper_ask(int fd)
{
    const struct timespec until = time_in(HALO_HELPER_PATIENCE);
    struct halo_helper *helper = fd < 0 ? NULL : halo__helper_start(fd, -1);
    int64_t type = -ETIMEDOUT;
    int late = 0;

    if (!helper)
        return -errno;
    pthread_mutex_lock(&helper->mutex);
    begin(helper, JOB_ASK);
    while (helper->state == HALO_HELPER_BUSY && !late)
        late = pthread_cond_timedwait(&helper->changed, &helper->mutex, &until);
    if (helper->state == HALO_HELPER_DONE)
        type = helper->result;
    pthread_mutex_unlock(&helper->mutex);
    (void)halo__helper_stop(helper, late ? 0 : HALO_HELPER_PATIENCE);
    return type;
}
