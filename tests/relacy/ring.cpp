/*
 * The ring under relacy: every interleaving, and every value that C11 allows a load to return.
 *
 * The subject is the unchanged C object (subject.c); here its words are relacy's atomics, with the
 * memory orders that stand in shm.h: the run script reads them there and passes them on. Addresses
 * and the bytes of buffers are plain variables, so relacy also reports a race on any of them.
 *
 *     ring SCENARIO    one line: its name and the number of executions, or what went wrong
 *
 * With DEEP in the environment one more change of threads (4) in the bounded searches, and a
 * hundred times as many random executions.
 */
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>
#include <relacy/stdlib/event.hpp>

#include "subject.h"

namespace
{

/* A test by itself: what it does to `shared` is what the ring wants to be done. */
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

/*
 * A driver that submits CHAINS chains of SLOTS buffers, in batches of BATCH, and a device that
 * answers them. SLEEP: both sleep when there is nothing to do; else they look again and again.
 * LATE: the device answers when it has taken all it can, the last chain first.
 */
template <unsigned SIZE, unsigned CHAINS, unsigned SLOTS, unsigned BATCH, bool SLEEP, bool LATE>
struct scenario : rl::test_suite<scenario<SIZE, CHAINS, SLOTS, BATCH, SLEEP, LATE>, 2>,
                  shared_memory {
    rl::atomic<uint64_t> meta[SIZE];
    rl::var<uint64_t> addr[SIZE];
    rl::atomic<uint32_t> event[2];
    rl::var<unsigned> bytes[CHAINS * SLOTS]; /* of the buffers: the request, then the answer */
    rl::generic_event kick, notice;

    uint64_t load_meta(uint32_t slot)
    {
        return meta[slot]($).load(LOAD_META);
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
        meta[slot]($).store(value, STAGE_META);
    }
    void publish_meta(uint32_t slot, uint64_t value)
    {
        meta[slot]($).store(value, PUBLISH_META);
    }
    uint32_t load_event(uint32_t side)
    {
        return event[side]($).load(LOAD_EVENT);
    }
    void store_event(uint32_t side, uint32_t word)
    {
        event[side]($).store(word, STORE_EVENT);
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
        kick.deinit($);
        notice.deinit($);
    }

    void thread(unsigned index)
    {
        if (index == 0)
            driver();
        else
            device();
    }

    bool submit(unsigned number, unsigned *number_of)
    {
        uint64_t addrs[SLOTS];

        for (unsigned i = 0; i < SLOTS; i++)
            addrs[i] = number * SLOTS + i;
        int id = driver_add(addrs, SLOTS);
        if (id < 0)
            return false;
        for (unsigned i = 0; i < SLOTS; i++)
            bytes[number * SLOTS + i]($) = 100 + number;
        RL_ASSERT(number_of[id] == 0);
        number_of[id] = number + 1;
        return true;
    }

    void driver()
    {
        unsigned submitted = 0, home = 0, number_of[SIZE] = {0};

        if (SLEEP)
            driver_disarm();
        while (home < CHAINS) {
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
                if (SLEEP && driver_should_kick())
                    kick.set($);
            }
            while ((got = driver_poll(&id, &len)) == 1) {
                unsigned number = number_of[id] - 1;

                RL_ASSERT(number_of[id] != 0 && len == 1 + number % SLOTS);
                for (unsigned i = 0; i < SLOTS; i++)
                    RL_ASSERT(bytes[number * SLOTS + i]($) == 200 + number);
                number_of[id] = 0;
                moved = true;
                home++;
            }
            RL_ASSERT(got == 0);
            if (moved || home == CHAINS)
                continue;
            if (!SLEEP) {
                rl::yield(1, $);
            } else {
                if (!driver_arm())
                    notice.wait(false, false, $);
                driver_disarm();
            }
        }
    }

    void answer(uint16_t id, unsigned number)
    {
        for (unsigned i = 0; i < SLOTS; i++)
            bytes[number * SLOTS + i]($) = 200 + number;
        RL_ASSERT(device_complete(id, 1 + number % SLOTS) == 0);
    }

