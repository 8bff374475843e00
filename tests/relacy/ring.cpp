/*
 * The ring under relacy: every interleaving, and every value that C11 allows a load to return.
 *
 * The subject is the unchanged C object (subject.c); here its words are relacy's atomics, with the
 * memory orders that stand in shm.h: the run script reads them there and passes them on, as
 * ORDER_LOAD_META=acquire and so on. Addresses and the bytes of buffers are plain variables, so
 * relacy also reports a race on any of them.
 *
 *     ring --list             the names of the scenarios
 *     ring SCENARIO [FAULT]   one line: its name and the number of executions, or what went wrong
 *
 * FAULT is a mistake of the ring's user: late-request, late-answer, early-look. With DEEP in the
 * environment one more change of threads in the bounded searches, and 30 times as many random
 * executions. With STORY, relacy tells the execution that went wrong, step by step.
 */
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>
#include <relacy/stdlib/event.hpp>

#include "orders.h"
#include "search.h"
#include "subject.h"

namespace
{

/* What a scenario does to the words that the ring asks for. */
struct shared_memory {
    virtual uint64_t load_meta(uint32_t slot) = 0;
    virtual uint64_t load_addr(uint32_t slot) = 0;
    virtual void store_addr(uint32_t slot, uint64_t addr) = 0;
    virtual void stage_meta(uint32_t slot, uint64_t meta) = 0;
    virtual void publish_meta(uint32_t slot, uint64_t meta) = 0;
    virtual uint32_t load_event(uint32_t side) = 0;
    virtual void store_event(uint32_t side, uint32_t word) = 0;
};

shared_memory *shared;

const struct {
    rl::memory_order load_meta, stage_meta, publish_meta, load_event, store_event, fence;
} orders = {
    order_of("ORDER_LOAD_META", LOAD),     order_of("ORDER_STAGE_META", STORE),
    order_of("ORDER_PUBLISH_META", STORE), order_of("ORDER_LOAD_EVENT", LOAD),
    order_of("ORDER_STORE_EVENT", STORE),  order_of("ORDER_FENCE", FENCE),
};

enum fault {
    NO_FAULT,
    LATE_REQUEST, /* the driver writes a request after it was published */
    LATE_ANSWER,  /* the device writes an answer after the chain was completed and published */
    EARLY_LOOK,   /* the driver reads an answer before the chain came back */
};

fault fault_now;

enum {
    DRIVER_SLEEPS = 1, /* else it looks again and again */
    DEVICE_SLEEPS = 2,
    BOTH_SLEEP = 3,
    LAST_FIRST = 4, /* the device takes all it can, then answers the last chain first */
    EACH_ALONE = 8, /* the device publishes each completion by itself, else what it has at once */
    ARM_TWICE = 16, /* arm, disarm, arm, then sleep */
};

/*
 * A driver that submits CHAINS chains of READABLE and WRITABLE buffers, in batches of up to BATCH,
 * on a ring of SIZE, and a device that answers them. A buffer is a byte: the driver fills all of a
 * chain, the device looks at all and overwrites the writable ones.
 */
template <unsigned SIZE, unsigned CHAINS, unsigned READABLE, unsigned WRITABLE, unsigned BATCH,
          unsigned HOW>
struct scenario : rl::test_suite<scenario<SIZE, CHAINS, READABLE, WRITABLE, BATCH, HOW>, 2>,
                  shared_memory {
    static const unsigned SLOTS = READABLE + WRITABLE;

    rl::atomic<uint64_t> meta[SIZE];
    rl::var<uint64_t> addr[SIZE];
    rl::atomic<uint32_t> event[2];
    rl::var<unsigned> bytes[CHAINS * SLOTS];
    rl::generic_event kick, notice;

    uint64_t load_meta(uint32_t slot)
    {
        return meta[slot]($).load(orders.load_meta);
    }
    uint64_t load_addr(uint32_t slot)
    {
        return addr[slot]($);
    }
    void store_addr(uint32_t slot, uint64_t value)
    {
        addr[slot]($) = value;
    }
    void stage_meta(uint32_t slot, uint64_t value)
    {
        meta[slot]($).store(value, orders.stage_meta);
    }
    void publish_meta(uint32_t slot, uint64_t value)
    {
        meta[slot]($).store(value, orders.publish_meta);
    }
    uint32_t load_event(uint32_t side)
    {
        return event[side]($).load(orders.load_event);
    }
    void store_event(uint32_t side, uint32_t word)
    {
        event[side]($).store(word, orders.store_event);
    }

    void before()
    {
        shared = this;
        subject_start(SIZE);
        for (unsigned i = 0; i < SIZE; i++) {
            meta[i]($).store(0, rl::mo_relaxed);
            addr[i]($) = 0;
        }
        for (unsigned i = 0; i < 2; i++)
            event[i]($).store(0, rl::mo_relaxed);
        for (unsigned i = 0; i < CHAINS * SLOTS; i++)
            bytes[i]($) = 0;
        kick.init(false, false, $);
        notice.init(false, false, $);
    }

    void after()
    {
        RL_ASSERT(subject_at_rest());
        kick.deinit($);
        notice.deinit($);
    }

    void invariant()
    {
        RL_ASSERT(subject_sound());
    }

    void thread(unsigned index)
    {
        if (index == 0)
            driver();
        else
            device();
    }

    static unsigned length(unsigned number)
    {
        return WRITABLE ? 1 + number % WRITABLE : 0;
    }

    void ask(unsigned number)
    {
        for (unsigned i = 0; i < SLOTS; i++)
            bytes[number * SLOTS + i]($) = 100 + number;
    }

    bool submit(unsigned number, unsigned *number_of)
    {
        uint64_t addrs[SLOTS];

        for (unsigned i = 0; i < SLOTS; i++)
            addrs[i] = number * SLOTS + i;
        /* The bytes may be filled before or after, as long as it is before the publish. */
        if (number % 2 == 0 && fault_now != LATE_REQUEST)
            ask(number);
        int id = driver_add(addrs, READABLE, WRITABLE);
        if (id < 0) {
            RL_ASSERT(driver_room() < SLOTS);
            return false;
        }
        if (number % 2 == 1 && fault_now != LATE_REQUEST)
            ask(number);
        RL_ASSERT((unsigned)id < SIZE && number_of[id] == 0);
        number_of[id] = number + 1;
        return true;
    }

    void check_answer(unsigned number)
    {
        for (unsigned i = 0; i < SLOTS; i++)
            RL_ASSERT(bytes[number * SLOTS + i]($) == (i < READABLE ? 100 : 200) + number);
    }

    void driver()
    {
        unsigned submitted = 0, home = 0, number_of[SIZE] = {0};

        if (HOW & DRIVER_SLEEPS)
            driver_disarm();
        while (home < CHAINS) {
            unsigned first = submitted;
            bool moved = false;
            uint16_t id;
            uint32_t len;
            int got;

            for (unsigned n = 0; n < BATCH && submitted < CHAINS && submit(submitted, number_of);
                 n++) {
                submitted++;
                moved = true;
            }
            if (moved) {
                driver_publish();
                if ((HOW & DEVICE_SLEEPS) && driver_should_kick())
                    kick.set($);
            }
            for (unsigned n = first; fault_now == LATE_REQUEST && n < submitted; n++)
                ask(n);
            for (unsigned n = first; fault_now == EARLY_LOOK && n < submitted; n++)
                (void)(unsigned)bytes[n * SLOTS + SLOTS - 1]($);
            while ((got = driver_poll(&id, &len)) == 1) {
                RL_ASSERT(number_of[id] != 0);
                unsigned number = number_of[id] - 1;

                RL_ASSERT(len == length(number));
                check_answer(number);
                number_of[id] = 0;
                moved = true;
                home++;
            }
            RL_ASSERT(got == 0);
            if (moved || home == CHAINS)
                continue;
            if (!(HOW & DRIVER_SLEEPS)) {
                rl::yield(1, $);
                continue;
            }
            bool stay = driver_arm();
            if ((HOW & ARM_TWICE) && !stay) {
                driver_disarm();
                stay = driver_arm();
            }
            if (!stay)
                notice.wait(false, false, $);
            driver_disarm();
        }
    }

    void write_answer(unsigned number)
    {
        for (unsigned i = READABLE; i < SLOTS; i++)
            bytes[number * SLOTS + i]($) = 200 + number;
    }

    void show()
    {
        device_publish();
        if ((HOW & DRIVER_SLEEPS) && device_should_notify())
            notice.set($);
    }

    void answer(uint16_t id, unsigned number)
    {
        if (fault_now != LATE_ANSWER)
            write_answer(number);
        RL_ASSERT(device_complete(id, length(number)) == 0);
        if ((HOW & EACH_ALONE) || fault_now == LATE_ANSWER)
            show();
        if (fault_now == LATE_ANSWER)
            write_answer(number);
    }

    void device()
    {
        unsigned taken = 0;

        if (HOW & DEVICE_SLEEPS)
            device_disarm();
        while (taken < CHAINS) {
            unsigned count = 0, numbers[CHAINS];
            uint16_t ids[CHAINS];
            uint64_t addrs[SUBJECT_SIZE_MAX];
            uint32_t readable, writable;
            int got = 0;

            while (taken < CHAINS &&
                   (got = device_poll(&ids[count], &readable, &writable, addrs)) == 1) {
                RL_ASSERT(readable == READABLE && writable == WRITABLE);
                for (unsigned i = 0; i < SLOTS; i++) {
                    RL_ASSERT(addrs[i] == taken * SLOTS + i);
                    RL_ASSERT(bytes[addrs[i]]($) == 100 + taken);
                }
                numbers[count++] = taken++;
                if (!(HOW & LAST_FIRST)) {
                    count--;
                    answer(ids[count], numbers[count]);
                }
            }
            RL_ASSERT(taken == CHAINS || got == 0);
            while (count > 0) {
                count--;
                answer(ids[count], numbers[count]);
            }
            show();
            if (taken == CHAINS)
                break;
            if (!(HOW & DEVICE_SLEEPS)) {
                rl::yield(1, $);
                continue;
            }
            bool stay = device_arm();
            if ((HOW & ARM_TWICE) && !stay) {
                device_disarm();
                stay = device_arm();
            }
            if (!stay)
                kick.wait(false, false, $);
            device_disarm();
        }
    }
};

/* relacy tells long stories, and has an allocator of its own that a string stream does not like. */
/* SIZE, CHAINS, READABLE, WRITABLE, BATCH, HOW. */
const entry entries[] = {
    {"a chain of one", all<scenario<1, 1, 0, 1, 1, 0>>, 0},
    {"a chain of two", all<scenario<2, 1, 1, 1, 1, 0>>, 0},
    {"a chain of two to read", all<scenario<2, 1, 2, 0, 1, 0>>, 0},
    {"a chain of three", all<scenario<3, 1, 1, 2, 1, 0>>, 0},
    {"chains of two over the end of a ring of three", bounded<scenario<3, 2, 1, 1, 1, 0>>, 5},
    {"two chains at once", all<scenario<2, 2, 0, 1, 2, 0>>, 0},
    {"two chains at once, last first", all<scenario<2, 2, 0, 1, 2, LAST_FIRST>>, 0},
    {"two chains at once, last first, each alone",
     all<scenario<2, 2, 0, 1, 2, LAST_FIRST | EACH_ALONE>>, 0},
    {"two chains of two at once", all<scenario<4, 2, 1, 1, 2, LAST_FIRST>>, 0},
    {"a ring of one, twice round", all<scenario<1, 2, 0, 1, 1, 0>>, 0},
    {"a ring of one, three times round", bounded<scenario<1, 3, 0, 1, 1, 0>>, 5},
    {"a ring of two, full twice", bounded<scenario<2, 4, 0, 1, 2, 0>>, 5},
    {"a ring of two, one by one, last first", bounded<scenario<2, 3, 0, 1, 1, LAST_FIRST>>, 5},
    {"the driver sleeps", all<scenario<1, 1, 0, 1, 1, DRIVER_SLEEPS>>, 0},
    {"the device sleeps", all<scenario<1, 1, 0, 1, 1, DEVICE_SLEEPS>>, 0},
    {"both sleep", all<scenario<1, 1, 0, 1, 1, BOTH_SLEEP>>, 0},
    {"both sleep, ring of one, two chains", bounded<scenario<1, 2, 0, 1, 1, BOTH_SLEEP>>, 4},
    {"both sleep, ring of two, two chains", bounded<scenario<2, 2, 0, 1, 1, BOTH_SLEEP>>, 4},
    {"both sleep, two chains at once", bounded<scenario<2, 2, 0, 1, 2, BOTH_SLEEP>>, 6},
    {"both sleep, each alone, last first",
     bounded<scenario<2, 2, 0, 1, 2, BOTH_SLEEP | EACH_ALONE | LAST_FIRST>>, 5},
    {"the driver arms, disarms and arms",
     bounded<scenario<1, 2, 0, 1, 1, DRIVER_SLEEPS | ARM_TWICE>>, 4},
    {"the device arms, disarms and arms",
     bounded<scenario<1, 2, 0, 1, 1, DEVICE_SLEEPS | ARM_TWICE>>, 4},
    {"many laps, one at a time, both sleep", sampled<scenario<2, 6, 0, 1, 1, BOTH_SLEEP>>, 100000},
    {"many laps, batches, last first, both sleep",
     sampled<scenario<3, 7, 0, 1, 3, BOTH_SLEEP | LAST_FIRST>>, 100000},
    {"many laps, chains of two, both sleep and arm twice",
     sampled<scenario<3, 5, 1, 1, 1, BOTH_SLEEP | ARM_TWICE>>, 100000},
    {"many laps, batches of chains of two, last first",
     sampled<scenario<4, 6, 1, 1, 2, LAST_FIRST>>, 100000},
    {"many laps, chains of three, each alone", sampled<scenario<4, 5, 1, 2, 1, EACH_ALONE>>,
     100000},
};

} // namespace

