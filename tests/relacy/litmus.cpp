/*
 * What relacy sees and what it does not, on programs of a few lines: is it fit to judge the ring?
 *
 *     litmus    a line for each program: `ok: NAME` or `FAILED: NAME: what came instead`
 *
 * The two patterns that the ring is made of are message passing (publish a descriptor, take it) and
 * store buffering (publish, fence, read the event word against arm, fence, look again). Each must
 * hold as it is and break without any one of its parts.
 */
#include <iostream>

#include <relacy/relacy.hpp>

#include "search.h"

namespace
{

/* Both store, fence, and read what the other stored: never may both read the old value. */
template <rl::memory_order FENCE_0, rl::memory_order FENCE_1>
struct store_buffering : rl::test_suite<store_buffering<FENCE_0, FENCE_1>, 2> {
    rl::atomic<int> word[2];
    int seen[2];

    void before()
    {
        for (int i = 0; i < 2; i++)
            word[i]($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        const rl::memory_order order = index ? FENCE_1 : FENCE_0;

        word[index]($).store(1, rl::mo_relaxed);
        if (order != rl::mo_relaxed)
            rl::atomic_thread_fence(order, $);
        seen[index] = word[1 - index]($).load(rl::mo_relaxed);
    }

    void after()
    {
        RL_ASSERT(seen[0] || seen[1]);
    }
};

/* An address, as plain memory, and a word staged before a flag: whoever sees the flag sees them. */
template <rl::memory_order STORE, rl::memory_order LOAD, bool FLAG_FIRST>
struct message_passing : rl::test_suite<message_passing<STORE, LOAD, FLAG_FIRST>, 2> {
    rl::var<int> plain;
    rl::atomic<int> staged, flag;

    void before()
    {
        plain($) = 0;
        staged($).store(0, rl::mo_relaxed);
        flag($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            if (FLAG_FIRST)
                flag($).store(1, STORE);
            plain($) = 1;
            staged($).store(1, rl::mo_relaxed);
            if (!FLAG_FIRST)
                flag($).store(1, STORE);
        } else if (flag($).load(LOAD)) {
            RL_ASSERT(staged($).load(rl::mo_relaxed) == 1);
            RL_ASSERT(plain($) == 1);
        }
    }
};

/* The same with nothing but words: no race to be seen, an old value only. */
template <rl::memory_order STORE, rl::memory_order LOAD>
struct staged_words : rl::test_suite<staged_words<STORE, LOAD>, 2> {
    rl::atomic<int> staged, flag;

    void before()
    {
        staged($).store(0, rl::mo_relaxed);
        flag($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            staged($).store(1, rl::mo_relaxed);
            flag($).store(1, STORE);
        } else if (flag($).load(LOAD)) {
            RL_ASSERT(staged($).load(rl::mo_relaxed) == 1);
        }
    }
};

/* Both read, then store: C11 lets both read what the other stores only afterwards. */
struct load_buffering : rl::test_suite<load_buffering, 2> {
    rl::atomic<int> word[2];
    int seen[2];

    void before()
    {
        for (int i = 0; i < 2; i++)
            word[i]($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        seen[index] = word[index]($).load(rl::mo_relaxed);
        word[1 - index]($).store(1, rl::mo_relaxed);
    }

    void after()
    {
        RL_ASSERT(!seen[0] || !seen[1]);
    }
};

/* A word stored twice before a flag that orders nothing: C11 lets a load be BACK stores behind. */
template <int BACK> struct behind : rl::test_suite<behind<BACK>, 2> {
    rl::atomic<int> word, flag;

    void before()
    {
        word($).store(0, rl::mo_relaxed);
        flag($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            word($).store(1, rl::mo_relaxed);
            word($).store(2, rl::mo_relaxed);
            flag($).store(1, rl::mo_relaxed);
        } else if (flag($).load(rl::mo_relaxed)) {
            RL_ASSERT(word($).load(rl::mo_relaxed) != 2 - BACK);
        }
    }
};

bool good = true;

template <class test>
void expect(rl::test_result_e expected, const char *name,
            rl::scheduler_type_e search = rl::fair_full_search_scheduler_type)
{
    silence nothing;
    std::ostream out(&nothing);
    rl::test_params params;
    rl::ostringstream state;

    params.iteration_count = 10000;
    params.output_stream = params.progress_stream = &out;
    params.search_type = search;
    rl::test_result_e result =
        search == rl::random_scheduler_type
            ? rl::run_test<test, rl::random_scheduler<2>>(params, state, false)
            : rl::run_test<test, rl::full_search_scheduler<2>>(params, state, false);
    if (result == expected) {
        std::cout << "ok: " << name << std::endl;
    } else {
        std::cout << "FAILED: " << name << ": " << rl::test_result_str(result) << std::endl;
        good = false;
    }
}

} // namespace

int main()
{
    const rl::memory_order relaxed = rl::mo_relaxed, acquire = rl::mo_acquire,
                           release = rl::mo_release, acq_rel = rl::mo_acq_rel,
                           seq_cst = rl::mo_seq_cst;
    const rl::test_result_e holds = rl::test_result_success,
                            breaks = rl::test_result_user_assert_failed,
                            race = rl::test_result_data_race;

    expect<store_buffering<seq_cst, seq_cst>>(holds, "store buffering holds with two fences");
    expect<store_buffering<seq_cst, relaxed>>(breaks, "and not without the second");
    expect<store_buffering<relaxed, seq_cst>>(breaks, "and not without the first");
    expect<store_buffering<acq_rel, seq_cst>>(breaks, "and not with less than seq_cst, once");
    expect<store_buffering<acq_rel, acq_rel>>(breaks, "and not with less than seq_cst, twice");
    expect<message_passing<release, acquire, false>>(
        holds, "message passing holds with release and acquire");
    expect<message_passing<release, acquire, true>>(race, "and not with the flag first");
    expect<message_passing<relaxed, acquire, false>>(race, "and not without release");
    expect<message_passing<release, relaxed, false>>(race, "and not without acquire");
    expect<staged_words<release, acquire>>(holds, "a staged word is seen with its flag");
    expect<staged_words<relaxed, acquire>>(breaks, "and not without release");
    expect<staged_words<release, relaxed>>(breaks, "and not without acquire");

    /* Limits. Where one of these fails, relacy has learnt something, and README.md is to be
     * changed. */
    expect<load_buffering>(holds, "limit: load buffering is not explored");
    expect<behind<1>>(breaks, "a full search tries the value before the newest");
    expect<behind<2>>(holds, "limit: and none older");
    expect<behind<2>>(breaks, "a random search tries the two values before the newest",
                      rl::random_scheduler_type);
    return !good;
}