    void device()
    {
        unsigned taken = 0;

        if (SLEEP)
            device_disarm();
        while (taken < CHAINS) {
            unsigned count = 0, numbers[CHAINS];
            uint16_t ids[CHAINS];
            uint64_t addrs[SUBJECT_SIZE_MAX];
            uint32_t slots;
            int got;

            while (taken < CHAINS && (got = device_poll(&ids[count], &slots, addrs)) == 1) {
                RL_ASSERT(slots == SLOTS);
                for (unsigned i = 0; i < SLOTS; i++) {
                    RL_ASSERT(addrs[i] == taken * SLOTS + i);
                    RL_ASSERT(bytes[addrs[i]]($) == 100 + taken);
                }
                numbers[count++] = taken++;
                if (!LATE) {
                    count--;
                    answer(ids[count], numbers[count]);
                }
            }
            RL_ASSERT(taken == CHAINS || got == 0);
            while (count-- > 0)
                answer(ids[count], numbers[count]);
            device_publish();
            if (SLEEP && device_should_notify())
                notice.set($);
            if (taken == CHAINS)
                break;
            if (!SLEEP) {
                rl::yield(1, $);
            } else {
                if (!device_arm())
                    kick.wait(false, false, $);
                device_disarm();
            }
        }
    }
};

/* relacy tells long stories, and has an allocator of its own that a string stream does not like. */
struct silence : std::streambuf {
    int overflow(int c)
    {
        return c;
    }
};

template <class test>
bool simulate(const char *name, rl::scheduler_type_e search, unsigned long count)
{
    silence nothing;
    std::ostream out(&nothing);
    rl::test_params params;

    params.search_type = search;
    params.iteration_count = count;
    params.output_stream = &out;
    params.progress_stream = &out;
    params.context_bound = std::getenv("DEEP") ? 4 : 3;
    params.execution_depth_limit = 5000;
    bool good = rl::simulate<test>(params);
    if (good)
        std::cout << name << ": " << params.stop_iteration << " executions\n";
    else
        std::cout << name << ": " << rl::test_result_str(params.test_result) << " in execution "
                  << params.stop_iteration << "\n";
    return good;
}

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
    rl::atomic_thread_fence(FENCE, $);
}

/* One name a scenario; SIZE, CHAINS, SLOTS, BATCH, SLEEP, LATE. */
int main(int argc, char **argv)
{
    const rl::scheduler_type_e all = rl::fair_full_search_scheduler_type;
    const rl::scheduler_type_e some = rl::random_scheduler_type;
    const rl::scheduler_type_e bounded = rl::fair_context_bound_scheduler_type;
    const char *name = argc > 1 ? argv[1] : "";
    const unsigned long many = std::getenv("DEEP") ? 1000000 : 10000;
    bool known = false, good = true;

#define SCENARIO(title, search, count, ...)                            \
    if (!*name || !std::strcmp(name, title)) {                         \
        known = true;                                                  \
        good &= simulate<scenario<__VA_ARGS__>>(title, search, count); \
    }
    SCENARIO("one chain", all, 0, 1, 1, 1, 1, false, false)
    SCENARIO("one chain of two", all, 0, 2, 1, 2, 1, false, false)
    SCENARIO("a batch of two", all, 0, 2, 2, 1, 2, false, true)
    SCENARIO("one chain, asleep", bounded, 0, 1, 1, 1, 1, true, false)
    SCENARIO("two chains in a ring of one", bounded, 0, 1, 2, 1, 1, false, false)
    SCENARIO("two chains in a ring of one, asleep", bounded, 0, 1, 2, 1, 1, true, false)
    SCENARIO("two chains in a ring of two, asleep", bounded, 0, 2, 2, 1, 1, true, false)
    SCENARIO("over the end of a ring of three", bounded, 0, 3, 2, 2, 1, false, false)
    SCENARIO("many laps, one at a time, asleep", some, many, 2, 6, 1, 1, true, false)
    SCENARIO("many laps, batches, last first, asleep", some, many, 3, 7, 1, 3, true, true)
    SCENARIO("many laps, chains of two, asleep", some, many, 3, 5, 2, 1, true, false)
    SCENARIO("many laps, chains of two, last first", some, many, 4, 6, 2, 2, false, true)
    if (!known)
        std::cerr << "no such scenario\n";
    return known && good ? 0 : 1;
}
