/*
 * Two full queues, step by step: two_queues.h over the test flavour of shm.h. Both sides are
 * coroutines on one thread, and a seeded random choice lets one of them go on at each access to
 * shared memory. Stores wait in a buffer of their side, in order, as long as chance has it; fences,
 * rings of the bell and sleep wait for it, as on x86. A run that fails repeats from its seed, and
 * two sides that both sleep are found out at once, not by a clock.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

#define REQUESTS 300u
#define SEEDS 60u
#define STEPS_MAX 200000u /* of a run; ten times what the longest needs */
#define STACK_LEN 262144u
#define BUFFERED_MAX 12u

struct bell {
    bool rung;
};

static void ring_bell(struct bell *bell);
static void sleep_until_rung(struct bell *bell);

#include "../concurrency/two_queues.h"

/* One store on its way: 8 bytes, or the 4 of an event word. */
struct store {
    void *at;
    uint64_t value;
    uint32_t len;
};

static struct coroutine {
    ucontext_t context;
    struct side side;
    unsigned char *stack;
    struct store buffer[BUFFERED_MAX];
    uint32_t buffered;
    bool asleep, done;
} sides[2];

static ucontext_t scheduler;
static struct coroutine *running;
static uint64_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static void yield(void)
{
    swapcontext(&running->context, &scheduler);
}

static void land_one(struct coroutine *side)
{
    const struct store *first = &side->buffer[0];

    memcpy(first->at, &first->value, first->len);
    memmove(side->buffer, side->buffer + 1, --side->buffered * sizeof(*side->buffer));
}

static void land_all(void)
{
    yield();
    while (running->buffered > 0)
        land_one(running);
}

static uint64_t load(const void *at, uint32_t len)
{
    uint64_t value = 0;

    if (running)
        yield();
    memcpy(&value, at, len);
    if (!running)
        return value;
    for (uint32_t i = 0; i < running->buffered; i++) {
        if (running->buffer[i].at == at)
            value = running->buffer[i].value;
    }
    return value;
}

static void store(void *at, uint64_t value, uint32_t len)
{
    if (!running) { /* before the start */
        memcpy(at, &value, len);
        return;
    }
    yield();
    if (running->buffered == BUFFERED_MAX)
        land_one(running);
    running->buffer[running->buffered++] = (struct store){at, value, len};
}

static void *plain(const HALO_SHARED void *at)
{
    return (void *)(uintptr_t)at;
}

uint64_t halo_shm_load_meta(const HALO_SHARED struct halo_desc *desc)
{
    return load(&((struct halo_desc *)plain(desc))->meta, 8);
}

uint64_t halo_shm_load_addr(const HALO_SHARED struct halo_desc *desc)
{
    return load(&((struct halo_desc *)plain(desc))->addr, 8);
}

void halo_shm_stage_addr(HALO_SHARED struct halo_desc *desc, uint64_t addr)
{
    store(&((struct halo_desc *)plain(desc))->addr, addr, 8);
}

void halo_shm_stage_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store(&((struct halo_desc *)plain(desc))->meta, meta, 8);
}

void halo_shm_publish_meta(HALO_SHARED struct halo_desc *desc, uint64_t meta)
{
    store(&((struct halo_desc *)plain(desc))->meta, meta, 8);
}

uint32_t halo_shm_load_event(const HALO_SHARED struct halo_event *event)
{
    return (uint32_t)load(plain(event), 4);
}

void halo_shm_store_event(HALO_SHARED struct halo_event *event, uint32_t word)
{
    store(plain(event), word, 4);
}

void halo_shm_fence(void)
{
    land_all();
}

static void ring_bell(struct bell *bell)
{
    land_all();
    bell->rung = true;
}

static void sleep_until_rung(struct bell *bell)
{
    land_all();
    while (!bell->rung) {
        running->asleep = true;
        yield();
    }
    running->asleep = false;
    bell->rung = false;
}

static void start(void)
{
    live(&running->side);
    land_all();
    running->done = true;
    yield();
}

static bool can_go_on(const struct coroutine *side)
{
    return !side->done && (!side->asleep || side->side.bell.rung);
}

/* NULL, or what keeps them from the end. */
static const char *run_both(void)
{
    for (int i = 0; i < 2; i++) {
        struct coroutine *side = &sides[i];

        getcontext(&side->context);
        side->context.uc_stack.ss_sp = side->stack;
        side->context.uc_stack.ss_size = STACK_LEN;
        side->context.uc_link = NULL;
        makecontext(&side->context, start, 0);
        side->buffered = 0;
        side->asleep = side->done = false;
    }
    for (uint32_t step = 0; !sides[0].done || !sides[1].done; step++) {
        struct coroutine *side = &sides[chance(2)];

        if (step == STEPS_MAX)
            return "no end";
        if (side->buffered > 0 && chance(3) == 0) {
            land_one(side);
            continue;
        }
        if (!can_go_on(side))
            side = &sides[side == &sides[0]];
        if (!can_go_on(side)) {
            if (sides[0].buffered + sides[1].buffered == 0)
                return "both sides wait for each other";
            continue;
        }
        running = side;
        swapcontext(&scheduler, &side->context);
    }
    return NULL;
}

static void r16_two_full_queues_make_progress_in_every_order(void **state)
{
    (void)state;
    for (size_t shape = 0; shape < TWO_QUEUES_SHAPES; shape++) {
        for (uint32_t number = 0; number < SEEDS; number++) {
            struct queue *queues;
            const char *wrong;

            seed = number;
            for (int i = 0; i < 2; i++) {
                memset(&sides[i].side, 0, sizeof(sides[i].side));
                sides[i].side.seed = number + (uint32_t)i;
                sides[i].stack = malloc(STACK_LEN);
            }
            running = NULL;
            queues = open_both(&sides[0].side, &sides[1].side, two_queues_shapes[shape].ring_size,
                               two_queues_shapes[shape].bufs, REQUESTS);
            wrong = run_both();
            if (wrong)
                fail_msg("ring of %u, %u buffers, seed %u: %s", two_queues_shapes[shape].ring_size,
                         two_queues_shapes[shape].bufs, number, wrong);
            running = NULL;
            assert_all_home(queues, &sides[0].side, &sides[1].side);
            free(queues);
            for (int i = 0; i < 2; i++)
                free(sides[i].stack);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r16_two_full_queues_make_progress_in_every_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
