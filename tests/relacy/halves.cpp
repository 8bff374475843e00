/*
 * A driver's two halves and a device under relacy: three threads, every value that C11 allows a load
 * to return. As in ring.cpp the subject is the unchanged C object, and the memory orders are those
 * that stand in shm.h. Buffers, what the caller keeps for an id, and the ring of returned ids are
 * plain variables, so that relacy also reports a race on any of them.
 *
 *     halves --list       the names of the scenarios
 *     halves SCENARIO     one line: its name and the number of executions, or what went wrong
 *
 * With DEEP in the environment one more change of threads, and 30 times as many random executions.
 */
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>
#include <relacy/stdlib/event.hpp>

#include "halves_subject.h"
#include "orders.h"
#include "search.h"

namespace
{

const struct {
    rl::memory_order load_meta, stage_meta, publish_meta, load_event, store_event, fence;
    rl::memory_order load_record, store_record, load_returned, store_returned;
} orders = {
    order_of("ORDER_LOAD_META", LOAD),     order_of("ORDER_STAGE_META", STORE),
    order_of("ORDER_PUBLISH_META", STORE), order_of("ORDER_LOAD_EVENT", LOAD),
    order_of("ORDER_STORE_EVENT", STORE),  order_of("ORDER_FENCE", FENCE),
    order_of("ORDER_LOAD_RECORD", LOAD),   order_of("ORDER_STORE_RECORD", STORE),
    order_of("ORDER_LOAD_RETURNED", LOAD), order_of("ORDER_STORE_RETURNED", STORE),
};

struct words {
    rl::atomic<uint64_t> meta[HALVES_SIZE_MAX];
    rl::var<uint64_t> addr[HALVES_SIZE_MAX];
    rl::atomic<uint32_t> event[2];
    rl::atomic<uint64_t> record[HALVES_SIZE_MAX];
    rl::var<uint16_t> id[HALVES_SIZE_MAX];
    rl::atomic<uint32_t> returned;
};

words *shared;

enum { REAPER_SLEEPS = 1, DEVICE_SLEEPS = 2, DEVICE_GUESSES = 4 };

/* CHAINS chains of one buffer to write, in batches of up to BATCH, on a ring of SIZE. */
template <unsigned SIZE, unsigned CHAINS, unsigned BATCH, unsigned HOW>
struct scenario : rl::test_suite<scenario<SIZE, CHAINS, BATCH, HOW>, 3>, words {
    rl::var<unsigned> bytes[SIZE];   /* the buffer of each id */
    rl::var<unsigned> context[SIZE]; /* what the caller keeps for it: which chain */
    rl::generic_event kick, notice;

    void before()
    {
        shared = this;
        subject_start(SIZE);
        for (unsigned i = 0; i < SIZE; i++) {
            this->meta[i]($).store(0, rl::mo_relaxed);
            this->record[i]($).store(0, rl::mo_relaxed);
            this->addr[i]($) = 0;
            this->id[i]($) = (uint16_t)i;
            bytes[i]($) = 0;
            context[i]($) = 0;
        }
        for (unsigned i = 0; i < 2; i++)
            this->event[i]($).store(0, rl::mo_relaxed);
        this->returned($).store(0, rl::mo_relaxed);
        kick.init(false, false, $);
        notice.init(false, false, $);
    }

    void after()
    {
        RL_ASSERT((HOW & DEVICE_GUESSES) || submitter_room() == SIZE);
        kick.deinit($);
        notice.deinit($);
    }

    void thread(unsigned index)
    {
        if (index == 0)
            submit();
        else if (index == 1)
            reap();
        else if (HOW & DEVICE_GUESSES)
            guess();
        else
            serve();
    }

    void submit()
    {
        unsigned number = 0;

        while (number < CHAINS) {
            unsigned count = submitter_room();
            uint64_t addrs[SIZE];

            if (count == 0) {
                if (HOW & DEVICE_GUESSES)
                    return;
                rl::yield(1, $);
                continue;
            }
            if (count > BATCH)
                count = BATCH;
            if (count > CHAINS - number)
                count = CHAINS - number;
            for (unsigned i = 0; i < count; i++) {
                const uint16_t id = submitter_next_id(i);

                RL_ASSERT((unsigned)context[id]($) == 0);
                context[id]($) = ++number;
                bytes[id]($) = 100 + number;
                addrs[i] = id;
            }
            RL_ASSERT(submitter_submit(addrs, count) == (int)count || (HOW & DEVICE_GUESSES));
            if ((HOW & DEVICE_SLEEPS) && submitter_should_kick())
                kick.set($);
        }
    }

