/*
 * A program that polls, whose host puts bytes into its standard input and takes them away:
 *
 *     polls before     what was asked before a read says nothing about what is left of it
 *     polls exit       nor does an answer that came before the guest was left
 *     polls plain N    so many times poll and read a byte
 *     polls clock N    the same, with a look at the clock in between
 *     polls text       all of it, with a poll before each read, twice
 */
#include <halo/guest.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

HALO_IMPORT(put, "put", HALO_VOID, HALO_U32);
HALO_IMPORT(take, "take", HALO_VOID, HALO_U32);

static void must(int good, int line)
{
    if (!good) {
        fprintf(stderr, "polls.c:%d\n", line);
        exit(1);
    }
}
#define MUST(good) must(good, __LINE__)

static void tell(struct halo_import *what, uint32_t count)
{
    struct halo_future future;

    MUST(halo_call(&future, what, halo_u32(count)) == 0);
    halo_future_free(&future);
}

static int is_ready(int timeout_ms)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    const int got = poll(&in, 1, timeout_ms);

    MUST(got >= 0 && (got == 0) == (in.revents == 0));
    return got;
}

static void read_one(void)
{
    char byte;

    MUST(read(0, &byte, 1) == 1);
}

static void before(void)
{
    MUST(!is_ready(0)); /* this question stays in flight */
    tell(&put, 1);
    read_one();
    MUST(!is_ready(0));
    tell(&put, 1);
    MUST(is_ready(-1));
}

static void after_an_exit(void)
{
    tell(&put, 2);
    MUST(is_ready(-1));
    read_one(); /* and asked whether there is another: there is */
    tell(&take, 1);
    MUST(!is_ready(0));
}

static void many(int count, int looks)
{
    struct timespec time;

    tell(&put, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        if (looks)
            MUST(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
        MUST(is_ready(-1));
        read_one();
    }
}

static void text(void)
{
    char bytes[16];
    ssize_t got;

    do {
        MUST(is_ready(-1) && is_ready(0));
        got = read(0, bytes, sizeof(bytes));
        MUST(got >= 0);
        fwrite(bytes, 1, (size_t)got, stdout);
    } while (got > 0);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "before") == 0)
        before();
    else if (strcmp(what, "exit") == 0)
        after_an_exit();
    else if (strcmp(what, "text") == 0)
        text();
    else
        many(atoi(argv[2]), what[0] == 'c');
    return 0;
}
