/*
 * Waking each other: the event words of a ring, in both directions, with store buffers.
 *
 * Modelled: driver and device as one process type, because with chains of one descriptor they do
 * the same: take what the other side gave, give it back or on, in batches of 1 to N. Each side has
 * a store buffer, first in, first out, as on x86; a process of its own drains it at any time. A
 * fence waits until the buffer is empty. A side stops asking (NEVER), asks for the next position
 * (AT_DESC) or, as another conforming peer may, for everything (ALWAYS, also the word of a fresh
 * ring). It may publish several batches before it decides once. It sleeps only without work, and
 * only a bell wakes it: a lost wake-up is two sleepers, which spin reports as an invalid end state.
 *
 *     publish        halo_driver_add + halo_driver_publish; halo_device_complete + _publish
 *     announce       halo_driver_should_kick, halo_device_should_notify
 *     wanted         halo_event_wanted
 *     arm, disarm    halo_driver_arm, halo_device_arm, ..._disarm
 *     poll           halo_driver_poll, halo_device_poll
 *
 * Positions count slots over two laps, as halo_position does. The run has no end: 2N positions, N
 * slots and the buffers are the whole state.
 *
 * Left out: chains of several descriptors and ids (chains.pml), the latch (latch.pml), memory that
 * is weaker than a store buffer, spurious wake-ups (they would hide a lost one), and devices that
 * sleep while they hold a chain.
 *
 * DEFER=0 takes away several batches before one decision, FOREIGN=0 an arm that says ALWAYS: for
 * runs that would be too large.
 *
 * Mutants, each -D MUTANT=DRIVER or DEVICE, the side that makes the mistake:
 *     NO_PUBLISH_FENCE   the event word is loaded before the flags need be in memory
 *     NO_ARM_FENCE       the ring is looked at before the event word need be in memory
 *     NO_SECOND_LOOK     asleep as soon as armed
 *     OTHER_LAP          the wrap bit of the event word is read the wrong way round
 *     NO_WRAP            the interval is compared by slots, without the wrap counter
 *     ONLY_LAST          only the batch's last position is compared
 *     ONLY_LAST_BATCH    only the last of several batches is compared
 *     ARM_BEYOND         armed for the position after the next
 */
#ifndef N
#define N 2
#endif

#ifndef DEFER
#define DEFER 1
#endif
#ifndef FOREIGN
#define FOREIGN 1
#endif

#define DRIVER 0
#define DEVICE 1
#define NOBODY 2

#ifndef NO_PUBLISH_FENCE
#define NO_PUBLISH_FENCE NOBODY
#endif
#ifndef NO_ARM_FENCE
#define NO_ARM_FENCE NOBODY
#endif
#ifndef NO_SECOND_LOOK
#define NO_SECOND_LOOK NOBODY
#endif
#ifndef OTHER_LAP
#define OTHER_LAP NOBODY
#endif
#ifndef NO_WRAP
#define NO_WRAP NOBODY
#endif
#ifndef ONLY_LAST
#define ONLY_LAST NOBODY
#endif
#ifndef ONLY_LAST_BATCH
#define ONLY_LAST_BATCH NOBODY
#endif
#ifndef ARM_BEYOND
#define ARM_BEYOND NOBODY
#endif

/* The words of shared memory: flags of N slots, then the event word of each side. */
#define EVENT(side) (N + (side))
byte mem[N + 2];

/* Flags, AVAIL as 1 and USED as 2: those of an available and of a used descriptor at `pos`. */
#define AVAILABLE(pos) ((pos) < N -> 1 : 2)
#define USED(pos) ((pos) < N -> 3 : 0)
#define MINE(pos) (me == DRIVER -> AVAILABLE(pos) : USED(pos))
#define THEIRS(pos) (me == DRIVER -> USED(pos) : AVAILABLE(pos))

/* Event words. */
#define ALWAYS 0
#define NEVER 1
#define AT_DESC 2 /* + position */

#define ON(pos, slots) (((pos) + (slots)) % (2 * N))

chan buffer[2] = [N + 3] of { byte, byte };
bool bell[2];

