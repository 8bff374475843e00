/*
 * A driver's two halves on two threads, and its device on a third: every message arrives, once and
 * whole, nobody sleeps through a wake-up, and what a thread keeps for an id is its own while the id
 * is. Then the same halves before a device that writes what it likes, which may make them latch,
 * and no more. Run it under TSan, too: the messages are plain memory.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "threads.h"

#include <halo/device.h>
#include <halo/halves.h>

#define MESSAGES 30000u
#define SIZE_MAX_HERE 256u
#define BATCH 8u

struct message {
    uint64_t question, answer;
};

static struct {
    unsigned char *memory;
    struct halo_ring_place place;
    struct halo_halves halves;
    uint64_t records[SIZE_MAX_HERE];
    HALO_HALVES_LINES uint16_t ids[SIZE_MAX_HERE];
    uint16_t seen[SIZE_MAX_HERE];
    HALO_HALVES_LINES struct halo_device device;
    struct halo_device_chain device_chains[SIZE_MAX_HERE];
    /* By the number of a buffer: the submitting thread's when it is free, then the device's, then
     * the reaping thread's. A buffer's number is the next one, round and round. */
    struct message messages[SIZE_MAX_HERE];
    /* By id: which message it is. Written before the chain is submitted, so by what is known of the
     * next id; read and cleared between poll and return. */
    uint64_t asked[SIZE_MAX_HERE];
    struct halo_region region;
    struct halo_memory ram;
    sem_t kick, notify, room;
    uint32_t guesses;
    bool breaks; /* the device may break the rules */
} t;

/* The device: takes what is there, answers in another order, sleeps. */
static void *serve(void *unused)
{
    uint64_t random = 2463534242u, served = 0;

    (void)unused;
    while (served < MESSAGES) {
        struct halo_token held[4];
        uint32_t held_count = 0;
        struct halo_span spans[1];
        struct halo_chain chain;

        while (held_count < 4 && halo_device_poll(&t.device, &chain, spans, 1) > 0) {
            struct message *message = halo_shm_expose(spans[0].base);

            message->answer = ~message->question;
            held[held_count++] = chain.token;
        }
        for (uint32_t i = held_count; i > 0; i--) {
            const uint32_t which = (uint32_t)(next_random(&random) % i);

            halo_device_complete(&t.device, held[which], sizeof(struct message));
            held[which] = held[i - 1];
        }
        served += held_count;
        if (held_count > 0) {
            halo_device_publish(&t.device);
            if (halo_device_should_notify(&t.device))
                sem_post(&t.notify);
        } else if (!halo_device_arm(&t.device)) {
            sleep_on(&t.kick);
        }
        halo_device_disarm(&t.device);
    }
    return NULL;
}

/* Submit `count` messages, one by one or at once, where there is room; the id that comes next is
 * known beforehand, as is the message that is free with it. Room that was there stays, unless the
 * reaping half latches in between, which only a device that breaks the rules brings about. */
static uint32_t submit(uint64_t number, uint32_t count, bool at_once)
{
    struct halo_submitter *half = &t.halves.submitter;
    const uint32_t room = halo_submitter_room(half), size = t.place.size;
    struct halo_buf bufs[BATCH];
    uint16_t ids[BATCH];

    if (count > room)
        count = room;
    for (uint32_t i = 0; i < count; i++) {
        const uint16_t id = halo_shm_load_id(&half->ids[(half->next + i) % size]);

        t.asked[id] = (number + i) * 0x9e3779b97f4a7c15ull;
        t.messages[id] = (struct message){t.asked[id], 0};
        bufs[i] = (struct halo_buf){(uintptr_t)&t.messages[id], sizeof(struct message)};
    }
    if (at_once && count > 0) {
        const int sent = halo_submitter_submit_batch(half, bufs, count, true, ids);

        if (sent != (int)count && !(t.breaks && sent == HALO_EBROKEN))
            abort();
    }
    for (uint32_t i = 0; i < count && !at_once; i++) {
        const int id = halo_submitter_submit(half, &bufs[i], 0, 1);

        if (id < 0 && !(t.breaks && id == HALO_EBROKEN))
            abort();
    }
    return count;
}

static void *submit_all(void *unused)
{
    uint64_t random = 88172645463325252ull, number = 0;

    (void)unused;
    while (number < MESSAGES) {
        uint64_t count = 1 + next_random(&random) % BATCH;

        if (count > MESSAGES - number)
            count = MESSAGES - number;
        count = submit(number, (uint32_t)count, next_random(&random) % 2);
        number += count;
        if (halo_submitter_should_kick(&t.halves.submitter))
            sem_post(&t.kick);
        if (count == 0)
            sleep_on(&t.room); /* posted for each chain that was returned */
    }
    return NULL;
}

