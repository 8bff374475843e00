/*
 * Driver and device on two real threads, each of which sleeps as soon as it has nothing to do:
 * every message arrives, once and whole, and nobody sleeps through a wake-up. Run it under TSan,
 * too.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "threads.h"

#include <halo/device.h>
#include <halo/driver.h>

#define MESSAGES 60000u
#define SIZE_MAX_HERE 256u

/* A message and its answer, by chain id. Plain memory: only the ring keeps the threads apart. */
struct message {
    uint64_t question, answer;
};

static struct {
    unsigned char *memory;
    struct halo_driver driver;
    struct halo_device device;
    struct halo_driver_chain driver_chains[SIZE_MAX_HERE];
    struct halo_device_chain device_chains[SIZE_MAX_HERE];
    struct message messages[SIZE_MAX_HERE];
    uint64_t asked[SIZE_MAX_HERE];
    struct halo_region region;
    struct halo_memory ram;
    sem_t kick, notify;
    uint64_t kicks, notifications;
} t;

/* The device: takes what is there, answers in another order, sleeps. */
static void *serve(void *unused)
{
    uint64_t random = 2463534242u, served = 0;

    (void)unused;
    while (served < MESSAGES) {
        struct halo_token held[4];
        uint32_t held_count = 0;
        struct halo_span spans[2];
        struct halo_chain chain;
        int got;

        while (held_count < 4 && (got = halo_device_poll(&t.device, &chain, spans, 2)) > 0) {
            struct message *message = &t.messages[halo_token_id(chain.token)];

            message->answer = ~message->question;
            held[held_count++] = chain.token;
        }
        for (uint32_t i = held_count; i > 1; i--) {
            uint32_t other = (uint32_t)(next_random(&random) % i);
            struct halo_token token = held[i - 1];

            held[i - 1] = held[other];
            held[other] = token;
        }
        for (uint32_t i = 0; i < held_count; i++)
            halo_device_complete(&t.device, held[i], 8);
        served += held_count;
        if (held_count > 0) {
            halo_device_publish(&t.device);
            if (halo_device_should_notify(&t.device)) {
                t.notifications++;
                sem_post(&t.notify);
            }
        } else if (!halo_device_arm(&t.device)) {
            sleep_on(&t.kick);
        }
        halo_device_disarm(&t.device);
    }
    return NULL;
}

static uint32_t ask(uint64_t *number, uint32_t batch)
{
    uint32_t count = 0;

    for (; count < batch && *number < MESSAGES; count++) {
        struct halo_buf bufs[] = {{0, 8}, {0, 8}};
        bool one = t.driver.place.size == 1;
        /* The next id is known to be the one that add is going to return. */
        uint32_t id = t.driver.free_id;

        if (halo_driver_room(&t.driver) < (one ? 1u : 2u))
            break;
        t.asked[id] = *number * 0x9e3779b97f4a7c15ull;
        t.messages[id].question = t.asked[id];
        bufs[0].addr = (uintptr_t)&t.messages[id].question;
        bufs[1].addr = (uintptr_t)&t.messages[id].answer;
        if (halo_driver_add(&t.driver, one ? &bufs[1] : bufs, !one, 1) != (int)id)
            abort();
        (*number)++;
    }
    halo_driver_publish(&t.driver);
    if (count > 0 && halo_driver_should_kick(&t.driver)) {
        t.kicks++;
        sem_post(&t.kick);
    }
    return count;
}

static void talk(uint32_t size)
{
    uint64_t random = 88172645463325252ull, number = 0, done = 0, wrong = 0;
    struct halo_ring_place place;
    struct halo_used used;
    pthread_t thread;

    memset(&t, 0, sizeof(t));
    t.memory = aligned_alloc(64, halo_ring_bytes(size));
    memset(t.memory, 0, halo_ring_bytes(size));
    t.region = (struct halo_region){(uintptr_t)t.messages, sizeof(t.messages),
                                    halo_shm_share(t.messages), HALO_MAY_READ | HALO_MAY_WRITE};
    t.ram = (struct halo_memory){&t.region, 1};
    sem_init(&t.kick, 0, 0);
    sem_init(&t.notify, 0, 0);
    assert_int_equal(halo_ring_place_in(halo_shm_share(t.memory), size, &place), 0);
    assert_int_equal(halo_driver_init(&t.driver, &place, t.driver_chains), 0);
    assert_int_equal(halo_device_init(&t.device, &place, &t.ram, t.device_chains, 64), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
    while (done < MESSAGES) {
        uint32_t asked = ask(&number, 1 + (uint32_t)(next_random(&random) % 6));
        uint32_t answered = 0;

        while (halo_driver_poll(&t.driver, &used) > 0) {
            wrong += used.len != 8 || t.messages[used.id].answer != ~t.asked[used.id];
            answered++;
        }
        done += answered;
        if (done < MESSAGES && asked + answered == 0 && !halo_driver_arm(&t.driver))
            sleep_on(&t.notify);
        halo_driver_disarm(&t.driver);
    }
    pthread_join(thread, NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(halo_driver_room(&t.driver), size);
    assert_int_equal(t.driver.violation.reason, 0);
    assert_int_equal(t.device.violation.reason, 0);
    printf("             ring of %3u: %u messages, %llu kicks, %llu notifications\n", size,
           MESSAGES, (unsigned long long)t.kicks, (unsigned long long)t.notifications);
    sem_destroy(&t.kick);
    sem_destroy(&t.notify);
    free(t.memory);
}

static void evt_08_nobody_sleeps_through_a_wake_up(void **state)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 255, 256};

    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        talk(sizes[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(evt_08_nobody_sleeps_through_a_wake_up)};

    return cmocka_run_group_tests_name("two threads", tests, NULL, NULL);
}
