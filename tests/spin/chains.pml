/*
 * Chains of 1 to N descriptors: ids, wrap counters, batches, completion in any order.
 *
 * Modelled: a driver and a device that follow the rules, on N slots. The driver adds chains of any
 * length that fits, with any free id, and publishes as many as it likes at once. The device takes
 * chains in ring order, puts the newest back when it likes (rewind), completes any that it holds,
 * and publishes as many completions as it likes at once. A cursor is a position over two laps, as
 * halo_position counts them; a descriptor's flags say available or used for a lap.
 *
 * What was staged before a publish reaches the other side in any order and at any time before the
 * publish: each staged word is visible at once or stays back until then, whichever hurts.
 *
 *     add              halo_driver_add
 *     driver: publish  halo_driver_publish
 *     driver: poll     halo_driver_poll
 *     take, rewind     halo_device_poll, halo_device_rewind
 *     complete         halo_device_complete
 *     device: publish  halo_device_publish
 *
 * `owner` and `fate` are no part of the code: they say who may touch a slot, and where a chain is.
 * The walk over a chain is one step, because nobody else may write its slots: `owner` is asserted
 * at each store.
 *
 * Left out: a peer that breaks rules (tests/model, latch.pml), buffers and their addresses (one
 * body word per descriptor stands for them: it holds the position it was written for), event words
 * (wakeup.pml).
 *
 * Mutants, each -D MUTANT=1:
 *     FLAGS_FIRST        a descriptor's flags are visible before its body
 *     FIRST_FIRST        driver: the first flags of a batch are stored before the others
 *     FIRST_FIRST_USED   device: the same for used entries
 *     USED_BY_ONE        device: the used cursor moves on by 1, not by the chain's length
 *     POLL_BY_ONE        driver: the same for its cursor
 *     LATE_WRAP          driver: the wrap counter toggles one descriptor after the ring's end
 *     LATE_WRAP_USED     device: the same for used entries
 *     ID_FREE_AT_TAKE    the id can be used again as soon as the device has taken the chain
 *     SLOTS_FREE_AT_TAKE the same for the slots
 *     COMPLETE_TWICE     device: a token is accepted when its chain is not in flight
 *     REWIND_BY_ONE      device: rewind moves back by 1, not by the chain's length
 */
#ifndef N
#define N 2
#endif

#ifndef FLAGS_FIRST
#define FLAGS_FIRST 0
#endif
#ifndef FIRST_FIRST
#define FIRST_FIRST 0
#endif
#ifndef FIRST_FIRST_USED
#define FIRST_FIRST_USED 0
#endif
#ifndef USED_BY_ONE
#define USED_BY_ONE 0
#endif
#ifndef POLL_BY_ONE
#define POLL_BY_ONE 0
#endif
#ifndef LATE_WRAP
#define LATE_WRAP 0
#endif
#ifndef LATE_WRAP_USED
#define LATE_WRAP_USED 0
#endif
#ifndef ID_FREE_AT_TAKE
#define ID_FREE_AT_TAKE 0
#endif
#ifndef SLOTS_FREE_AT_TAKE
#define SLOTS_FREE_AT_TAKE 0
#endif
#ifndef COMPLETE_TWICE
#define COMPLETE_TWICE 0
#endif
#ifndef REWIND_BY_ONE
#define REWIND_BY_ONE 0
#endif
/* LIVE is for the runs that look for progress. To take and rewind for ever is none. */
#ifndef REWIND
#ifdef LIVE
#define REWIND 0
#else
#define REWIND 1
#endif
#endif

#define NONE N
#define ON(pos, slots) (((pos) + (slots)) % (2 * N))

/* Flags, AVAIL as 1 and USED as 2: those of an available and of a used descriptor at `pos`. */
#define AVAILABLE(pos) ((pos) < N -> 1 : 2)
#define USED(pos) ((pos) < N -> 3 : 0)
#define PHASE 3
#define NEXT 4

/* What a side stores, the mutants included. */
#define LATE(pos, mutant) ((mutant) && (pos) % N == 0 -> ON(pos, 2 * N - 1) : (pos))

/* A descriptor: its body, position + 1, and len, id and flags as one word, `meta`. */
typedef desc {
    byte body, length, id, flags
}

desc ring[N];  /* what the other side can see */
desc later[N]; /* what it cannot see yet, where the next two say so */
bool late_meta[N];
bool late_body[N];

/* Driver, private. */
byte d_avail, d_published, d_used, d_free = N, d_staged;
byte d_slots[N]; /* of the chain with this id; 0: the id is free */

/* Device, private. */
byte v_avail, v_used, v_published, v_in_flight, v_staged, v_newest = NONE;
byte v_slots[N]; /* of the chain with this id; 0: not in flight */

/* No part of the code. */
mtype = { FREE, STAGED, PUBLISHED, TAKEN, COMPLETED, RETURNED };
mtype = { OF_DRIVER, TO_TAKE, OF_DEVICE };
mtype fate[N], owner[N];
byte slots[N]; /* of the chain with this id */
hidden byte x, y, z, i, at, id;

