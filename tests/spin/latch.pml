/*
 * Latch, stop and reset: what becomes of operations that are under way.
 *
 * Modelled: a driver whose callers sleep until their operation ends; a device that hands what it
 * takes to a worker, as tokens of id and generation; the worker, which completes any token it
 * holds at any time, keeps tokens across resets and tries old ones again; and whoever else writes
 * the ring, and at any time breaks a rule that the device's or the driver's next poll sees. Each
 * call below is one step: a side of a ring belongs to one thread at a time, so device loop, worker
 * and reset take turns (a lock, in C).
 *
 * A reset is: the driver stops (or is latched already), the device zeroes the ring, starts again
 * and confirms; the driver fails every operation that is outstanding, before or after the
 * confirmation, and starts again when it has both.
 *
 *     submit                halo_driver_add + halo_driver_publish
 *     driver polls          halo_driver_poll, halo_driver_latch
 *     stop, fail, start     halo_driver_stop, halo_driver_fail, halo_driver_init
 *     device polls          halo_device_poll
 *     complete, publish     halo_device_complete, halo_device_publish
 *     reset                 zeroed ring + halo_device_init
 *
 * An operation is a number that is used once; a used entry also carries the operation it answers,
 * which no code sees: it is asserted to be the one that ends.
 *
 * Left out: chains of several descriptors (chains.pml), memory order and wake-up calls
 * (wakeup.pml), and the bytes of buffers: a worker that writes through a span after the reset is
 * the caller's to prevent. Bounded: OPS operations, RESETS resets, N ids; so no generation wraps.
 *
 * Mutants, each -D MUTANT=1:
 *     ZEROED             a reset sets the generations to 0
 *     NEVER_RAISED       generations are raised neither by a reset nor by a take
 *     NO_LATCH_COMPLETE  the latch is looked at in poll, not in complete
 *     NO_LATCH_PUBLISH   nor in publish
 *     FAIL_NONE          the driver starts again without failing what is outstanding
 *     FAIL_TWICE         fail starts from the first id again
 *     FAIL_AND_POLL      a stopped driver still polls
 *     UNCONFIRMED        the driver starts again before the device has confirmed
 *     STAGED_SURVIVES    a reset forgets to drop what was completed and not published
 * Not a mistake, and must pass:
 *     RAISED_BY_TAKE     a reset leaves the generations alone: a take raises them anyway
 */
#ifndef N
#define N 2
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef RESETS
#define RESETS 2
#endif

#ifndef ZEROED
#define ZEROED 0
#endif
#ifndef NEVER_RAISED
#define NEVER_RAISED 0
#endif
#ifndef NO_LATCH_COMPLETE
#define NO_LATCH_COMPLETE 0
#endif
#ifndef NO_LATCH_PUBLISH
#define NO_LATCH_PUBLISH 0
#endif
#ifndef FAIL_NONE
#define FAIL_NONE 0
#endif
#ifndef FAIL_TWICE
#define FAIL_TWICE 0
#endif
#ifndef FAIL_AND_POLL
#define FAIL_AND_POLL 0
#endif
#ifndef UNCONFIRMED
#define UNCONFIRMED 0
#endif
#ifndef STAGED_SURVIVES
#define STAGED_SURVIVES 0
#endif
#ifndef RAISED_BY_TAKE
#define RAISED_BY_TAKE 0
#endif

#define NONE 15 /* no id, no operation */
#define ON(pos) (((pos) + 1) % (2 * N))
#define AVAILABLE(pos) ((pos) < N -> 1 : 2)
#define USED(pos) ((pos) < N -> 3 : 0)

typedef desc {
    byte flags, id, op
}

desc ring[N];
bool broken_avail; /* the device's next poll sees a broken rule */
bool broken_used;  /* the driver's next poll does */
bool asked, confirmed; /* a reset */
byte resets;

/* Driver, private. */
bool d_latched;
byte d_avail, d_used, d_failed, d_op[N]; /* the operation of an id that is in flight, or NONE */

/* Device, private. */
bool v_latched;
byte v_avail, v_used, v_published, v_staged, v_first; /* the id in the withheld entry */
byte v_generation[N];
bool v_taken[N]; /* the id is in flight */

/* Worker, private: the token that it was given for an operation. It keeps all of them. */
byte token_id[OPS], token_generation[OPS];

/* No part of the code: who asked for what, and when. */
byte submitted, epoch, op_epoch[OPS], ended[OPS], v_op[N], first_op;
hidden byte i, id, op;

inline end_operation(which)
{
    assert(ended[which] == 0);
    ended[which]++
}

/* A caller sleeps until its operation ends. */
proctype waiter(byte mine)
{
end:
    submitted > mine;
    ended[mine] > 0 /* asleep */
}

inline submit()
{
    if
    :: d_op[0] == NONE -> id = 0
    :: N > 1 && d_op[1 % N] == NONE -> id = 1
    fi;
    d_op[id] = submitted;
    ring[d_avail % N].flags = AVAILABLE(d_avail);
    ring[d_avail % N].id = id;
    ring[d_avail % N].op = submitted;
    d_avail = ON(d_avail);
    op_epoch[submitted] = epoch;
    submitted++;
    id = 0
}

