/*
 * What the command prints, and the time limit that it keeps to. A pipe that nobody reads and a
 * terminal that was stopped take nothing, for as long as that says. So within a time limit each
 * write is a thread's, and this one waits for it until the limit, and no longer.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000
#define GRACE (20 * MS) /* for a message at the limit, or behind it */
#define LOOK_EVERY (5 * MS)
#define LOOKS 4
#define LOOKS_BLIND 80
#define PART 8192             /* of what is said, to be written at once */
#define STACK_LEN (64u << 10) /* whatever the limit of stacks is */

FILE *tool_out, *tool_err;

static int64_t deadline = HALO_FOREVER; /* of CLOCK_MONOTONIC */

struct output {
    int fd;
    int error; /* of the first write that failed; none is tried after it */
    bool late; /* it was not done within the time limit */
    bool told; /* of the error */
};

static struct output outputs[] = {{.fd = STDOUT_FILENO}, {.fd = STDERR_FILENO}};

/* One write, which outlives whoever waited for it. */
struct job {
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    bool done, abandoned;
    pid_t thread; /* or 0, before it has begun */
    int fd;
    int error;
    size_t len;
    char bytes[];
};

/* --- The limit -------------------------------------------------------------------------------- */

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

void tool_limit(int64_t timeout_ns)
{
    deadline = timeout_ns == HALO_FOREVER ? HALO_FOREVER : now() + timeout_ns;
}

int64_t tool_time_left(void)
{
    const int64_t left = deadline == HALO_FOREVER ? HALO_FOREVER : deadline - now();

    return deadline != HALO_FOREVER && left < 0 ? 0 : left;
}

/* --- One write -------------------------------------------------------------------------------- */

/* 0, or what kept it from being whole. A descriptor that others made non-blocking is waited for. */
static int put_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, bytes, len);

        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static void *put_on_thread(void *self)
{
    struct job *job = self;
    bool abandoned;
    int error;

    pthread_mutex_lock(&job->mutex);
    job->thread = gettid();
    pthread_mutex_unlock(&job->mutex);
    error = put_all(job->fd, job->bytes, job->len);
    pthread_mutex_lock(&job->mutex);
    job->error = error;
    job->done = true;
    abandoned = job->abandoned;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->mutex);
    if (abandoned)
        free(job);
    return NULL;
}

/*
 * Does the thread sleep in the kernel? One that the processor has not come to yet, on a machine
 * that has much to do, waits for nobody, and is waited for.
 */
static bool sleeps(pid_t thread, int *looks)
{
    char path[64], text[128];
    const char *state;
    ssize_t len;
    int fd;

    if (!thread)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)thread);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (len < 0) { /* nobody can tell: confined, say. Then it is given longer */
        *looks = LOOKS_BLIND;
        return true;
    }
    text[len] = '\0';
    state = strrchr(text, ')');
    return !state || strncmp(state, ") R", 3) != 0;
}

/* Until it is done, or is late: false. */
static bool await(struct job *job)
{
    const int64_t soon = now() + GRACE;
    int64_t until = deadline > soon ? deadline : soon;
    int asleep = 0, looks = LOOKS;

    while (!job->done && asleep < looks) {
        const struct timespec time = {until / 1000000000, until % 1000000000};

        if (pthread_cond_timedwait(&job->changed, &job->mutex, &time) != ETIMEDOUT)
            continue;
        asleep = sleeps(job->thread, &looks) ? asleep + 1 : 0;
        until = now() + LOOK_EVERY;
    }
    return job->done;
}

static struct job *new_job(int fd, const char *bytes, size_t len)
{
    struct job *job = malloc(sizeof(*job) + len);
    pthread_condattr_t clock;

    if (!job)
        return NULL;
    *job = (struct job){.fd = fd, .len = len};
    memcpy(job->bytes, bytes, len);
    pthread_mutex_init(&job->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&job->changed, &clock);
    pthread_condattr_destroy(&clock);
    return job;
}

