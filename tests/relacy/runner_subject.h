/* The hand-over between a host and the thread that runs its guest, for runner.cpp, and what it asks
 * of that. */
#ifndef RUNNER_SUBJECT_H
#define RUNNER_SUBJECT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Words that both threads use. */
enum word { WHOSE, RUNNER_SLEEPS, HOST_SLEEPS, PROCESSOR, WANTED, WORDS };

/* Called by runner.c: its atomic accesses, with the order that stands there (__ATOMIC_...), and its
 * system calls. */
int shared_load(enum word word, int order);
void shared_store(enum word word, int value, int order);
void shared_fence(int order);
void shared_futex_wait(int value); /* of WHOSE */
void shared_futex_wake(void);
void shared_ring(void); /* the host's waker */
void shared_hear(void);
void shared_signal(void); /* to the runner */
void shared_begun(void);  /* the runner's thread has a number */
void shared_yield(void);

/* The machine, on the runner's thread: how the guest has left. */
enum left { LEFT_WAITS, LEFT_KICKS, LEFT_STOPPED };
void shared_enter(void);
enum left shared_run(void);

/* Called by the scenarios. The host: */
void subject_start(void);
void subject_begin(void);
void subject_go(void);
int subject_is_back(void);
int subject_lie_down(void);
void subject_get_up(void);
enum left subject_take(void);
void subject_end(void);
/* the runner: */
void subject_run(void);
int subject_stop_is_wanted(void);

#ifdef __cplusplus
}
#endif

#endif
