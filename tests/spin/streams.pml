/*
 * Flow control of streams: windows, blocked ends, cancelling and closing, on one thread.
 *
 * Modelled: a guest with two streams and calls, which share a ring of SLOTS; at most WINDOW moves
 * of a stream are in flight, and one call. The host runs when the guest waits: it takes everything
 * from the ring into one flow per stream, serves each flow in order for as long as its end is
 * ready, and completes calls at once. It lets the guest go on as soon as something is answered; else
 * it sleeps until an end that it watches gets ready. Ends get ready, and stop being ready with
 * every move, as they like; with DEAD=1 that of stream 0 never is.
 *
 * The guest sends MOVES moves on each stream and CALLS calls, in any order. When it has sent its
 * moves it closes stream 1, behind them, and then sends one more to it, which must be stale. With
 * DEAD=1 it cancels stream 0, at any time, and sends no more to it. A run ends when everything was
 * answered, and in no other state. With ENDLESS=1 nothing is closed and there is no end: something
 * must go on for ever, with DEAD=1 stream 1 or the calls.
 *
 * Asserted: no flow exceeds its window; the moves of a stream are done in order; nothing of a
 * stream is done after its close was, and nothing of it is left when it was.
 *
 * Left out: bytes (a move is done or not), two threads (pressure.pml and wakeup.pml), the host's
 * own end, and listening streams.
 *
 * Mutants, each -D MUTANT=1:
 *     NO_WINDOW       the guest sends as long as there are slots
 *     ONE_FLOW        a blocked end delays whatever came after it
 *     NO_WATCH        an end that blocked is not watched
 *     WATCH_ONE       only the first end that blocked is
 *     NO_UNBLOCK      what a watched end tells is forgotten
 *     CLOSE_FIRST     a close does not wait for the writes before it
 *     CLOSE_CANCELLED a cancel of the whole flow takes the close with it, unanswered
 *     CANCEL_NONE     a cancelled move stays where it is
 *     STALE_SERVED    a handle is good after its close
 *     LOST_SLOT       a cancelled move does not give its slot back
 *     SLEEPS          the host sleeps although something is answered
 * and SLOTS=2, all of which a dead stream holds: nothing else ever gets one.
 *
 * With KEEP=1 windows may be larger than the ring, as those of all streams together are: a slot is
 * kept for the first move of each stream, and moves behind the first leave one for calls, cancels
 * and closes; those leave what is kept. (src/guest/stream/request.c may_go, src/guest/port.c
 * has_room; what may not go is held by the guest, in order, which is to send it later.) Its mutants:
 *     KEEP=0          the same windows in a ring that anything may fill: the hang of 85 silent reads
 *     KEEP_NO_FIRST   moves leave one slot for the rest, but the first ones have none of their own
 *     KEEP_AHEAD_TAKES moves behind the first take what is kept for first moves
 */
#ifndef SLOTS
#define SLOTS 5
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef MOVES
#define MOVES 3
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef DEAD
#define DEAD 0
#endif
#ifndef ENDLESS
#define ENDLESS 0
#endif
#ifndef KEEP
#define KEEP 0
#endif

mtype = { MOVE, CALL, CLOSE, CANCEL };
#define GUEST 0
#define HOST 1

chan ring = [SLOTS] of { mtype, byte, byte }; /* kind, stream, number */
chan used = [SLOTS] of { mtype, byte, byte };
chan flow0 = [SLOTS] of { mtype, byte };
chan flow1 = [SLOTS] of { mtype, byte };

byte turn = GUEST;
byte slots = SLOTS;     /* free */
byte in_flight[2], sent[2], done[2];
byte calls_sent, calls_done;
bool calling, closed_sent, closed_done, late_sent, late_done, cancelled;
/* the host's */
bool closing, ready[2], blocked[2], watched[2], answered;