static void start(uint32_t size)
{
    memset(&t, 0, sizeof(t));
    t.memory = aligned_alloc(64, halo_ring_bytes(size));
    memset(t.memory, 0, halo_ring_bytes(size));
    t.region = (struct halo_region){(uintptr_t)t.messages, sizeof(t.messages),
                                    halo_shm_share(t.messages), HALO_MAY_READ | HALO_MAY_WRITE};
    t.ram = (struct halo_memory){&t.region, 1};
    sem_init(&t.kick, 0, 0);
    sem_init(&t.notify, 0, 0);
    sem_init(&t.room, 0, 0);
    assert_int_equal(halo_ring_place_in(halo_shm_share(t.memory), size, &t.place), 0);
    assert_int_equal(halo_halves_init(&t.halves, &t.place, t.records, t.ids, t.seen), 0);
    assert_int_equal(halo_device_init(&t.device, &t.place, &t.ram, t.device_chains, UINT32_MAX), 0);
}

static void end(void)
{
    sem_destroy(&t.kick);
    sem_destroy(&t.notify);
    sem_destroy(&t.room);
    free(t.memory);
}

/* Look at what came back, and hand it over. */
static uint64_t finish(const struct halo_used *used, int count)
{
    uint64_t wrong = 0;

    for (int i = 0; i < count; i++) {
        const uint16_t id = used[i].id;

        wrong += used[i].len != sizeof(struct message) || t.messages[id].answer != ~t.asked[id];
        t.asked[id] = 0;
    }
    halo_reaper_return(&t.halves.reaper);
    for (int i = 0; i < count; i++)
        sem_post(&t.room);
    return wrong;
}

static void talk(uint32_t size)
{
    struct halo_reaper *half = &t.halves.reaper;
    struct halo_used used[BATCH];
    uint64_t wrong = 0, done = 0;
    pthread_t device, submitter;

    start(size);
    assert_int_equal(pthread_create(&device, NULL, serve, NULL), 0);
    assert_int_equal(pthread_create(&submitter, NULL, submit_all, NULL), 0);
    while (done < MESSAGES) {
        const int got = halo_reaper_poll_batch(half, used, BATCH);

        assert_true(got >= 0);
        wrong += finish(used, got);
        done += (uint64_t)got;
        if (got == 0 && !halo_reaper_arm(half))
            sleep_on(&t.notify);
        halo_reaper_disarm(half);
    }
    pthread_join(device, NULL);
    pthread_join(submitter, NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(halo_submitter_room(&t.halves.submitter), size);
    assert_int_equal(t.device.violation.reason, 0);
    end();
}

static void two_halves_and_a_device_lose_nothing(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 8, 255, 256};

    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        talk(sizes[i]);
}

/*
 * A device that answers with any id: of a chain that has been there for long, or one that is being
 * submitted, or none. Its stores order nothing.
 */
static void *guess(void *unused)
{
    uint64_t random = 88172645463325252ull + t.guesses;
    const uint32_t size = t.place.size;

    (void)unused;
    for (uint32_t at = 0, looked = 0; looked < 20000; looked++) {
        HALO_SHARED struct halo_desc *desc = t.place.desc + at % size;
        const uint32_t there = halo_meta_flags(halo_shm_load_meta(desc)) & HALO_PHASE_MASK;
        const bool odd = at / size % 2;

        if (there != (odd ? HALO_DESC_USED : HALO_DESC_AVAIL))
            continue;
        halo_shm_stage_meta(
            desc, halo_meta(0, (uint16_t)(next_random(&random) % size), odd ? 0 : HALO_PHASE_MASK));
        at++;
    }
    return NULL;
}

static void *submit_until_broken(void *unused)
{
    uint64_t number = 0;

    (void)unused;
    for (uint32_t turn = 0; turn < 100000; turn++) {
        const struct halo_buf none = {0, 0};

        number += submit(number, 1 + turn % BATCH, turn % 2);
        if (halo_submitter_submit_batch(&t.halves.submitter, &none, 1, false, (uint16_t[1]){0}) ==
            HALO_EBROKEN)
            break;
    }
    return NULL;
}

/* Whether an entry is taken or refused depends on when it comes: neither half reads what the other
 * one is writing, which TSan sees, and each id is one that was submitted. */
static void a_device_that_guesses_makes_no_race(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        struct halo_used used[BATCH];
        pthread_t device, submitter;
        uint64_t turns = 0;
        int got = 0;

        start(1 + i % 16);
        t.guesses = i;
        t.breaks = true;
        assert_int_equal(pthread_create(&submitter, NULL, submit_until_broken, NULL), 0);
        assert_int_equal(pthread_create(&device, NULL, guess, NULL), 0);
        while (got >= 0 && turns++ < 20000) {
            got = halo_reaper_poll_batch(&t.halves.reaper, used, BATCH);
            (void)finish(used, got);
        }
        halo_reaper_stop(&t.halves.reaper);
        pthread_join(device, NULL);
        pthread_join(submitter, NULL);
        assert_int_equal(halo_submitter_room(&t.halves.submitter), 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_halves_and_a_device_lose_nothing),
        cmocka_unit_test(a_device_that_guesses_makes_no_race),
    };

    return cmocka_run_group_tests_name("two halves", tests, NULL, NULL);
}
