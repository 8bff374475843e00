/*
 * What stands where there is no Halo: a child that has the function, two pipes, and messages of as
 * many rows. The parent writes a head and the columns where they lie; the child reads them into
 * memory of its own, calls the function and writes the result, which the parent reads to where it
 * belongs. Nothing is judged.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "rows_table.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_LEN (1 << 20)

struct head {
    uint32_t function, count, text_len; /* count 0: the end */
};

struct pipes {
    int to, from; /* of this side */
    pid_t child;
};

static struct {
    double x[ROWS_SLICE_MAX], y[ROWS_SLICE_MAX], products[ROWS_SLICE_MAX];
    int64_t sums[ROWS_SLICE_MAX];
    int32_t offsets[ROWS_SLICE_MAX + 1];
    char text[ROWS_SLICE_MAX * ROWS_TEXT_LEN], copies[ROWS_SLICE_MAX * ROWS_TEXT_LEN];
} child;

static void write_all(int fd, const struct iovec *parts, int count)
{
    struct iovec left[3];
    int first = 0;

    memcpy(left, parts, (size_t)count * sizeof(*parts));
    while (first < count) {
        ssize_t done = writev(fd, left + first, count - first);

        bench_must(done > 0 || errno == EINTR, "a pipe cannot be written");
        for (; done > 0 && first < count && (size_t)done >= left[first].iov_len; first++)
            done -= (ssize_t)left[first].iov_len;
        if (done > 0) {
            left[first].iov_base = (char *)left[first].iov_base + done;
            left[first].iov_len -= (size_t)done;
        }
    }
}

static void write_one(int fd, const void *bytes, size_t len)
{
    write_all(fd, &(struct iovec){(void *)(uintptr_t)bytes, len}, 1);
}

static void read_all(int fd, void *to, size_t len)
{
    for (char *at = to; len > 0;) {
        const ssize_t got = read(fd, at, len);

        bench_must(got > 0 || (got < 0 && errno == EINTR), "a pipe cannot be read");
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
}

/* One message: false at the end. */
static bool serve(int from, int to)
{
    struct head head;

    read_all(from, &head, sizeof(head));
    if (head.count == 0)
        return false;
    if (head.function == ROWS_MUL) {
        read_all(from, child.x, head.count * sizeof(double));
        read_all(from, child.y, head.count * sizeof(double));
        rows_mul(child.x, child.y, child.products, head.count);
        write_one(to, child.products, head.count * sizeof(double));
        return true;
    }
    read_all(from, child.offsets, (head.count + 1) * sizeof(int32_t));
    read_all(from, child.text, head.text_len);
    if (head.function == ROWS_SUM) {
        rows_sum(child.text - child.offsets[0], child.offsets, child.sums, head.count);
        write_one(to, child.sums, head.count * sizeof(int64_t));
    } else {
        const struct iovec parts[] = {{child.offsets, (head.count + 1) * sizeof(int32_t)},
                                      {child.copies, head.text_len}};

        rows_copy(child.text - child.offsets[0], child.offsets, child.copies - child.offsets[0],
                  head.count);
        write_all(to, parts, 2);
    }
    return true;
}

static void make_pipe(int *pair)
{
    bench_must(pipe(pair) == 0 && fcntl(pair[1], F_SETPIPE_SZ, PIPE_LEN) > 0, "no pipe");
}

static void open_pipes(struct pipes *pipes)
{
    int there[2], back[2];

    make_pipe(there);
    make_pipe(back);
    pipes->child = fork();
    bench_must(pipes->child >= 0, "no child");
    if (pipes->child == 0) {
        close(there[1]);
        close(back[0]);
        while (serve(there[0], back[1]))
            continue;
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    pipes->to = there[1];
    pipes->from = back[0];
}

static void close_pipes(const struct pipes *pipes)
{
    const struct head end = {.count = 0};

    write_one(pipes->to, &end, sizeof(end));
    close(pipes->to);
    close(pipes->from);
    bench_must(waitpid(pipes->child, NULL, 0) == pipes->child, "a child was lost");
}

/* One message of so many rows from `first` on, and what comes back. */
static void exchange(const struct pipes *pipes, enum rows_function function, uint32_t first,
                     uint32_t count)
{
    const int32_t *offsets = rows_offsets + first;
    const struct head head = {function, count,
                              function == ROWS_MUL ? 0 : (uint32_t)(offsets[count] - offsets[0])};
    struct iovec parts[3] = {{(void *)(uintptr_t)&head, sizeof(head)}};

    if (function == ROWS_MUL) {
        parts[1] = (struct iovec){rows_x + first, count * sizeof(double)};
        parts[2] = (struct iovec){rows_y + first, count * sizeof(double)};
    } else {
        parts[1] = (struct iovec){rows_offsets + first, (count + 1) * sizeof(int32_t)};
        parts[2] = (struct iovec){rows_text + offsets[0], head.text_len};
    }
    write_all(pipes->to, parts, 3);
    if (function == ROWS_MUL) {
        read_all(pipes->from, rows_products + first, count * sizeof(double));
    } else if (function == ROWS_SUM) {
        read_all(pipes->from, rows_sums + first, count * sizeof(int64_t));
    } else {
        static int32_t ends[ROWS_SLICE_MAX + 1];

        read_all(pipes->from, ends, (count + 1) * sizeof(int32_t));
        read_all(pipes->from, rows_copies + offsets[0], head.text_len);
    }
}

static struct {
    enum rows_function function;
    uint32_t slice;
    bool is_apart;
} asked;

static void work(uint64_t total)
{
    struct pipes pipes;

    rows_fill(ROWS_TABLE);
    if (asked.is_apart)
        bench_spread();
    open_pipes(&pipes);
    for (uint32_t i = 0; i < 4; i++)
        exchange(&pipes, asked.function, i * asked.slice, asked.slice);
    bench_begin();
    for (uint64_t i = 0; i < total; i += asked.slice)
        exchange(&pipes, asked.function, (uint32_t)i, asked.slice);
    bench_end();
    close_pipes(&pipes);
    bench_stay();
}

static double ask(enum rows_function function, uint32_t slice, bool is_apart)
{
    asked.function = function;
    asked.slice = slice;
    asked.is_apart = is_apart;
    return bench_timed(work, ROWS_TABLE);
}

double rows_pipes(enum rows_function function, uint32_t slice)
{
    return ask(function, slice, false);
}

double rows_pipes_apart(enum rows_function function, uint32_t slice)
{
    return ask(function, slice, true);
}
