/*
 * The runner: a thread that runs the guest, so that its host serves it meanwhile.
 *
 *     host      halo__runner_go(runner, deadline)     the machine is the runner's
 *     runner    backend->run                          until the guest leaves; a kick is no end of
 * it host      serves what it finds in the rings     the guest looks for answers, and stays inside
 *     runner    hands over the exit                   the machine is the host's again
 *     host      halo__runner_is_back, _take           the exit, as of a run on its own thread
 *
 * Whose the machine is stands in one word. The rings, and all else of the sandbox, are always the
 * host's: the runner knows the machine and no more. A host that sleeps does so with the poller, and
 * a runner that waits with a futex; who changes what the other waits for looks whether it sleeps.
 */
#ifndef HALO_SRC_RUNNER_H
#define HALO_SRC_RUNNER_H

#include "machine/machine.h"
#include "../message/patience.h"
#include "poller.h"
#include <pthread.h>

enum { HALO_OF_HOST, HALO_OF_RUNNER, HALO_TO_END };

struct halo_runner {
    /* The host's own. */
    struct halo_machine *machine;
    struct halo_poller *poller;
    pthread_t thread;
    bool is_there;                 /* there is such a thread */
    bool has_guest;                /* it was told to run the guest, and the exit was not taken */
    struct halo_patience patience; /* of the host */
    uint64_t sleeps;               /* of the host */
    uint32_t together;             /* so often in a row it woke where the runner was */
    uint64_t moved;                /* the guest, to another processor, then: ticks */
    uint64_t rest;                 /* and not again for so many; 0: not at all */
    bool was_moved;                /* and the host has not looked for news since */

    /* Whoever has the machine. */
    int64_t deadline;
    int64_t slice;    /* so long it runs in any case, where that is not 0 */
    bool keeps_kicks; /* a kick does not end a run */
    struct halo_exit exit;
    int error;
    struct halo_words words, *host_words; /* of an error; and where they belong */
    uint64_t kicks;                       /* since the last exit */

    /* Both threads', by the functions of runner.c alone; a line of their own. */
    _Alignas(64) uint32_t whose; /* the machine is: */
    uint32_t runner_sleeps, host_sleeps;
    int processor; /* where the runner was when it last woke the host */
};

/* Make the thread: 0, or HALO_EHOST with words. Nothing is to be freed then. */
int halo__runner_begin(struct halo_runner *runner, struct halo_machine *machine,
                       struct halo_poller *poller);

/* Stop the guest, end the thread. Also where there is none. */
void halo__runner_end(struct halo_runner *runner);

/* Let it run the guest. */
void halo__runner_go(struct halo_runner *runner, int64_t deadline, bool keeps_kicks);

/* Whether the guest has left: then the exit can be taken, once. One load. */
static inline bool halo__runner_is_back(const struct halo_runner *runner)
{
    /* Acquire pairs with the release of the runner's loop: the exit, and the guest's memory. */
    return __atomic_load_n(&runner->whose, __ATOMIC_ACQUIRE) == HALO_OF_HOST;
}

/* The exit of a guest that has left, or that is stopped now: 0, or an error with words. */
int halo__runner_take(struct halo_runner *runner, struct halo_exit *exit);

/*
 * Around the host's sleep: true, and the host has to look at the rings once more before it sleeps;
 * whatever comes behind that wakes the poller. False: the guest has left.
 */
bool halo__runner_lie_down(struct halo_runner *runner);
void halo__runner_get_up(struct halo_runner *runner);

/*
 * The host has slept. A kernel may wake it on the runner's processor and leave both there while
 * another one has nothing to do: each then sleeps while the other works, so that neither is seen as
 * waiting for its turn. Where that was so twice in a row what executes the guest (this thread, or
 * its process, on whose processor the runner is woken) is put on another one of those that it may
 * use, at most once in a millisecond; which ones it may use is as before.
 */
void halo__runner_keep_apart(struct halo_runner *runner);

#endif
