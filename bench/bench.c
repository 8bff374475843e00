/*
 * Benchmarks of the ring: `make bench`. Times on shared machines are noisy, so every row is a
 * median, a minimum and a 99th percentile over many samples, and every row that crosses cores
 * stands beside the cost of handing two cache lines back and forth, taken around the same sample.
 *
 *     bench [--json FILE] [PATTERN]
 */
#define _GNU_SOURCE
#include <halo/device.h>
#include <halo/driver.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define SIZE 256u
#define BURST 32u
#define SAMPLES 201

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void relax(void)
{
    __builtin_ia32_pause();
}

/* A ring with both sides, and memory that its descriptors name. */
static _Alignas(4096) unsigned char shared[SIZE * 16 + 128];
static unsigned char payload[4096];
static struct halo_driver driver;
static struct halo_driver_chain driver_chains[SIZE];
static struct halo_device device;
static struct halo_device_chain device_chains[SIZE];
static struct halo_region region;
static const struct halo_memory memory = {&region, 1};

static void must(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "bench: %s\n", what);
        exit(1);
    }
}

static void start_ring(void)
{
    struct halo_ring_place place;

    memset(shared, 0, sizeof(shared));
    region = (struct halo_region){(uintptr_t)payload, sizeof(payload), halo_shm_share(payload),
                                  HALO_MAY_READ | HALO_MAY_WRITE};
    must(halo_ring_place_in(halo_shm_share(shared), SIZE, &place) == 0, "place");
    must(halo_driver_init(&driver, &place, driver_chains) == 0, "driver");
    must(halo_device_init(&device, &place, &memory, device_chains, UINT32_MAX) == 0, "device");
}

static void submit(uint32_t count)
{
    const struct halo_buf buf = {(uintptr_t)payload, 64};

    for (uint32_t i = 0; i < count; i++)
        must(halo_driver_add(&driver, &buf, 1, 0) >= 0, "add");
    halo_driver_publish(&driver);
}

/* Take what is there, give it back, return how many. */
static uint32_t serve(void)
{
    struct halo_span spans[4];
    struct halo_chain chain;
    uint32_t count = 0;
    int got;

    while ((got = halo_device_poll(&device, &chain, spans, 4)) > 0) {
        must(halo_device_complete(&device, chain.token, 0) == 0, "complete");
        count++;
    }
    must(got == 0, "poll");
    halo_device_publish(&device);
    return count;
}

static uint32_t reap(void)
{
    struct halo_used used;
    uint32_t count = 0;
    int got;

    while ((got = halo_driver_poll(&driver, &used)) > 0)
        count++;
    must(got == 0, "driver poll");
    return count;
}

/* One thread plays both sides. Returns ns for each element. */
static double one_thread(uint32_t batch, uint32_t rounds)
{
    double start = now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        submit(batch);
        must(serve() == batch && reap() == batch, "an element was lost");
    }
    return (now_ns() - start) / rounds / batch;
}

static double ring_single(void)
{
    return one_thread(1, 4000);
}

static double ring_batch(void)
{
    return one_thread(64, 100);
}

/* Two threads. The other one serves until it is told to stop. */
static struct {
    _Alignas(128) int stop;
    _Alignas(128) uint32_t ping;
    _Alignas(128) uint32_t pong;
} lines;

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set); /* where there is a choice */
}

static bool stopped(void)
{
    return __atomic_load_n(&lines.stop, __ATOMIC_RELAXED);
}

static void *serve_ring(void *unused)
{
    (void)unused;
    pin(1);
    while (!stopped()) {
        if (serve() == 0)
            relax();
    }
    return NULL;
}

static void *serve_lines(void *unused)
{
    uint32_t seen = 0;

    (void)unused;
    pin(1);
    while (!stopped()) {
        uint32_t ping = __atomic_load_n(&lines.ping, __ATOMIC_ACQUIRE);

        if (ping != seen) {
            seen = ping;
            __atomic_store_n(&lines.pong, ping, __ATOMIC_RELEASE);
        } else {
            relax();
        }
    }
    return NULL;
}

static double with_peer(void *(*peer)(void *), double (*body)(uint32_t), uint32_t rounds)
{
    pthread_t thread;
    double result;

    __atomic_store_n(&lines.stop, 0, __ATOMIC_RELAXED);
    must(pthread_create(&thread, NULL, peer, NULL) == 0, "thread");
    (void)body(rounds / 10 + 1);
    result = body(rounds);
    __atomic_store_n(&lines.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return result;
}

static double lines_body(uint32_t rounds)
{
    double start = now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        uint32_t next = __atomic_load_n(&lines.ping, __ATOMIC_RELAXED) + 1;

        __atomic_store_n(&lines.ping, next, __ATOMIC_RELEASE);
        while (__atomic_load_n(&lines.pong, __ATOMIC_ACQUIRE) != next)
            relax();
    }
    return (now_ns() - start) / rounds;
}