#define ALL_DONE                                                                                    \
    ((cancelled || done[0] == MOVES) && done[1] == MOVES && calls_done == CALLS && closed_done && late_done)
/* Nothing that it waits for could come: a program that waits for a dead end has to cancel. */
#define ONLY_DEAD (DEAD && !cancelled && slots + in_flight[0] == SLOTS && (!ENDLESS || slots > 0))

/* --- The guest -------------------------------------------------------------------------------- */

inline submit(kind, s, n)
{
    slots--;
    ring!kind(s, n);
}

inline take_answer()
{
    used?kind, s, n;
    slots++;
    if
    :: kind == MOVE ->
#ifndef LATE_NUMBER
#define LATE_NUMBER 99
#endif
        if
        :: n == LATE_NUMBER -> late_done = true
        :: else ->
            in_flight[s]--;
            assert(ENDLESS || n == done[s]); /* in order */
            assert(!(s == 1 && closed_done));
            if
            :: ENDLESS -> sent[s]--
            :: else -> done[s]++
            fi
        fi
    :: kind == CALL ->
        calling = false;
        if
        :: ENDLESS -> skip
        :: else -> calls_done++
        fi
    :: kind == CLOSE ->
        assert(in_flight[1] == 0);
        closed_done = true
    :: kind == CANCEL -> skip
    fi
}

/* Slots that first moves may still need. */
#define KEPT ((in_flight[0] == 0) + (in_flight[1] == 0))
#if KEEP
#define ROOM (slots > KEPT)
#ifdef KEEP_NO_FIRST
#define FITS(s) (slots > 1)
#elif defined(KEEP_AHEAD_TAKES)
#define FITS(s) (slots > 0)
#else
#define FITS(s) (in_flight[s] == 0 || slots > KEPT + 1)
#endif
#else
#define ROOM (slots > 0)
#define FITS(s) (slots > 0)
#endif

#ifdef NO_WINDOW
#define MAY_MOVE(s) (sent[s] < MOVES && FITS(s))
#else
#define MAY_MOVE(s) (sent[s] < MOVES && in_flight[s] < WINDOW && FITS(s))
#endif

proctype Guest()
{
    mtype kind;
    byte s, n;

    do
    :: turn == GUEST && nempty(used) ->
        atomic { take_answer() };
        if
        :: ENDLESS && ((kind == MOVE && (s == 1 || !DEAD)) || kind == CALL) ->
progress:   skip
        :: else -> skip
        fi
    :: atomic { turn == GUEST && slots > 0 && MAY_MOVE(0) && !cancelled ->
        submit(MOVE, 0, sent[0]); sent[0]++; in_flight[0]++ }
    :: atomic { turn == GUEST && slots > 0 && MAY_MOVE(1) ->
        submit(MOVE, 1, sent[1]); sent[1]++; in_flight[1]++ }
    :: atomic { turn == GUEST && ROOM && !calling && calls_sent < CALLS ->
        submit(CALL, 0, 0); calling = true; calls_sent = calls_sent + (1 - ENDLESS) }
    :: atomic { turn == GUEST && ROOM && !ENDLESS && sent[1] == MOVES && !closed_sent ->
        submit(CLOSE, 1, 0); closed_sent = true }
    :: atomic { turn == GUEST && slots > 0 && closed_sent && !late_sent ->
        submit(MOVE, 1, LATE_NUMBER); late_sent = true }
    :: atomic { turn == GUEST && ROOM && DEAD && !ENDLESS && in_flight[0] > 0 && !cancelled ->
        submit(CANCEL, 0, 0); cancelled = true }
    :: atomic { turn == GUEST && empty(used) && slots < SLOTS && !ONLY_DEAD -> turn = HOST }
    :: !ENDLESS && ALL_DONE && turn == GUEST && slots == SLOTS -> break
    od
}

/* --- The host --------------------------------------------------------------------------------- */

inline answer(kind, s, n)
{
    used!kind(s, n);
    answered = true;
}