/* Whatever the state: slots are conserved, and each side finds exactly what it should. */
inline check()
{
    x = 0; y = 0; z = 0;
    for (i : 0 .. N - 1) {
        x = x + (fate[i] == STAGED -> slots[i] : 0);
        y = y + (fate[i] == TAKEN -> slots[i] : 0);
        z = z + (fate[i] == COMPLETED -> slots[i] : 0)
    }
    assert(d_staged == x && v_in_flight == y && v_staged == z);
    x = 0; y = 0; z = 0;
    for (i : 0 .. N - 1) {
        x = x + slots[i];
        y = y + (fate[i] == PUBLISHED);
        z = z + (fate[i] == RETURNED)
    }
    assert(d_free + x == N);
    assert((y > 0) == ((ring[v_avail % N].flags & PHASE) == AVAILABLE(v_avail)));
    assert((z > 0) == ((ring[d_used % N].flags & PHASE) == USED(d_used)));
    x = 0; y = 0; z = 0
}

/* Store meta of the descriptor at `pos`; the other side may see it now. */
inline show_meta(pos)
{
    ring[(pos) % N].flags = later[(pos) % N].flags;
    ring[(pos) % N].id = later[(pos) % N].id;
    ring[(pos) % N].length = later[(pos) % N].length;
    later[(pos) % N].flags = 0;
    later[(pos) % N].id = 0;
    later[(pos) % N].length = 0;
    late_meta[(pos) % N] = false
}

inline show_body(pos)
{
    ring[(pos) % N].body = later[(pos) % N].body;
    later[(pos) % N].body = 0;
    late_body[(pos) % N] = false
}

/* Everything staged from `from` to just before `to` becomes visible. */
inline show_all(from, to)
{
    x = from;
    do
    :: if
       :: late_meta[x % N] -> show_meta(x)
       :: else
       fi;
       if
       :: late_body[x % N] -> show_body(x)
       :: else
       fi;
       x = ON(x, 1);
       if
       :: x == to -> break
       :: else
       fi
    od;
    x = 0
}

/* Mutant: every flag of the batch, no body. */
inline show_every_meta()
{
    x = from;
    do
    :: x != to ->
        if
        :: late_meta[x % N] -> show_meta(x)
        :: else
        fi;
        x = ON(x, 1)
    :: else -> break
    od;
    x = 0
}

/* Store body and, unless it is the first of a batch, meta of the descriptor at `at`. */
inline stage(withheld)
{
    assert(owner[at % N] == OF_DRIVER);
    later[at % N].body = at + 1;
    later[at % N].length = y;
    later[at % N].id = id;
    later[at % N].flags = z;
    late_body[at % N] = true;
    late_meta[at % N] = true;
    if
    :: show_body(at)
    :: true
    fi;
    if
    :: !(withheld) -> show_meta(at)
    :: true
    fi
}

/* A chain of 1 to d_free descriptors, with any free id. */
inline add()
{
    y = 1;
    do
    :: y < d_free -> y++
    :: break
    od;
    if
    :: d_slots[0] == 0 -> id = 0
    :: N > 1 && d_slots[1 % N] == 0 -> id = 1
    :: N > 2 && d_slots[2 % N] == 0 -> id = 2
    :: N > 3 && d_slots[3 % N] == 0 -> id = 3
    fi;
    x = 0;
    do
    :: x < y ->
        at = ON(d_avail, x);
        z = AVAILABLE(LATE(at, LATE_WRAP)) + (x + 1 < y -> NEXT : 0);
        stage(d_staged + x == 0);
        x++
    :: else -> break
    od;
    d_slots[id] = y;
    d_avail = ON(d_avail, y);
    d_free = d_free - y;
    d_staged = d_staged + y;
    assert(fate[id] == FREE);
    fate[id] = STAGED;
    slots[id] = y;
    y = 0; at = 0; id = 0
}

/* The batch is the device's, in the eyes of everybody. */
inline hand_over()
{
    for (i : 0 .. N - 1) {
        fate[i] = (fate[i] == STAGED -> PUBLISHED : fate[i])
    }
    x = d_published;
    do
    :: owner[x % N] = TO_TAKE;
        x = ON(x, 1);
        if
        :: x == d_avail -> break
        :: else
        fi
    od;
    d_staged = 0
}

proctype driver()
{
    byte from, to;

    do
    :: atomic { d_free > 0 -> add(); check() }
    :: d_step { d_staged > 0 -> /* publish */
        from = d_published;
        to = d_avail;
        if
        :: FIRST_FIRST -> show_meta(from)
        :: FLAGS_FIRST -> show_every_meta()
        :: else -> show_all(from, to); from = 0; to = 0
        fi;
        hand_over();
        d_published = d_avail;
        check() }
    :: (FIRST_FIRST || FLAGS_FIRST) && from != to -> /* what should have come before */
        d_step { show_all(from, to); from = 0; to = 0 }
    :: d_step { (ring[d_used % N].flags & PHASE) == USED(d_used) -> /* poll */
        id = ring[d_used % N].id;
        assert(d_slots[id] > 0);            /* NOT_IN_FLIGHT */
        assert(fate[id] == RETURNED);
        assert(ring[d_used % N].length == slots[id]);
        x = 0;
        do
        :: x < d_slots[id] -> /* what is left there is never read: forget it */
            at = ON(d_used, x) % N;
            assert(owner[at] == OF_DRIVER);
            ring[at].id = 0;
            ring[at].length = 0;
            ring[at].body = 0;
            ring[at].flags = ring[at].flags & PHASE;
            x++
        :: else -> break
        od;
        d_used = ON(d_used, (POLL_BY_ONE -> 1 : d_slots[id]));
        d_free = d_free + d_slots[id];
        d_slots[id] = 0;
        fate[id] = FREE;
        slots[id] = 0;
        check() }
#ifdef LIVE
progress:
        skip
#endif
    od
}