/* Where there can be no thread, as in a guest, it is better to say it than to be on time. */
static int put_within(struct output *output, const char *bytes, size_t len)
{
    struct job *job = new_job(output->fd, bytes, len);
    pthread_attr_t attributes;
    pthread_t thread;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_LEN);
    if (!job || pthread_create(&thread, &attributes, put_on_thread, job) != 0) {
        free(job);
        return put_all(output->fd, bytes, len);
    }
    pthread_mutex_lock(&job->mutex);
    output->late = !await(job);
    error = output->late ? ETIMEDOUT : job->error;
    job->abandoned = output->late;
    pthread_mutex_unlock(&job->mutex);
    if (!output->late) {
        pthread_join(thread, NULL);
        free(job);
    } else {
        pthread_detach(thread);
    }
    return error;
}

int tool_put(int fd, const char *bytes, size_t len)
{
    struct output output = {.fd = fd};

    return deadline == HALO_FOREVER ? put_all(fd, bytes, len) : put_within(&output, bytes, len);
}

/* --- The streams ------------------------------------------------------------------------------ */

static void put_part(struct output *output, const char *bytes, size_t len)
{
    if (!output->error && len > 0)
        output->error = deadline == HALO_FOREVER ? put_all(output->fd, bytes, len)
                                                 : put_within(output, bytes, len);
}

static ssize_t put(void *cookie, const char *bytes, size_t len)
{
    struct output *output = cookie;

    put_part(output, bytes, len);
    errno = output->error;
    return output->error ? 0 : (ssize_t)len;
}

/* Names in a message are anybody's choice. */
static ssize_t put_message(void *cookie, const char *bytes, size_t len)
{
    struct output *output = cookie;
    char part[PART];
    size_t at = 0, part_len = 0, shown_len;

    while (at < len) {
        if (part_len > sizeof(part) - TOOL_ESCAPED_MAX) {
            put_part(output, part, part_len);
            part_len = 0;
        }
        at += tool_escape(bytes + at, len - at, part + part_len, &shown_len);
        part_len += shown_len;
    }
    put_part(output, part, part_len);
    errno = output->error;
    return output->error ? 0 : (ssize_t)len;
}

bool tool_output_begin(void)
{
    const cookie_io_functions_t results = {.write = put}, messages = {.write = put_message};

    tool_out = fopencookie(&outputs[0], "w", results);
    tool_err = fopencookie(&outputs[1], "w", messages);
    return tool_out && tool_err && setvbuf(tool_err, NULL, _IOLBF, BUFSIZ) == 0;
}

bool tool_is_terminal(int fd)
{
    struct statx st;

    /* A file is not asked: whoever answers for it may not. */
    return (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0 ||
            S_ISCHR(st.stx_mode)) &&
           isatty(fd);
}

void tool_print_guest(const char *bytes, size_t len)
{
    char shown[TOOL_ESCAPED_MAX];
    size_t shown_len;

    if (!tool_is_terminal(STDOUT_FILENO)) {
        fwrite(bytes, 1, len, tool_out);
        return;
    }
    while (len > 0) {
        const size_t used = tool_escape(bytes, len, shown, &shown_len);

        fwrite(shown, 1, shown_len, tool_out);
        bytes += used;
        len -= used;
    }
}

/* The stream does the rest: a line end in a name is all that it cannot tell from one of ours. */
void tool_say(const char *format, ...)
{
    va_list arguments;
    char *text;
    int len;

    va_start(arguments, format);
    len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        return;
    for (int i = 0; i < len; i++) {
        if (text[i] == '\n' && i < len - 1)
            fputs("\\x0a", tool_err);
        else
            fputc(text[i], tool_err);
    }
    free(text);
}

int tool_printed(const char *command, int code)
{
    (void)fflush(tool_out);
    if (outputs[0].error) {
        if (!outputs[0].told)
            tool_say("halo%s: standard output: %s\n", command,
                     outputs[0].late ? "nobody has taken all of it within the time limit"
                                     : strerror(outputs[0].error));
        outputs[0].told = true;
        if (code == 0)
            code = outputs[0].late ? TOOL_EXIT_TIMEOUT : TOOL_EXIT_FAILED;
    }
    (void)fflush(tool_err);
    return code == 0 && outputs[1].late ? TOOL_EXIT_TIMEOUT : code;
}
