/*
 * A host and the thread that runs its guest (src/host/runner.c) under relacy: who has the machine,
 * who sleeps, kicks, and a guest that is stopped. The subject is the unchanged C source; memory
 * orders are those of each access there. What is handed over, the deadline, guest memory, the exit,
 * is plain variables, so that relacy reports a race on any of them.
 *
 *     runner --list       the names of the scenarios
 *     runner SCENARIO     one line: its name and the number of executions, or what went wrong
 *
 * With DEEP in the environment one more change of threads, and 30 times as many random executions.
 */
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>
#include <relacy/stdlib/event.hpp>
#include <relacy/stdlib/pthread.hpp>

#include "orders.h"
#include "runner_subject.h"
#include "search.h"

namespace
{

rl::memory_order order_from(int order)
{
    switch (order) {
    case __ATOMIC_RELAXED:
        return rl::mo_relaxed;
    case __ATOMIC_CONSUME:
        return rl::mo_consume;
    case __ATOMIC_ACQUIRE:
        return rl::mo_acquire;
    case __ATOMIC_RELEASE:
        return rl::mo_release;
    case __ATOMIC_ACQ_REL:
        return rl::mo_acq_rel;
    default:
        return rl::mo_seq_cst;
    }
}

/* What both threads use, and what they hand over. */
struct common {
    rl::atomic<int> word[WORDS];
    rl::var<unsigned> deadline, memory, exit, reason, number;
    rl::atomic<unsigned> news, armed; /* a ring, and the event word of its device */
    rl::var<unsigned> request;
    rl::generic_event waker, signal;
    rl::atomic<int> pending; /* a signal: one that comes while another is pending is seen with it */

    virtual void enter() = 0;
    virtual enum left run() = 0;
};

common *shared;

enum { HOST_SLEEPS_TOO = 1, PUBLISHES = 2, NEVER_LEAVES = 4 };

/* The guest is let run GOES times. */
template <unsigned GOES, unsigned HOW>
struct scenario : rl::test_suite<scenario<GOES, HOW>, 2>, common {
    unsigned entered;
    bool has_published;

    void before()
    {
        shared = this;
        for (int i = 0; i < WORDS; i++)
            word[i]($).store(0, rl::mo_relaxed);
        deadline($) = memory($) = exit($) = reason($) = number($) = request($) = 0;
        news($).store(0, rl::mo_relaxed);
        armed($).store(0, rl::mo_relaxed);
        pending($).store(0, rl::mo_relaxed);
        waker.init(false, false, $);
        signal.init(false, false, $);
        entered = 0;
        has_published = false;
        subject_start();
    }

    void after()
    {
        RL_ASSERT(entered == GOES);
        waker.deinit($);
        signal.deinit($);
    }

    void thread(unsigned index)
    {
        if (index == 0)
            host();
        else
            subject_run();
    }

    /* --- The guest, on the runner's thread ---------------------------------------------------- */

    void enter()
    {
        RL_ASSERT((unsigned)deadline($) == ++entered);
        has_published = false;
    }

    enum left leaves(enum left how)
    {
        RL_ASSERT((unsigned)memory($) == entered);
        memory($) = 100 + entered;
        exit($) = entered;
        return how;
    }

    enum left run()
    {
        if ((HOW & PUBLISHES) && !has_published) {
            has_published = true;
            request($) = entered;
            news($).store(entered, rl::mo_release);
            rl::atomic_thread_fence(rl::mo_seq_cst, $);
            if (armed($).load(rl::mo_relaxed))
                return LEFT_KICKS;
        }
        /* It leaves when it has been served, and for nothing else. */
        while ((HOW & PUBLISHES) && news($).load(rl::mo_acquire))
            rl::yield(1, $);
        if (!(HOW & NEVER_LEAVES))
            return leaves(LEFT_WAITS);
        while (!subject_stop_is_wanted()) {
            signal.wait(false, false, $);
            pending($).exchange(0, rl::mo_acq_rel);
        }
        RL_ASSERT((unsigned)reason($) == entered);
        return leaves(LEFT_STOPPED);
    }

