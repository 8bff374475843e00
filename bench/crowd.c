/*
 * Many sandboxes on few threads: what a call takes, from being submitted to an executor until it is
 * told of, where 500 are attached, and what it takes where some of them spin; how calls of a second
 * grow with the number of sandboxes; and what it costs that another thread runs a guest than did so
 * last, for which older KVMs wait for all processors.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "machine.h"
#include <halo/executor.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOXES 500u
#define SPINNERS 10u
#define WORKERS 2u
#define IN_FLIGHT 16u /* by one loop; each call is of the next sandbox that has none */
#define CALLS_MAX 2000u

static const struct halo_signature number = HALO_FN(HALO_I64, HALO_I64),
                                   endless = HALO_FN(HALO_VOID);

struct place {
    struct halo_sandbox *box;
    int successor, spin;
    struct halo_task task;
    double begin;
    bool is_busy;
};

static struct crowd {
    bool is_process, is_open;
    struct halo_executor *executor;
    struct place places[BOXES];
    uint32_t next, told;
    double took[CALLS_MAX];
} kvm, process = {.is_process = true};

static void told(struct halo_task *task, void *context)
{
    struct place *place = context;
    struct crowd *crowd =
        place >= process.places && place < process.places + BOXES ? &process : &kvm;

    bench_must(task->error == 0, "a call of one of many failed");
    crowd->took[crowd->told++] = bench_now_ns() - place->begin;
    place->is_busy = false;
}

static void spun(struct halo_task *task, void *context)
{
    (void)task;
    ((struct place *)context)->is_busy = false;
}

static struct halo_sandbox *open_one(bool is_process)
{
    const char *const args[] = {"serve"};
    const struct halo_options options = {
        .backend = bench_backend(is_process), .args = args, .arg_count = 1};
    struct halo_sandbox *box;

    if (halo_open(&box, BENCH_GUEST, &options) || halo_serve_begin(box, HALO_FOREVER))
        bench_fail(halo_errmsg(box));
    return box;
}

static void open_crowd(struct crowd *crowd)
{
    if (crowd->is_open)
        return;
    crowd->is_open = true;
    bench_must(halo_executor_open(&crowd->executor, WORKERS) == 0, "no executor");
    for (uint32_t i = 0; i < BOXES; i++) {
        struct place *place = &crowd->places[i];

        place->box = open_one(crowd->is_process);
        place->successor = halo_lookup(place->box, "successor", &number);
        place->spin = halo_lookup(place->box, "spin", &endless);
        bench_must(place->successor > 0 && place->spin > 0, "a function is missing");
        bench_must(halo_executor_attach(crowd->executor, place->box) == 0, "not attached");
    }
}

static void turn(struct crowd *crowd)
{
    struct pollfd pollfd = {.fd = halo_fd(crowd->executor), .events = POLLIN};

    (void)poll(&pollfd, 1, -1);
    (void)halo_turn(crowd->executor);
}

static void submit(struct place *place, int function, void (*done)(struct halo_task *, void *),
                   const struct halo_value *args, size_t count)
{
    place->task = (struct halo_task){.done = done, .context = place};
    place->is_busy = true;
    place->begin = bench_now_ns();
    bench_must(halo_submit(place->box, &place->task, function, args, count, HALO_FOREVER) == 0,
               "not submitted");
}