static double two_line_floor(void)
{
    memset(&lines, 0, sizeof(lines));
    return with_peer(serve_lines, lines_body, 2000);
}

static double pingpong_body(uint32_t rounds)
{
    double start = now_ns();

    for (uint32_t i = 0; i < rounds; i++) {
        submit(1);
        while (reap() == 0)
            relax();
    }
    return (now_ns() - start) / rounds;
}

static double stream_body(uint32_t rounds)
{
    double start = now_ns();
    uint32_t sent = 0, done = 0;

    while (done < rounds) {
        if (sent < rounds && halo_driver_room(&driver) >= BURST) {
            submit(BURST);
            sent += BURST;
        }
        done += reap();
    }
    return (now_ns() - start) / done;
}

static double ring_pingpong(void)
{
    return with_peer(serve_ring, pingpong_body, 2000);
}

static double ring_stream(void)
{
    return with_peer(serve_ring, stream_body, 64 * 320);
}

struct row {
    const char *name;
    const char *what;
    double (*sample)(void);
    bool two_cores;
    double samples[SAMPLES], floors[SAMPLES];
};

static struct row rows[] = {
    {.name = "ring.single", .what = "one thread, one at a time", .sample = ring_single},
    {.name = "ring.batch64", .what = "one thread, batches of 64", .sample = ring_batch},
    {.name = "ring.pingpong",
     .what = "two cores, one in flight",
     .sample = ring_pingpong,
     .two_cores = true},
    {.name = "ring.stream",
     .what = "two cores, bursts of 32",
     .sample = ring_stream,
     .two_cores = true},
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(struct row *row)
{
    for (int i = 0; i < SAMPLES; i++) {
        double before = row->two_cores ? two_line_floor() : 0;

        start_ring();
        row->samples[i] = row->sample();
        row->floors[i] = row->two_cores ? (before + two_line_floor()) / 2 : 0;
    }
    qsort(row->samples, SAMPLES, sizeof(double), ascending);
    qsort(row->floors, SAMPLES, sizeof(double), ascending);
}

static void print_row(const struct row *row)
{
    printf("%-14s %-28s %8.1f %8.1f %8.1f", row->name, row->what, row->samples[SAMPLES / 2],
           row->samples[0], row->samples[SAMPLES * 99 / 100]);
    if (row->two_cores)
        printf(" %8.1f %6.2f\n", row->floors[SAMPLES / 2],
               row->floors[SAMPLES / 2] / row->samples[SAMPLES / 2]);
    else
        printf(" %8s %6s\n", "-", "-");
    fflush(stdout);
}

static void write_row(FILE *file, const struct row *row, bool first)
{
    fprintf(file,
            "%s\n    {\"name\": \"%s\", \"unit\": \"ns\", \"median\": %.2f, \"min\": %.2f, "
            "\"p99\": %.2f",
            first ? "" : ",", row->name, row->samples[SAMPLES / 2], row->samples[0],
            row->samples[SAMPLES * 99 / 100]);
    if (row->two_cores)
        fprintf(file,
                ", \"neighbour\": {\"name\": \"two cache lines\", \"median\": %.2f}, "
                "\"ratio\": %.3f, \"floor\": %.2f",
                row->floors[SAMPLES / 2], row->floors[SAMPLES / 2] / row->samples[SAMPLES / 2],
                row->floors[SAMPLES / 2]);
    fprintf(file, "}");
}

int main(int argc, char **argv)
{
    const char *pattern = "", *json = NULL;
    bool first = true;
    struct utsname host;
    FILE *file = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            json = argv[++i];
        else
            pattern = argv[i];
    }
    must(uname(&host) == 0, "uname");
    if (json) {
        file = fopen(json, "w");
        must(file != NULL, "cannot write the JSON file");
        fprintf(file, "{\n  \"machine\": \"%s %s %s, %ld cores\",\n  \"results\": [", host.sysname,
                host.release, host.machine, sysconf(_SC_NPROCESSORS_ONLN));
    }
    pin(0);
    printf("ns for submit + take + complete + reap of one element; ring of %u, %d samples\n\n"
           "%-14s %-28s %8s %8s %8s %8s %6s\n",
           SIZE, SAMPLES, "name", "", "median", "min", "p99", "2 lines", "ratio");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!strstr(rows[i].name, pattern))
            continue;
        if (rows[i].two_cores && sysconf(_SC_NPROCESSORS_ONLN) < 2) {
            printf("%-14s needs two cores\n", rows[i].name);
            continue;
        }
        measure(&rows[i]);
        print_row(&rows[i]);
        if (file)
            write_row(file, &rows[i], first);
        first = false;
    }
    if (file) {
        fprintf(file, "\n  ]\n}\n");
        fclose(file);
    }
    return 0;
}
