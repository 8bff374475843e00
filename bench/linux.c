/*
 * Linux's packed driver as a neighbour, with a device that believes all it reads. The driver is the
 * kernel's own file, compiled from Debian's linux-source-6.1 by bench/linux_build into a library
 * beside this program; where that was not made, the neighbour is absent.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "linux_peer.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct linux_peer *library_peer(void)
{
    static const struct linux_peer *found;
    char path[4096];
    ssize_t len;
    char *slash;
    void *library;

    if (found)
        return found;
    len = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/linux.so"));
    if (len <= 0)
        return NULL;
    path[len] = 0;
    slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    memcpy(slash, "/linux.so", sizeof("/linux.so"));
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        found = dlsym(library, "linux_peer");
    return found;
}

const char *bench_linux_absent(void)
{
    return library_peer() ? NULL : "no linux.so that can be loaded; bench/linux_build makes it";
}

static void one_thread(uint64_t operations, uint32_t batch)
{
    const struct linux_peer *peer = library_peer();

    bench_must(peer->open(256), "the kernel's driver refuses");
    bench_begin();
    for (uint64_t i = 0; i < operations; i += batch)
        bench_must(peer->submit(batch) == batch && peer->serve(batch) == batch &&
                       peer->reap(batch) == batch,
                   "the kernel's driver lost an element");
    bench_end();
    peer->close();
}

static void single(uint64_t operations)
{
    one_thread(operations, 1);
}

static void batch32(uint64_t operations)
{
    one_thread(operations, 32);
}

double bench_linux_single(void)
{
    return bench_timed(single, 1000);
}

double bench_linux_batch32(void)
{
    return bench_timed(batch32, 1600);
}

static void *serve(void *unused)
{
    const struct linux_peer *peer = library_peer();

    (void)unused;
    while (!bench_stopped()) {
        if (peer->serve(32) == 0)
            bench_relax();
    }
    return NULL;
}

static double bursts(uint32_t rounds)
{
    const struct linux_peer *peer = library_peer();
    uint32_t sent = 0, done = 0;
    double begin = bench_now_ns();

    while (done < rounds) {
        if (sent < rounds && sent - done <= 256 - 32)
            sent += peer->submit(32);
        done += peer->reap(32);
    }
    begin = (bench_now_ns() - begin) / done;
    while (done < sent)
        done += peer->reap(32);
    return begin;
}

static double one_in_flight(uint32_t rounds)
{
    const struct linux_peer *peer = library_peer();
    double begin = bench_now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        bench_must(peer->submit(1) == 1, "the kernel's driver is full");
        while (peer->reap(1) == 0)
            bench_relax();
    }
    return (bench_now_ns() - begin) / rounds;
}

static double two_threads(double (*body)(uint32_t), uint32_t rounds)
{
    const struct linux_peer *peer = library_peer();
    double result;

    bench_must(peer->open(256), "the kernel's driver refuses");
    result = bench_with_peer(serve, body, rounds);
    peer->close();
    return result;
}

double bench_linux_stream(void)
{
    return two_threads(bursts, 32 * 160);
}

double bench_linux_pingpong(void)
{
    return two_threads(one_in_flight, 250);
}
