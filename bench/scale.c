/*
 * What an operation costs against how many of a thing there are: requests in flight, sandboxes,
 * streams that wait, functions. The operation is the same in each row of a kind, so a line that is
 * not level is a cost of what exists and is not active, or of caches.
 *
 * Sandboxes stay open from one sample to the next; opening them is not in it.
 */
#include "bench.h"
#include "machine.h"
#include <halo/device.h>
#include <halo/driver.h>
#include <halo/halo.h>
#include <halo/stream.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Requests in flight ----------------------------------------------------------------------- */

#define SIZE HALO_RING_MAX

static _Alignas(4096) unsigned char shared[SIZE * 16 + 128];
static unsigned char payload[64];
static struct halo_driver driver;
static struct halo_driver_chain driver_chains[SIZE];
static struct halo_device device;
static struct halo_device_chain device_chains[SIZE];
static struct halo_region region;
static const struct halo_memory memory = {&region, 1};

static void start_ring(void)
{
    struct halo_ring_place place;

    region = (struct halo_region){(uintptr_t)payload, sizeof(payload), halo_shm_share(payload),
                                  HALO_MAY_READ | HALO_MAY_WRITE};
    memset(shared, 0, sizeof(shared));
    bench_must(halo_ring_place_in(halo_shm_share(shared), SIZE, &place) == 0 &&
                   halo_driver_init(&driver, &place, driver_chains) == 0 &&
                   halo_device_init(&device, &place, &memory, device_chains, UINT32_MAX) == 0,
               "no ring");
}

/* As many as are in flight there, then as many back: each half of the way lies that far apart. */
static void laps(uint64_t operations, uint32_t in_flight)
{
    static struct halo_token tokens[SIZE];
    const struct halo_buf buf = {(uintptr_t)payload, sizeof(payload)};

    start_ring();
    for (uint64_t done = 0; done <= operations; done += in_flight) {
        if (done == in_flight) /* the first lap touches the pages */
            bench_begin();
        for (uint32_t i = 0; i < in_flight; i++)
            bench_must(halo_driver_submit(&driver, &buf, 1, 0) >= 0, "the ring is full");
        for (uint32_t i = 0; i < in_flight; i++) {
            struct halo_chain chain;
            struct halo_span span;

            bench_must(halo_device_poll(&device, &chain, &span, 1) == 1, "a request was lost");
            tokens[i] = chain.token;
        }
        for (uint32_t i = 0; i < in_flight; i++)
            bench_must(halo_device_finish(&device, tokens[i], 0) == 0, "cannot complete");
        for (uint32_t i = 0; i < in_flight; i++) {
            struct halo_used used;

            bench_must(halo_driver_poll(&driver, &used) == 1, "an answer was lost");
        }
    }
    bench_end();
}

/* --- Sandboxes -------------------------------------------------------------------------------- */

static const struct halo_signature successor = HALO_FN(HALO_I64, HALO_I64);

/* Three descriptors or more for each sandbox, and two for each stream. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    bench_must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "the limit of descriptors is not known");
    limit.rlim_cur = limit.rlim_max;
    bench_must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "descriptors cannot be had");
}

static struct halo_sandbox *open_guest(const char *mode, uint64_t number, bool is_process)
{
    char text[24];
    const char *const args[] = {mode, text};
    const struct halo_options options = {
        .backend = bench_backend(is_process), .args = args, .arg_count = 2};
    struct halo_sandbox *box;

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    bench_must(halo_open(&box, BENCH_SCALE, &options) == 0, "cannot open the guest");
    return box;
}

/* KiB that the machine could still give away. */
static double available(void)
{
    FILE *const file = fopen("/proc/meminfo", "r");
    char line[128];
    double kib = 0;

    while (file && fgets(line, sizeof(line), file) && sscanf(line, "MemAvailable: %lf", &kib) != 1)
        continue;
    if (file)
        (void)fclose(file);
    return kib;
}

#define BOXES 1000u

struct fleet {
    uint32_t count;
    bool is_process;
    double kib; /* each, once it has been called */
    struct halo_sandbox *boxes[BOXES];
    int functions[BOXES];
};

static void call(struct halo_sandbox *box, int function)
{
    struct halo_future future;
    const struct halo_value one = halo_i64(1);

    halo_call_start(box, &future, function, &one, 1);
    if (halo_wait(&future, HALO_FOREVER))
        bench_fail(halo_errmsg(box));
}

static void close_fleet(struct fleet *fleet)
{
    while (fleet->count > 0)
        halo_close(fleet->boxes[--fleet->count]);
}