/* The walk over the chain at the cursor; `x` counts its descriptors. */
inline take()
{
    x = 0;
    at = v_avail;
    do
    :: assert(owner[at % N] == TO_TAKE);
        assert((ring[at % N].flags & PHASE) == AVAILABLE(at)); /* TORN */
        assert(ring[at % N].body == at + 1);
        owner[at % N] = OF_DEVICE;
        x++;
        if
        :: ring[at % N].flags & NEXT -> at = ON(at, 1)
        :: else -> break
        fi
    od;
    assert(x <= N - v_in_flight - v_staged); /* OVERCOMMIT */
    id = ring[at % N].id;
    assert(v_slots[id] == 0);                /* DUPLICATE_ID */
    assert(fate[id] == PUBLISHED);
    assert(slots[id] == x);
    fate[id] = TAKEN;
    v_slots[id] = x;
    v_newest = id;
    v_in_flight = v_in_flight + x;
    v_avail = ON(at, 1);
    if
    :: ID_FREE_AT_TAKE -> d_slots[id] = 0
    :: SLOTS_FREE_AT_TAKE -> d_free = d_free + x
    :: else
    fi;
    x = 0; at = 0; id = 0
}

inline rewind()
{
    x = 0;
    v_avail = ON(v_avail, 2 * N - (REWIND_BY_ONE -> 1 : v_slots[v_newest]));
    do
    :: x < v_slots[v_newest] -> owner[ON(v_avail, x) % N] = TO_TAKE; x++
    :: else -> break
    od;
    v_in_flight = v_in_flight - v_slots[v_newest];
    v_slots[v_newest] = 0;
    fate[v_newest] = PUBLISHED;
    v_newest = NONE;
    x = 0
}

/* Any chain in flight. The batch's first used entry is withheld. */
inline complete()
{
    if
    :: (v_slots[0] > 0 || COMPLETE_TWICE) -> id = 0
    :: N > 1 && (v_slots[1 % N] > 0 || COMPLETE_TWICE) -> id = 1
    :: N > 2 && (v_slots[2 % N] > 0 || COMPLETE_TWICE) -> id = 2
    :: N > 3 && (v_slots[3 % N] > 0 || COMPLETE_TWICE) -> id = 3
    fi;
    at = v_used;
    assert(owner[at % N] == OF_DEVICE);
    later[at % N].flags = USED(LATE(at, LATE_WRAP_USED));
    later[at % N].id = id;
    later[at % N].length = v_slots[id];
    late_meta[at % N] = true;
    if
    :: v_staged > 0 -> show_meta(at)
    :: true
    fi;
    v_used = ON(v_used, (USED_BY_ONE -> 1 : v_slots[id]));
    v_staged = v_staged + v_slots[id];
    v_in_flight = v_in_flight - v_slots[id];
    fate[id] = (v_slots[id] > 0 -> COMPLETED : fate[id]);
    v_slots[id] = 0;
    v_newest = (v_newest == id -> NONE : v_newest);
    at = 0; id = 0
}

inline give_back()
{
    for (i : 0 .. N - 1) {
        fate[i] = (fate[i] == COMPLETED -> RETURNED : fate[i])
    }
    x = v_published;
    do
    :: v_staged > 0 -> owner[x % N] = OF_DRIVER; x = ON(x, 1); v_staged--
    :: else -> break
    od;
    x = 0
}

proctype device()
{
    byte from, to;

    do
    :: d_step { (ring[v_avail % N].flags & PHASE) == AVAILABLE(v_avail) -> take(); check() }
    :: d_step { REWIND && v_newest != NONE -> rewind(); check() }
    :: atomic { v_in_flight > 0 -> complete(); check() }
    :: d_step { v_staged > 0 -> /* publish */
        from = ON(v_published, 1);
        to = v_used;
        if
        :: FIRST_FIRST_USED -> show_meta(v_published)
        :: else -> show_all(v_published, v_used); from = 0; to = 0
        fi;
        give_back();
        v_published = v_used;
        check() }
    :: FIRST_FIRST_USED && from != to ->
        d_step { show_all(from, to); from = 0; to = 0 }
    od
}

init
{
    d_step {
        for (i : 0 .. N - 1) {
            fate[i] = FREE;
            owner[i] = OF_DRIVER
        }
    }
    atomic {
        run driver();
        run device()
    }
}