/* The sandboxes from SPINNERS on, so many of them, are called in turn. */
static void call_in_turn(struct crowd *crowd, uint32_t boxes, uint32_t in_flight, uint64_t calls)
{
    const struct halo_value one = halo_i64(1);

    crowd->told = 0;
    for (uint64_t sent = 0; crowd->told < calls;) {
        while (sent < calls && sent - crowd->told < in_flight) {
            struct place *place = &crowd->places[SPINNERS + crowd->next++ % boxes];

            if (place->is_busy)
                continue;
            submit(place, place->successor, told, &one, 1);
            sent++;
        }
        turn(crowd);
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void remark(struct crowd *crowd)
{
    char words[64];

    qsort(crowd->took, crowd->told, sizeof(double), ascending);
    (void)snprintf(words, sizeof(words), "p50 %.3g, p99 %.3g, p99.9 %.3g ms",
                   crowd->took[crowd->told / 2] / 1e6,
                   crowd->took[(uint64_t)crowd->told * 99 / 100] / 1e6,
                   crowd->took[(uint64_t)crowd->told * 999 / 1000] / 1e6);
    bench_remark(words);
}

/* So many of them spin meanwhile. What one of those was called for before it still computes. */
static double among(struct crowd *crowd, uint32_t spinners)
{
    double ns;

    open_crowd(crowd);
    for (uint32_t i = 0; i < spinners; i++)
        submit(&crowd->places[i], crowd->places[i].spin, spun, NULL, 0);
    call_in_turn(crowd, BOXES - SPINNERS, IN_FLIGHT, BOXES); /* each has been run by its worker */
    ns = bench_now_ns();
    call_in_turn(crowd, BOXES - SPINNERS, IN_FLIGHT, CALLS_MAX);
    ns = (bench_now_ns() - ns) / CALLS_MAX;
    for (uint32_t i = 0; i < spinners; i++)
        halo_cancel(&crowd->places[i].task);
    for (uint32_t i = 0; i < spinners; i++) {
        while (crowd->places[i].is_busy)
            turn(crowd);
    }
    remark(crowd);
    return ns;
}

static double grown(struct crowd *crowd, uint32_t boxes)
{
    double ns;

    open_crowd(crowd);
    ns = bench_now_ns();
    call_in_turn(crowd, boxes, boxes < IN_FLIGHT ? boxes : IN_FLIGHT, CALLS_MAX);
    ns = (bench_now_ns() - ns) / CALLS_MAX;
    remark(crowd);
    return ns;
}

/* --- Another thread each time ----------------------------------------------------------------- */

static struct {
    struct halo_sandbox *box;
    int function;
    sem_t go, done;
} moved;

static void call_once(void)
{
    struct halo_future future;

    if (halo_call(moved.box, &future, moved.function, HALO_FOREVER, halo_i64(1)))
        bench_fail(halo_errmsg(moved.box));
}

static void *call_when_told(void *unused)
{
    (void)unused;
    bench_stay();
    for (;;) {
        (void)sem_wait(&moved.go);
        if (!moved.box)
            return NULL;
        call_once();
        (void)sem_post(&moved.done);
    }
}

/* A call by this thread and one by another, on the same processor; what the two semaphores cost is
 * in it, and is the neighbour. */
static void move(bool is_process, bool moves, uint64_t calls)
{
    pthread_t thread;

    bench_stay();
    moved.box = open_one(is_process);
    moved.function = halo_lookup(moved.box, "successor", &number);
    bench_must(sem_init(&moved.go, 0, 0) == 0 && sem_init(&moved.done, 0, 0) == 0, "no semaphores");
    call_once();
    if (moves)
        bench_must(pthread_create(&thread, NULL, call_when_told, NULL) == 0, "no thread");
    bench_begin();
    for (uint64_t i = 0; i < calls; i += 2) {
        call_once();
        if (!moves) {
            call_once();
            continue;
        }
        (void)sem_post(&moved.go);
        (void)sem_wait(&moved.done);
    }
    bench_end();
    halo_close(moved.box);
    moved.box = NULL;
    if (moves) {
        (void)sem_post(&moved.go);
        pthread_join(thread, NULL);
    }
}

/* --- Rows ------------------------------------------------------------------------------------- */

#define CROWD(name, of, statement) \
    static double name(void)       \
    {                              \
        return statement;          \
    }

CROWD(kvm_quiet, kvm, among(&kvm, 0))
CROWD(kvm_spun, kvm, among(&kvm, SPINNERS))
CROWD(process_quiet, process, among(&process, 0))
CROWD(process_spun, process, among(&process, SPINNERS))
CROWD(kvm1, kvm, grown(&kvm, 1))
CROWD(kvm10, kvm, grown(&kvm, 10))
CROWD(kvm100, kvm, grown(&kvm, 100))
CROWD(kvm490, kvm, grown(&kvm, BOXES - SPINNERS))
CROWD(process1, process, grown(&process, 1))
CROWD(process10, process, grown(&process, 10))
CROWD(process100, process, grown(&process, 100))
CROWD(process490, process, grown(&process, BOXES - SPINNERS))
BENCH_SAMPLE(kvm_moved, 200, move(false, true, n))
BENCH_SAMPLE(kvm_stays, 200, move(false, false, n))
BENCH_SAMPLE(process_moved, 200, move(true, true, n))
BENCH_SAMPLE(process_stays, 200, move(true, false, n))

const struct bench_row bench_crowd_rows[] = {
    BENCH_POINT("threaded.moved.kvm", "a call by another thread than the last, in turns", kvm_moved,
                {"by the same", kvm_stays, NULL}),
    BENCH_POINT("threaded.moved.process", "the same in a process", process_moved,
                {"by the same", process_stays, NULL}),
    BENCH_POINT("threaded.crowd.kvm", "a call of one of 490, while 10 others spin", kvm_spun,
                {"while none does", kvm_quiet, NULL}),
    BENCH_POINT("threaded.crowd.process", "the same in processes", process_spun,
                {"while none does", process_quiet, NULL}),
    BENCH_POINT("threaded.boxes.1", "a call of one sandbox, by way of an executor", kvm1,
                {"in a process", process1, NULL}),
    BENCH_POINT("threaded.boxes.10", "of 10 sandboxes in turn, 10 in flight", kvm10,
                {"in a process", process10, NULL}),
    BENCH_POINT("threaded.boxes.100", "of 100, 16 in flight", kvm100,
                {"in a process", process100, NULL}),
    BENCH_POINT("threaded.boxes.490", "of 490", kvm490, {"in a process", process490, NULL}),
    {.name = NULL},
};