static void open_fleet(struct fleet *fleet, uint32_t count)
{
    double before;

    close_fleet(fleet);
    allow_descriptors();
    before = available();
    for (; fleet->count < count; fleet->count++) {
        struct halo_sandbox *const box = open_guest("serve", 0, fleet->is_process);

        if (halo_serve_begin(box, HALO_FOREVER))
            bench_fail(halo_errmsg(box));
        fleet->boxes[fleet->count] = box;
        fleet->functions[fleet->count] = halo_lookup(box, "successor", &successor);
        bench_must(fleet->functions[fleet->count] >= 0, "the guest lacks its function");
        call(box, fleet->functions[fleet->count]);
    }
    fleet->kib = (before - available()) / count;
}

/* A call of each, in turn. */
static void call_all(struct fleet *fleet, uint32_t count, uint64_t operations)
{
    char words[40];

    if (fleet->count != count)
        open_fleet(fleet, count);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++)
        call(fleet->boxes[i % count], fleet->functions[i % count]);
    bench_end();
    if (count < 10) /* less than what the rest of the machine takes and gives meanwhile */
        return;
    (void)snprintf(words, sizeof(words), "%.0f KiB each", fleet->kib);
    bench_remark(words);
}

static struct fleet machines, processes = {.is_process = true};

static void close_fleets(void)
{
    close_fleet(&machines);
    close_fleet(&processes);
}

/* --- Opening ---------------------------------------------------------------------------------- */

/* The whole life of a sandbox that is called once. */
static void live(bool is_process, uint64_t operations)
{
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        struct halo_sandbox *const box = open_guest("serve", 0, is_process);

        if (halo_serve_begin(box, HALO_FOREVER))
            bench_fail(halo_errmsg(box));
        call(box, halo_lookup(box, "successor", &successor));
        halo_close(box);
    }
    bench_end();
}

/* That of a process that does nothing, from the same program. */
static void fork_and_exec(uint64_t operations)
{
    bench_begin();
    for (uint64_t i = 0; i < operations; i++) {
        const pid_t child = fork();
        int status;

        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(1);
        }
        bench_must(child > 0 && waitpid(child, &status, 0) == child && status == 0,
                   "/bin/true cannot be started");
    }
    bench_end();
}

/* --- Streams that wait, beside calls ---------------------------------------------------------- */

static struct {
    uint32_t count;
    struct halo_sandbox *box;
    int function, pipes[HALO_STREAMS_MAX][2];
} waiting;

static void open_waiting(uint32_t count)
{
    if (waiting.box)
        halo_close(waiting.box);
    for (uint32_t i = 0; i < waiting.count; i++) {
        close(waiting.pipes[i][0]);
        close(waiting.pipes[i][1]);
    }
    allow_descriptors();
    waiting.box = open_guest("serve", count, false);
    waiting.count = count;
    for (uint32_t i = 0; i < count; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%03" PRIu32, i);
        bench_must(pipe(waiting.pipes[i]) == 0, "no pipe");
        if (halo_offer(waiting.box, name, halo_end_fd(waiting.pipes[i][0]), HALO_IN, NULL))
            bench_fail(halo_errmsg(waiting.box));
    }
    if (halo_serve_begin(waiting.box, HALO_FOREVER) ||
        (waiting.function = halo_lookup(waiting.box, "successor", &successor)) < 0)
        bench_fail(halo_errmsg(waiting.box));
    for (uint32_t i = 0; i < 64; i++)
        call(waiting.box, waiting.function);
}

static void call_beside(uint32_t count, uint64_t operations)
{
    if (!waiting.box || waiting.count != count)
        open_waiting(count);
    bench_begin();
    for (uint64_t i = 0; i < operations; i++)
        call(waiting.box, waiting.function);
    bench_end();
}

/* --- Functions -------------------------------------------------------------------------------- */

static void mark_begin(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call, (void)args, (void)context;
    bench_begin();
}

static void mark_end(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call, (void)args, (void)context;
    bench_end();
}

static void next(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, halo_i64(args[0].i64 + 1));
}

/* The guest calls the one that was provided last. */
static void call_one_of(uint32_t count, uint64_t operations)
{
    static const struct halo_signature mark = HALO_FN(HALO_VOID);
    struct halo_sandbox *const box = open_guest("calls", operations, false);
    int error = halo_provide(box, "begin", &mark, mark_begin, NULL), code = 0;

    error = error ? error : halo_provide(box, "end", &mark, mark_end, NULL);
    for (uint32_t i = 3; i < count && !error; i++) {
        char name[24];

        (void)snprintf(name, sizeof(name), "function%" PRIu32, i);
        error = halo_provide(box, name, &successor, next, NULL);
    }
    error = error ? error : halo_provide(box, "next", &successor, next, NULL);
    if (error || halo_run(box, HALO_FOREVER, &code) || code != 0)
        bench_fail(halo_errmsg(box));
    halo_close(box);
}

