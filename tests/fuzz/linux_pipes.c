/*
 * Random system calls for pipes, each made of the table and of Linux: both say the same, and what
 * comes out is what went in.
 */
#define _GNU_SOURCE
#include "linux_host.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ends of two pipes, of the table's and of Linux; whoever waits there would wait for ever. */
#define ENDS 4

static int64_t our_ends[ENDS];
static int their_ends[ENDS];

static void make_pipes(uint64_t flags)
{
    const uint64_t spare = table.ranges[0].base;

    for (int i = 0; i < ENDS; i += 2) {
        int32_t numbers[2];

        same("pipe2", call(SYS_pipe2, spare, flags | O_NONBLOCK, 0, 0),
             native(pipe2(their_ends + i, (int)flags | O_NONBLOCK)));
        memcpy(numbers, (const void *)(uintptr_t)spare, sizeof(numbers));
        our_ends[i] = numbers[0];
        our_ends[i + 1] = numbers[1];
    }
}

static void poll_pipes(short events)
{
    const uint64_t at = table.ranges[0].base;
    struct pollfd ours_polled[ENDS], polled[ENDS];

    for (int i = 0; i < ENDS; i++) {
        ours_polled[i] = (struct pollfd){(int)our_ends[i], events, 0};
        polled[i] = (struct pollfd){their_ends[i], events, 0};
    }
    memcpy((void *)(uintptr_t)at, ours_polled, sizeof(ours_polled));
    same("poll of pipes", call(SYS_poll, at, ENDS, 0, 0), poll(polled, ENDS, 0));
    memcpy(ours_polled, (const void *)(uintptr_t)at, sizeof(ours_polled));
    for (int i = 0; i < ENDS; i++)
        same("what poll says of a pipe", ours_polled[i].revents, polled[i].revents);
}

static uint64_t waiting(uint8_t end)
{
    const uint64_t at = table.ranges[0].base;

    return call(SYS_ioctl, (uint64_t)our_ends[end], 0x541b, at, 0) ? 0 : *(uint32_t *)(uintptr_t)at;
}

/*
 * Linux counts the pages of a pipe and the table its bytes, so that only whole pages may fill it;
 * what is written in pieces stays far below.
 */
static void one_pipe_call(bool by_pages)
{
    static unsigned char native_bytes[SEGMENT_LEN];
    const uint8_t what = pick() % 6, end = pick() % ENDS, more = pick();
    const uint64_t at = table.ranges[0].base, number = (uint64_t)our_ends[end];
    const uint64_t len = by_pages ? more % 7 * LINUX_PAGE : more;
    int32_t count = 0;

    switch (what) {
    case 0:
    case 1:
        if (!by_pages && waiting(end) + len > 2 * LINUX_PAGE)
            break;
        for (uint64_t i = 0; i < len; i++)
            native_bytes[i] = (unsigned char)(i * more >> 3);
        memcpy((void *)(uintptr_t)at, native_bytes, len);
        same("a write to a pipe", call(SYS_write, number, at, len, 0),
             native(write(their_ends[end], native_bytes, len)));
        break;
    case 2:
        memset((void *)(uintptr_t)at, 0, SEGMENT_LEN);
        memset(native_bytes, 0, SEGMENT_LEN);
        same("a read of a pipe", call(SYS_read, number, at, len, 0),
             native(read(their_ends[end], native_bytes, len)));
        same("bytes of a pipe", memcmp((const void *)(uintptr_t)at, native_bytes, SEGMENT_LEN), 0);
        break;
    case 3:
        poll_pipes((short)(more % 8));
        break;
    case 4:
        same("FIONREAD", call(SYS_ioctl, number, 0x541b, at, 0),
             native(syscall(SYS_ioctl, their_ends[end], 0x541b, &count)));
        if (their_ends[end] >= 0)
            same("what is in a pipe", *(const int32_t *)(uintptr_t)at, count);
        break;
    default:
        if (more % 4)
            break;
        same("close", call(SYS_close, number, 0, 0, 0), native(close(their_ends[end])));
        their_ends[end] = -1;
        our_ends[end] = -1;
    }
}

/* On both sides a write that nobody will read is an error alone. */
static void ignore_sigpipe(void)
{
    const struct {
        uint64_t handler, flags, restorer, mask;
    } ignored = {.handler = 1};
    const uint64_t at = table.ranges[0].base;

    (void)signal(SIGPIPE, SIG_IGN);
    memcpy((void *)(uintptr_t)at, &ignored, sizeof(ignored));
    same("rt_sigaction", call(SYS_rt_sigaction, SIGPIPE, at, 0, 8), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bool by_pages;

    at = data;
    left = len;
    begin();
    ignore_sigpipe();
    by_pages = pick() % 2;
    make_pipes(pick() % 2 ? O_CLOEXEC : 0);
    while (left > 0)
        one_pipe_call(by_pages);
    for (int i = 0; i < ENDS; i++) {
        if (their_ends[i] >= 0)
            (void)close(their_ends[i]);
    }
    return 0;
}