/* Moves of a flow that is cancelled: they are answered; a close stays. */
inline cancel_flow(flow)
{
    do
    :: flow?[MOVE, _] ->
        flow?MOVE, n;
#ifdef LOST_SLOT
        skip
#else
        answer(MOVE, s, n)
#endif
    :: flow?[CLOSE, _] ->
#ifdef CLOSE_CANCELLED
        flow?CLOSE, n
#else
        break
#endif
    :: empty(flow) -> break
    od
}

inline take_one()
{
    ring?kind, s, n;
    if
    :: kind == CALL -> answer(CALL, s, n)
#ifndef STALE_SERVED
    :: kind == MOVE && s == 1 && closing -> answer(MOVE, s, n) /* stale */
#endif
    :: else ->
        if
        :: kind == CANCEL ->
#ifdef CANCEL_NONE
            skip;
#else
            cancel_flow(flow0);
#endif
            answer(CANCEL, s, n)
        :: kind == CLOSE ->
            closing = true;
#ifdef CLOSE_FIRST
            answer(CLOSE, s, n)
#else
            flow1!CLOSE(n)
#endif
#ifdef CLOSE_CANCELLED
            ; cancel_flow(flow1)
#endif
        :: kind == MOVE ->
            if
            :: s == 0 -> flow0!MOVE(n)
            :: s == 1 -> flow1!MOVE(n)
            fi;
            assert(len(flow0) <= WINDOW && len(flow1) <= WINDOW + 1)
        fi
    fi
}

/* The first of a flow, if its end is ready: a close needs none. */
inline serve(flow, which)
{
    do
    :: flow?[CLOSE, _] -> flow?CLOSE, n; answer(CLOSE, which, n)
    :: flow?[MOVE, _] && !blocked[which] && ready[which] ->
        flow?MOVE, n;
        ready[which] = false;
        answer(MOVE, which, n)
    :: flow?[MOVE, _] && !blocked[which] && !ready[which] -> blocked[which] = true
    :: (flow?[MOVE, _] && blocked[which]) || empty(flow) -> break
    od
}

inline watch(which)
{
#ifdef NO_WATCH
    skip
#else
    watched[which] = blocked[which]
#endif
}

/* What is ready by now, of what is watched: no sleep. */
inline look()
{
#ifndef NO_UNBLOCK
    if
    :: watched[0] && ready[0] -> blocked[0] = false; watched[0] = false
    :: else -> skip
    fi;
    if
    :: watched[1] && ready[1] -> blocked[1] = false; watched[1] = false
    :: else -> skip
    fi
#else
    skip
#endif
}

proctype Host()
{
    mtype kind;
    byte s, n;
    bool asleep;

end:
    do
    :: atomic { turn == HOST ->
        do
        :: nempty(ring) -> take_one()
        :: empty(ring) -> break
        od;
        look();
        serve(flow0, 0);
#ifdef ONE_FLOW
        if
        :: empty(flow0) -> serve(flow1, 1)
        :: else -> skip
        fi;
#else
        serve(flow1, 1);
#endif
        watch(0);
#ifdef WATCH_ONE
        if
        :: watched[0] -> skip
        :: else -> watch(1)
        fi;
#else
        watch(1);
#endif
#ifdef SLEEPS
        answered = false;
#endif
        if
        :: answered -> answered = false; turn = GUEST; asleep = false
        :: else -> asleep = true
        fi };
        if
        :: asleep -> (watched[0] && ready[0]) || (watched[1] && ready[1])
        :: else -> skip
        fi
    od
}

/* Ends get ready. A dead one never is; the other always is again. */
proctype End(byte which)
{
end:
    do
    :: atomic { !ready[which] && !(DEAD && which == 0) -> ready[which] = true }
    od
}

init
{
    atomic { run Guest(); run Host(); run End(0); run End(1) }
}
