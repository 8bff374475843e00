/* A trial: both sides of a queue, what is in it, and the dice. See linux_trial.c. */
#ifndef HALO_TESTS_PEERS_LINUX_TRIAL_H
#define HALO_TESTS_PEERS_LINUX_TRIAL_H

#include <setjmp.h>
#include <stdlib.h>

#include <halo/device.h>

#include "linux_judge.h"

#define SEGMENT_LONGEST 900u
#define SEGMENT_SLACK 64u

#define UNTOUCHED 0xee
#define STALE_TOKENS 16u

enum state {
    IDLE,
    SUBMITTED,
    TAKEN,
    COMPLETED,
};

struct request {
    uint32_t slot; /* its part of out_area and in_area */
    enum state state;
    uint64_t seed;
    struct peer_segment segments[SPANS];
    uint32_t readable, writable; /* segments of each kind */
    uint64_t readable_len, writable_len;
    enum halo_reject reject; /* what the device must say of it */
    uint64_t where;
    struct halo_token token;
    struct halo_span spans[SPANS]; /* as the device got them */
    uint32_t readable_count, writable_count;
    uint32_t written;
};

struct fifo {
    struct request *entries[REQUESTS_MAX];
    uint64_t first, end;
};

enum sleep {
    AWAKE,
    ABOUT_TO_ARM, /* has found nothing */
    ASLEEP,
};

struct trial {
    uint32_t size;
    enum mode mode;
    uint64_t random;
    uint64_t quota;
    jmp_buf out;
    char why[256];

    struct peer_driver driver;
    bool driver_asleep, interrupt_pending;
    struct request *requests;
    struct request *idle[REQUESTS_MAX];
    uint32_t idle_count, slots;
    struct fifo submitted; /* and not yet taken */
    struct fifo completed; /* and not yet reaped */

    struct halo_device device;
    struct halo_ring_place place;
    struct halo_region regions[3];
    struct halo_memory memory;
    struct halo_device_chain *chains;
    enum sleep device_sleep;
    bool kick_pending, never;
    struct request *held[REQUESTS_MAX];
    uint32_t held_count, unpublished, unasked;

    uint64_t submissions, reaped, rejected, resets, batches, kicks, asked, interrupts;
};

/* It goes no further: why, as printf has it. */
void __attribute__((noreturn, format(printf, 2, 3)))
trial_fail(struct trial *t, const char *format, ...);

/* Let each side do some of what it may do now. */
void trial_driver_step(struct trial *t);
void trial_device_step(struct trial *t);
/* The driver's callback, and what a new queue begins with. */
void trial_driver_woken(void *trial);

static inline uint64_t next(struct trial *t)
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random * 0x2545f4914f6cdd1dull;
}

/* 0 to below - 1 */
static inline uint32_t roll(struct trial *t, uint32_t below)
{
    return (uint32_t)((next(t) >> 32) * below >> 32);
}

static inline bool once_in(struct trial *t, uint32_t times)
{
    return roll(t, times) == 0;
}

static inline void push(struct fifo *fifo, struct request *request)
{
    fifo->entries[fifo->end++ % REQUESTS_MAX] = request;
}

static inline struct request *front(const struct fifo *fifo)
{
    return fifo->first == fifo->end ? NULL : fifo->entries[fifo->first % REQUESTS_MAX];
}

static inline uint32_t outstanding(const struct trial *t)
{
    return t->slots - t->idle_count;
}

/* Byte `i` of what a request carries; a reply is the same of another seed. */
static inline unsigned char pattern(uint64_t seed, uint64_t i)
{
    return (unsigned char)((seed >> i % 8 * 8) + i);
}

static inline uint64_t reply_seed(const struct request *request)
{
    return ~request->seed * 0x9e3779b97f4a7c15ull;
}

#endif