/* --- Rows ------------------------------------------------------------------------------------- */

BENCH_SAMPLE(inflight1, 2000, laps(n, 1))
BENCH_SAMPLE(inflight32, 3200, laps(n, 32))
BENCH_SAMPLE(inflight1024, 10240, laps(n, 1024))
BENCH_SAMPLE(inflight32768, SIZE, laps(n, SIZE))
BENCH_SAMPLE(open_process, 4, live(true, n))
BENCH_SAMPLE(open_kvm, 4, live(false, n))
BENCH_SAMPLE(exec_true, 4, fork_and_exec(n))
BENCH_SAMPLE(boxes1, 256, call_all(&machines, 1, n))
BENCH_SAMPLE(boxes10, 250, call_all(&machines, 10, n))
BENCH_SAMPLE(boxes100, 300, call_all(&machines, 100, n))
BENCH_SAMPLE(boxes1000, 1000, call_all(&machines, 1000, n))
BENCH_SAMPLE(boxes1_process, 256, call_all(&processes, 1, n))
BENCH_SAMPLE(boxes10_process, 250, call_all(&processes, 10, n))
BENCH_SAMPLE(boxes100_process, 300, call_all(&processes, 100, n))
BENCH_SAMPLE(boxes1000_process, 1000, call_all(&processes, 1000, n))
BENCH_SAMPLE(streams1, 256, call_beside(1, n))
BENCH_SAMPLE(streams16, 256, call_beside(16, n))
BENCH_SAMPLE(streams64, 256, call_beside(64, n))
BENCH_SAMPLE(streams250, 256, call_beside(250, n))
BENCH_SAMPLE(functions3, 256, call_one_of(3, n))
BENCH_SAMPLE(functions32, 256, call_one_of(32, n))
BENCH_SAMPLE(functions256, 256, call_one_of(256, n))

const struct bench_row bench_scale_rows[] = {
    BENCH_POINT("scale.inflight.1", "a ring of 32768, one request in flight", inflight1,
                {NULL, NULL, NULL}),
    BENCH_POINT("scale.inflight.32", "32 in flight", inflight32, {NULL, NULL, NULL}),
    BENCH_POINT("scale.inflight.1024", "1024 in flight", inflight1024, {NULL, NULL, NULL}),
    BENCH_POINT("scale.inflight.32768", "all of it in flight", inflight32768, {NULL, NULL, NULL}),
    /* Before there are sandboxes, whose memory each fork would have to copy the map of. */
    BENCH_POINT("scale.open", "open a sandbox, call it, close it", open_kvm,
                {"fork and exec /bin/true", exec_true, NULL}),
    BENCH_POINT("scale.open.process", "the same in a process", open_process,
                {"fork and exec /bin/true", exec_true, NULL}),
    BENCH_POINT("scale.sandboxes.1", "a call of one sandbox, one an exit", boxes1,
                {"in a process", boxes1_process, NULL}),
    BENCH_POINT("scale.sandboxes.10", "of 10 sandboxes in turn", boxes10,
                {"in a process", boxes10_process, NULL}),
    BENCH_POINT("scale.sandboxes.100", "of 100", boxes100,
                {"in a process", boxes100_process, NULL}),
    {.name = "scale.sandboxes.1000",
     .what = "of 1000",
     .sample = boxes1000,
     .is_brief = true,
     .leave = close_fleets,
     .neighbours = {{"in a process", boxes1000_process, NULL}}},
    BENCH_POINT("scale.streams.1", "a call, while the guest waits for one silent pipe", streams1,
                {NULL, NULL, NULL}),
    BENCH_POINT("scale.streams.16", "for 16", streams16, {NULL, NULL, NULL}),
    BENCH_POINT("scale.streams.64", "for 64", streams64, {NULL, NULL, NULL}),
    BENCH_POINT("scale.streams.250", "for 250", streams250, {NULL, NULL, NULL}),
    BENCH_POINT("scale.functions.3", "a call of one of the host's three functions", functions3,
                {NULL, NULL, NULL}),
    BENCH_POINT("scale.functions.32", "of 32", functions32, {NULL, NULL, NULL}),
    BENCH_POINT("scale.functions.256", "of 256, as many as there can be", functions256,
                {NULL, NULL, NULL}),
    {.name = NULL},
};