    void reap()
    {
        unsigned home = 0;

        if (HOW & REAPER_SLEEPS)
            reaper_disarm();
        for (unsigned turn = 0; home < CHAINS; turn++) {
            uint16_t id;
            const int got = reaper_poll(&id);

            if (got == 1) {
                const unsigned number = context[id]($);

                RL_ASSERT(number != 0);
                if (HOW & DEVICE_GUESSES)
                    (void)(unsigned)bytes[id]($);
                else
                    RL_ASSERT(bytes[id]($) == 200 + number);
                context[id]($) = 0;
                home++;
                if (home % 2 || home == CHAINS) /* one at a time, and two */
                    reaper_return();
                continue;
            }
            if (HOW & DEVICE_GUESSES) {
                if (got < 0 || turn > 3)
                    return;
            } else {
                RL_ASSERT(got == 0);
                reaper_return();
            }
            if (!(HOW & REAPER_SLEEPS)) {
                rl::yield(1, $);
                continue;
            }
            if (!reaper_arm())
                notice.wait(false, false, $);
            reaper_disarm();
        }
    }

    void serve()
    {
        unsigned served = 0;

        if (HOW & DEVICE_SLEEPS)
            device_disarm();
        while (served < CHAINS) {
            uint64_t addr, token;

            if (device_take(&addr, &token) == 1) {
                bytes[addr]($) = 100 + (unsigned)bytes[addr]($);
                RL_ASSERT(device_finish(token) == 0);
                served++;
                if ((HOW & REAPER_SLEEPS) && device_should_notify())
                    notice.set($);
                continue;
            }
            if (!(HOW & DEVICE_SLEEPS)) {
                rl::yield(1, $);
                continue;
            }
            if (!device_arm())
                kick.wait(false, false, $);
            device_disarm();
        }
    }

    void guess()
    {
        for (unsigned i = 0; i < SIZE; i++)
            device_guess(i, (uint16_t)(SIZE - 1 - i));
    }
};

/* SIZE, CHAINS, BATCH, HOW. */
const entry entries[] = {
    {"halves: a ring of one, twice round", bounded<scenario<1, 2, 1, 0>>, 2},
    {"halves: two at once", bounded<scenario<2, 2, 2, 0>>, 3},
    {"halves: the reaping half sleeps", bounded<scenario<1, 1, 1, REAPER_SLEEPS>>, 3},
    {"halves: the device sleeps", bounded<scenario<1, 1, 1, DEVICE_SLEEPS>>, 3},
    {"halves: a device that guesses", bounded<scenario<2, 3, 1, DEVICE_GUESSES>>, 3},
    {"halves: many laps", sampled<scenario<3, 7, 2, 0>>, 50000},
    {"halves: many laps, all sleep",
     sampled<scenario<2, 6, 1, REAPER_SLEEPS | DEVICE_SLEEPS>>, 50000},
};

} // namespace

extern "C" {

uint64_t shared_load_meta(uint32_t slot)
{
    return shared->meta[slot]($).load(orders.load_meta);
}

uint64_t shared_load_addr(uint32_t slot)
{
    return shared->addr[slot]($);
}

void shared_stage_addr(uint32_t slot, uint64_t addr)
{
    shared->addr[slot]($) = addr;
}

void shared_stage_meta(uint32_t slot, uint64_t meta)
{
    shared->meta[slot]($).store(meta, orders.stage_meta);
}

void shared_publish_meta(uint32_t slot, uint64_t meta)
{
    shared->meta[slot]($).store(meta, orders.publish_meta);
}

uint32_t shared_load_event(uint32_t side)
{
    return shared->event[side]($).load(orders.load_event);
}

void shared_store_event(uint32_t side, uint32_t word)
{
    shared->event[side]($).store(word, orders.store_event);
}

void shared_fence(void)
{
    fence(orders.fence);
}

uint64_t shared_load_record(uint32_t id)
{
    return shared->record[id]($).load(orders.load_record);
}

void shared_store_record(uint32_t id, uint64_t value)
{
    shared->record[id]($).store(value, orders.store_record);
}

uint16_t shared_load_id(uint32_t place)
{
    return shared->id[place]($);
}

void shared_store_id(uint32_t place, uint16_t value)
{
    shared->id[place]($) = value;
}

uint32_t shared_load_returned(void)
{
    return shared->returned($).load(orders.load_returned);
}

void shared_store_returned(uint32_t value)
{
    shared->returned($).store(value, orders.store_returned);
}
}

int main(int argc, char **argv)
{
    return perform(entries, argc > 1 ? argv[1] : "");
}