inline driver_poll()
{
    id = ring[d_used % N].id;
    op = d_op[id];
    assert(op != NONE); /* NOT_IN_FLIGHT, by no fault of the device */
    assert(ring[d_used % N].op == op);
    end_operation(op);
    d_op[id] = NONE;
    d_used = ON(d_used);
    op = 0; id = 0
}

inline fail()
{
    op = d_op[d_failed];
    if
    :: op != NONE -> end_operation(op)
    :: else
    fi;
    d_failed++;
    op = 0
}

inline driver_init()
{
    for (i : 0 .. N - 1) {
        d_op[i] = NONE
    }
    d_avail = 0;
    d_used = 0;
    d_failed = 0;
    d_latched = false
}

#define USED_THERE (ring[d_used % N].flags == USED(d_used))

proctype driver()
{
end:
    do
    :: atomic { submitted < OPS && (d_op[0] == NONE || d_op[N - 1] == NONE) -> submit() }
    :: d_step { !broken_used && USED_THERE -> driver_poll() }
    :: d_step { broken_used && resets < RESETS -> d_latched = true }; goto latched
    :: d_step { resets < RESETS -> d_latched = true }; goto latched /* stop */
    od;
latched:
    atomic { resets++; confirmed = false; asked = true }
    do
    :: d_step { d_failed < N && !FAIL_NONE -> fail() }
    :: d_step { d_failed == N && FAIL_TWICE -> d_failed = 0 }
    :: d_step { FAIL_AND_POLL && USED_THERE -> driver_poll() }
    :: d_step { (d_failed == N || FAIL_NONE) && (confirmed || UNCONFIRMED) -> driver_init() };
        goto end
    od
}

/* The driver's memory has other writers. Nothing is broken that no reset would mend. */
proctype hostile()
{
end:
    do
    :: d_step { !broken_avail && (resets < RESETS || asked) -> broken_avail = true }
    :: d_step { !broken_used && (resets < RESETS || asked) -> broken_used = true }
    od
}

inline device_poll()
{
    if
    :: broken_avail -> v_latched = true
    :: else ->
        id = ring[v_avail % N].id;
        op = ring[v_avail % N].op;
        assert(!v_taken[id]); /* DUPLICATE_ID, by no fault of the driver */
        v_taken[id] = true;
        v_generation[id] = v_generation[id] + (NEVER_RAISED -> 0 : 1);
        v_op[id] = op;
        v_avail = ON(v_avail);
        token_id[op] = id;
        token_generation[op] = v_generation[id]
    fi;
    op = 0; id = 0
}

/* A used entry of the device reaches the ring. */
inline write(pos, id_, op_)
{
    assert(!v_latched);
    assert(op_epoch[op_] == epoch);
    ring[(pos) % N].flags = USED(pos);
    ring[(pos) % N].id = id_;
    ring[(pos) % N].op = op_
}

#define ACCEPTED(o) (token_id[o] != NONE && (!v_latched || NO_LATCH_COMPLETE) && \
                     v_taken[token_id[o]] && v_generation[token_id[o]] == token_generation[o])

inline complete(token)
{
    id = token_id[token];
    assert(v_op[id] == token);
    if
    :: v_staged == 0 -> v_first = id; first_op = token
    :: else -> write(v_used, id, token)
    fi;
    v_used = ON(v_used);
    v_staged++;
    v_taken[id] = false;
    v_op[id] = 0;
    id = 0
}

inline publish()
{
    write(v_published, v_first, first_op);
    v_published = v_used;
    v_staged = 0;
    v_first = 0;
    first_op = 0
}

inline reset()
{
    for (i : 0 .. N - 1) {
        ring[i].flags = 0;
        ring[i].id = 0;
        ring[i].op = 0;
        v_taken[i] = false;
        v_op[i] = 0;
        v_generation[i] = (ZEROED -> 0 :
            v_generation[i] + (NEVER_RAISED || RAISED_BY_TAKE -> 0 : 1))
    }
    v_avail = 0;
    v_used = 0;
    v_published = 0;
    if
    :: !STAGED_SURVIVES -> v_staged = 0; v_first = 0; first_op = 0
    :: else
    fi;
    v_latched = false;
    broken_avail = false;
    broken_used = false;
    epoch++;
    asked = false;
    confirmed = true
}

proctype device()
{
end:
    do
    :: d_step { !v_latched && (broken_avail || ring[v_avail % N].flags == AVAILABLE(v_avail)) ->
        device_poll() }
    :: d_step { asked -> reset() }
    :: d_step { v_staged > 0 && (!v_latched || NO_LATCH_PUBLISH) -> publish() }
    od
}

/* A token that is not accepted changes nothing: no step. */
proctype worker()
{
end:
    do
    :: d_step { ACCEPTED(0) -> complete(0) }
    :: d_step { OPS > 1 && ACCEPTED(1 % OPS) -> complete(1 % OPS) }
    :: d_step { OPS > 2 && ACCEPTED(2 % OPS) -> complete(2 % OPS) }
    :: d_step { OPS > 3 && ACCEPTED(3 % OPS) -> complete(3 % OPS) }
    od
}

init
{
    atomic {
        for (i : 0 .. N - 1) {
            d_op[i] = NONE
        }
        for (i : 0 .. OPS - 1) {
            token_id[i] = NONE;
            run waiter(i)
        }
        run driver();
        run device();
        run worker();
        run hostile()
    }
}