    /* --- The host ----------------------------------------------------------------------------- */

    void host()
    {
        subject_begin();
        for (unsigned go = 1; go <= GOES; go++) {
            deadline($) = go;
            memory($) = go;
            subject_go();
            if (HOW & NEVER_LEAVES)
                reason($) = go;
            else
                attend();
            RL_ASSERT(subject_take() == ((HOW & NEVER_LEAVES) ? LEFT_STOPPED : LEFT_WAITS));
            RL_ASSERT((unsigned)exit($) == go);
            RL_ASSERT((unsigned)memory($) == 100 + go);
        }
        subject_end();
    }

    void serve()
    {
        RL_ASSERT((unsigned)request($) != 0);
        news($).store(0, rl::mo_release);
    }

    /* halo__port_arm: whether there is something. */
    bool arm()
    {
        armed($).store(1, rl::mo_relaxed);
        rl::atomic_thread_fence(rl::mo_seq_cst, $);
        return news($).load(rl::mo_acquire) != 0;
    }

    /* attend and sleep_for_news of src/host/loop.c. */
    void attend()
    {
        while (!subject_is_back()) {
            if (news($).load(rl::mo_acquire)) {
                serve();
                continue;
            }
            if (!(HOW & HOST_SLEEPS_TOO)) {
                rl::yield(1, $);
                continue;
            }
            if (!arm() && subject_lie_down()) {
                if (!arm())
                    waker.wait(false, false, $);
                subject_get_up();
            }
            armed($).store(0, rl::mo_relaxed);
        }
    }
};

/* GOES, HOW. */
const entry entries[] = {
    {"runner: the host looks", bounded<scenario<2, 0>>, 2},
    {"runner: the host sleeps", bounded<scenario<1, HOST_SLEEPS_TOO>>, 3},
    {"runner: the host sleeps, twice", bounded<scenario<2, HOST_SLEEPS_TOO>>, 2},
    {"runner: the host looks, and is asked", bounded<scenario<1, PUBLISHES>>, 3},
    {"runner: the host sleeps, and is kicked", bounded<scenario<1, HOST_SLEEPS_TOO | PUBLISHES>>,
     3},
    {"runner: the guest is stopped", bounded<scenario<1, NEVER_LEAVES>>, 3},
    {"runner: the guest is stopped, twice", bounded<scenario<2, NEVER_LEAVES>>, 2},
    {"runner: many times, asked, all sleep", sampled<scenario<5, HOST_SLEEPS_TOO | PUBLISHES>>,
     50000},
};

} // namespace

extern "C" {

int shared_load(enum word word, int order)
{
    return shared->word[word]($).load(order_from(order));
}

void shared_store(enum word word, int value, int order)
{
    shared->word[word]($).store(value, order_from(order));
}

void shared_fence(int order)
{
    fence(order_from(order));
}

void shared_futex_wait(int value)
{
    (void)rl::rl_futex(&shared->word[WHOSE], rl::RL_FUTEX_WAIT, value, nullptr, nullptr, 0, $);
}

void shared_futex_wake(void)
{
    (void)rl::rl_futex(&shared->word[WHOSE], rl::RL_FUTEX_WAKE, 1, nullptr, nullptr, 0, $);
}

void shared_ring(void)
{
    shared->waker.set($);
}

void shared_hear(void)
{
    shared->waker.wait(false, false, $);
}

void shared_signal(void)
{
    (void)(unsigned)shared->number($);
    shared->pending($).exchange(1, rl::mo_acq_rel);
    shared->signal.set($);
}

void shared_begun(void)
{
    shared->number($) = 7;
}

void shared_yield(void)
{
    rl::yield(1, $);
}

void shared_enter(void)
{
    shared->enter();
}

enum left shared_run(void)
{
    return shared->run();
}
}

int main(int argc, char **argv)
{
    return perform(entries, argc > 1 ? argv[1] : "");
}