/* A store buffer reaches memory. */
proctype drain(byte owner)
{
    byte where, value;
end:
    do
    :: atomic { buffer[owner]?where, value -> mem[where] = value; where = 0; value = 0 }
    od
}

#define FENCE(mutant) (mutant == me || empty(buffer[me]))

/* Is the other side's descriptor at the cursor? A store of our own that is still buffered is not. */
#define THERE (!(buffer[me]??[eval(take % N), _]) && mem[take % N] == THEIRS(take))

/* The notify decision for the `count` positions that end before `give`: sets `wanted`. */
inline decide()
{
    if
    :: word == ALWAYS -> wanted = true
    :: word == NEVER -> wanted = false
    :: else ->
        word = word - AT_DESC;
        if
        :: OTHER_LAP == me -> word = ON(word, N)
        :: else
        fi;
        if
        :: NO_WRAP == me ->
            wanted = ON(give, 2 * N - count) % N <= word % N && word % N < give % N
        :: ONLY_LAST == me -> wanted = (word == ON(give, 2 * N - 1))
        :: else -> wanted = ((give > word -> give - word : give + 2 * N - word) <= count)
        fi
    fi;
    word = 0
}

/* Give a batch of any size: the flags of its first descriptor are stored last. */
inline publish()
{
    atomic {
        count = 1;
        do
        :: count < room -> count++
        :: break
        od;
        word = count;
        do
        :: word > 1 ->
            word--;
            buffer[me]!ON(give, word) % N, MINE(ON(give, word))
        :: else -> break
        od;
        buffer[me]!give % N, MINE(give);
        give = ON(give, count);
        room = room - count;
        if
        :: ONLY_LAST_BATCH == me || unannounced + count > 2 * N ->
            unannounced = (ONLY_LAST_BATCH == me -> count : 2 * N)
        :: else -> unannounced = unannounced + count
        fi;
        count = 0;
        word = 0
    }
}

/* Fence, load the other side's event word, decide, ring. */
inline announce()
{
    atomic {
        FENCE(NO_PUBLISH_FENCE) ->
        word = mem[EVENT(1 - me)];
        count = unannounced;
        unannounced = 0;
        decide();
        count = 0
    }
    if
    :: atomic { wanted -> empty(buffer[me]); bell[1 - me] = true; wanted = false }
    :: else
    fi
}

proctype side(byte me)
{
    byte give, take;  /* cursors: the next position to publish, and to look at */
    byte room;        /* slots that this side has: it may give that many */
    byte owes;        /* it does not sleep with that many */
    byte unannounced; /* slots published since the last decision; 2N stands for more */
    bool quiet;       /* the event word says NEVER */
    byte count, word;
    bool wanted;

    d_step {
        room = (me == DRIVER -> N : 0);
        owes = (me == DRIVER -> N : 1)
    }
    do
    :: THERE -> /* poll */
progress:
        atomic {
            take = ON(take, 1);
            room++
        }
    :: room > 0 && (DEFER || unannounced == 0) -> publish()
    :: unannounced > 0 -> announce()
    :: atomic { !quiet && nfull(buffer[me]) -> /* disarm: no fence */
        buffer[me]!EVENT(me), NEVER;
        quiet = true }
    :: room < owes && unannounced == 0 -> /* arm */
        atomic {
            nfull(buffer[me]) ->
            if
            :: buffer[me]!EVENT(me), AT_DESC + ON(take, (ARM_BEYOND == me -> 1 : 0))
            :: FOREIGN -> buffer[me]!EVENT(me), ALWAYS
            fi;
            quiet = false
        }
        if
        :: FENCE(NO_ARM_FENCE) && THERE && NO_SECOND_LOOK != me ->
            goto progress
        :: atomic { FENCE(NO_ARM_FENCE) && (!THERE || NO_SECOND_LOOK == me) -> skip }
asleep:     atomic { bell[me] -> bell[me] = false }
        fi
    od
}

init
{
    atomic {
        run drain(DRIVER);
        run drain(DEVICE);
        run side(DRIVER);
        run side(DEVICE)
    }
}