extern "C" uint64_t shared_load_meta(uint32_t slot)
{
    return shared->load_meta(slot);
}

extern "C" uint64_t shared_load_addr(uint32_t slot)
{
    return shared->load_addr(slot);
}

extern "C" void shared_stage_addr(uint32_t slot, uint64_t addr)
{
    shared->store_addr(slot, addr);
}

extern "C" void shared_stage_meta(uint32_t slot, uint64_t meta)
{
    shared->stage_meta(slot, meta);
}

extern "C" void shared_publish_meta(uint32_t slot, uint64_t meta)
{
    shared->publish_meta(slot, meta);
}

extern "C" uint32_t shared_load_event(uint32_t side)
{
    return shared->load_event(side);
}

extern "C" void shared_store_event(uint32_t side, uint32_t word)
{
    shared->store_event(side, word);
}

extern "C" void shared_fence(void)
{
    fence(orders.fence);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "", *fault = argc > 2 ? argv[2] : "";

    if (!std::strcmp(fault, "late-request"))
        fault_now = LATE_REQUEST;
    else if (!std::strcmp(fault, "late-answer"))
        fault_now = LATE_ANSWER;
    else if (!std::strcmp(fault, "early-look"))
        fault_now = EARLY_LOOK;
    else if (*fault)
        return 2;
    return perform(entries, name);
}
