/*
 * The host's loop (src/host/loop.c) with a guest that waits for a time beside a file that a helper
 * thread reads, closes streams while their helpers are at work, and opens others in their places.
 *
 * What is asked of a file is awaited before the guest goes on; the time of the guest's wait counts
 * only where nothing of that kind is. So a look at what there is finds something, or the host has
 * slept: it never looks twice for nothing. An answer is of the stream that asked, by its generation,
 * whoever has its place by now; a handle of before finds no stream.
 *
 * Mutants: WAKE_BESIDE (the time counts there, too, and the guest does not run all the same),
 * NO_SLEEP (the host looks until the helper is ready), STALE_ANSWER and STALE_HANDLE (no generations).
 */
#ifndef WAKE_BESIDE
#define WAKE_BESIDE 0
#endif
#ifndef NO_SLEEP
#define NO_SLEEP 0
#endif
#ifndef STALE_ANSWER
#define STALE_ANSWER 0
#endif
#ifndef STALE_HANDLE
#define STALE_HANDLE 0
#endif
#define STEPS 6 /* of the guest's */

bool open = true;
byte generation = 1;         /* of the stream in the place */
byte handle = 1, old;        /* the guest's: of the last that it opened, and of one before */
byte asked;                  /* the generation that the stream's helper reads for, or 0 */
bool file;                   /* of a file, which the guest stands still for */
byte working, behind, ready; /* for whom helpers are at it, one that was left behind, and are done */
bool wake, passed, answered; /* the guest's wait for a time; and the time is over */
byte steps, idle;

/* The kernel may take any time for it, and hold it for ever. */
active proctype Helper()
{
end:
    do
    :: atomic { working > 0 && ready == 0 -> ready = working; working = 0 }
    :: atomic { behind > 0 && ready == 0 -> ready = behind; behind = 0 }
    od
}

active proctype Clock()
{
end:
    do
    :: atomic { wake && !passed -> passed = true }
    od
}

/* Take in what the helper has read. */
inline drain()
{
    if
    :: ready > 0 ->
        idle = 0;
        if
        :: open && (asked == ready || STALE_ANSWER) && asked > 0 ->
            assert(ready == generation);
            asked = 0;
            answered = true
        :: else /* of a stream that is closed: nobody waits for it */
        fi;
        ready = 0
    :: else ->
        idle++;
        assert(idle < 2) /* the host burns its processor */
    fi
}

/* What the guest does until it waits. A read goes to the stream that its handle names. */
inline run_guest()
{
    steps++;
    wake = false;
    passed = false;
    answered = false;
    idle = 0;
    if
    :: open && asked == 0 ->
        asked = generation;
        working = generation;
        if
        :: file = true
        :: file = false
        fi
    :: open && (working == 0 || behind == 0) ->
        open = false;
        asked = 0;
        old = handle;
        if
        :: working > 0 -> behind = working; working = 0
        :: else
        fi
    :: !open -> open = true; generation++; handle = generation
    :: old > 0 -> /* it uses a handle of before */
        if
        :: open && (old == generation || STALE_HANDLE) -> assert(old == generation)
        :: else
        fi
    :: skip
    fi;
    if
    :: wake = true /* and waits for that time, or an answer */
    :: skip
    fi
}

active proctype Host()
{
    do
    :: steps == STEPS -> break
    :: else ->
        if
        :: asked > 0 && file -> /* urgent */
            if
            :: NO_SLEEP
            :: WAKE_BESIDE && wake && passed
            :: ready > 0
            fi;
            atomic { drain() }
        :: !(asked > 0 && file) && ready > 0 -> atomic { drain() }
        :: !(asked > 0 && file) && (!wake || passed || answered) -> atomic { run_guest() }
        fi
    od
}
