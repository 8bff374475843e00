/*
 * Back-pressure: two queues, both full, and two sides that wait to send.
 *
 * Modelled: a guest and a host with both queues. G2H carries the guest's calls and its answers to
 * the host's requests; each needs a slot and a buffer. On H2G the guest keeps POSTS buffers
 * posted; the host uses one up for each request. The guest answers a request on G2H. The host
 * takes everything from G2H into one record per slot, completes an answer at once and calls in
 * any order; a call may need a request of the host's first (DEPEND).
 *
 * A side is in one wait at a time: idle, or about to send without room, or in need of one
 * answer. In each of them it goes on receiving:
 *
 *     reclaim   guest: a completed chain gives back its slot and its buffer at once; the answer
 *               is kept, in the call's own record, until the program asks for it
 *     take      guest: a request moves to private memory, at most BACKLOG of them, and its buffer
 *               is posted again in the same step; with a full backlog it stays in the ring
 *     answer    guest: the oldest request, as soon as there is a slot and a buffer
 *     v_take    host: calls and answers, into the records
 *
 * What is added or completed is staged; it is published at any time, and before a sleep. Before
 * it sleeps a side asks for both queues (only for what it can act on), looks again at the same,
 * and only a bell wakes it. With TURNS=1 the two share one thread: a kick or a sleep of the guest
 * runs the host, and the host runs until it sleeps; nothing is fair about that.
 *
 * A run ends when all calls and requests have been answered, and in no other state. With
 * ENDLESS=1 they start again, and there is no end.
 *
 * Which rules are needed depends on what a call may wait for, DEPEND:
 *     0  nothing            RESERVE=0 is enough, if the host completes while it waits (SERVE=1)
 *     1  a request is sent  RESERVE=1, the guest answers while it waits (ANSWERS=1)
 *     2  ... and answered   the same
 * RESERVE=1: calls leave one slot and one buffer free, which are for answers.
 *
 * Left out: the event words (wakeup.pml: here, publishing and the decision are one step), chains
 * of several descriptors (chains.pml: a slot stands for the longest answer's chain), deadlines,
 * peers that break rules, and handlers of requests that make calls.
 *
 * Mutants, each -D MUTANT=1, or =GUEST or =HOST where it says side:
 *     NO_RECEIVE       side: waits to send, and nothing else
 *     NO_RECLAIM       takes requests while it waits to send, but no completions
 *     NO_TAKE          the other way round
 *     LATE_REPOST      the request's buffer is posted again when the guest is idle
 *     NO_SLOT_RESERVE  a call takes the last slot
 *     NO_BUF_RESERVE   a call takes the last buffer
 *     KEEPS_BUFFER     the answer stays in its buffer until the program asks for it
 *     DROPS_ANSWER     reclaim forgets the answer
 *     DROPS_REQUEST    a request taken while waiting is forgotten
 *     NO_BOUND         takes requests however many it holds
 *     REPOST_TWICE     when taken and when answered
 *     ONLY_WITH_CREDIT the host completes only when it could also send
 *     ONE_AT_A_TIME    the host takes nothing while it holds a call
 *     NO_SECOND_LOOK   side: asleep as soon as armed
 *     ARM_ONE          side: waits to send, and asks only for room
 *     UNPUBLISHED      side: what is staged is published when it is idle again
 *     NO_KICK          the guest does not tell of buffers that it posts
 *     OTHER_LOOK       the second look sees requests for which the backlog has no room
 * and ANSWERS=0, SERVE=0, RESERVE=0, DEPEND=1 where the table above asks for more. BOTH_FULL=1 is
 * no mistake: it asserts that the state that all this is about cannot be reached.
 */
#ifndef SLOTS
#define SLOTS 2 /* of G2H */
#endif
#ifndef POSTS
#define POSTS 1 /* slots of H2G */
#endif
#ifndef BUFS
#define BUFS SLOTS /* of the pool, besides those posted on H2G */
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef BACKLOG
#define BACKLOG 1
#endif
#ifndef DEPEND
#define DEPEND 2
#endif
#ifndef RESERVE
#define RESERVE 1
#endif
#ifndef ANSWERS
#define ANSWERS 1
#endif
#ifndef SERVE
#define SERVE 0
#endif
#ifndef TURNS
#define TURNS 0
#endif
#ifndef ENDLESS
#define ENDLESS 0
#endif

#define GUEST 0
#define HOST 1
#define NOBODY 15 /* no side, no call, no request */

#ifndef NO_RECEIVE
#define NO_RECEIVE NOBODY
#endif
#ifndef NO_RECLAIM
#define NO_RECLAIM 0
#endif
#ifndef NO_TAKE
#define NO_TAKE 0
#endif
#ifndef LATE_REPOST
#define LATE_REPOST 0
#endif
#ifndef NO_SLOT_RESERVE
#define NO_SLOT_RESERVE 0
#endif
#ifndef NO_BUF_RESERVE
#define NO_BUF_RESERVE 0
#endif
#ifndef KEEPS_BUFFER
#define KEEPS_BUFFER 0
#endif
#ifndef DROPS_ANSWER
#define DROPS_ANSWER 0
#endif
#ifndef DROPS_REQUEST
#define DROPS_REQUEST 0
#endif
#ifndef NO_BOUND
#define NO_BOUND 0
#endif
#ifndef REPOST_TWICE
#define REPOST_TWICE 0
#endif
#ifndef ONLY_WITH_CREDIT
#define ONLY_WITH_CREDIT 0
#endif
#ifndef ONE_AT_A_TIME
#define ONE_AT_A_TIME 0
#endif
#ifndef NO_SECOND_LOOK
#define NO_SECOND_LOOK NOBODY
#endif
#ifndef ARM_ONE
#define ARM_ONE NOBODY
#endif
#ifndef UNPUBLISHED
#define UNPUBLISHED NOBODY
#endif
#ifndef NO_KICK
#define NO_KICK 0
#endif
#ifndef OTHER_LOOK
#define OTHER_LOOK 0
#endif
#ifndef BOTH_FULL
#define BOTH_FULL 0
#endif

/* The queues. An entry is the number of a call, or CALLS + that of a request. Of each, the newest
 * `staged` are not published yet. */
chan calls = [SLOTS] of { byte };    /* G2H, available: calls, and answers to requests */
chan used = [SLOTS] of { byte };     /* G2H, used */
chan requests = [POSTS] of { byte }; /* H2G, used: requests */
byte posted;                         /* H2G, available: buffers */
byte calls_staged, used_staged, requests_staged, posted_staged;

#define CALL_THERE (len(calls) > calls_staged)
#define USED_THERE (len(used) > used_staged)
#define REQUEST_THERE (len(requests) > requests_staged)
#define BUFFER_THERE (posted > posted_staged)

/* Who asks to be told of what. */
bool armed_calls, armed_used, armed_requests, armed_posted;
bool bell[2];
byte turn;
#define MY_TURN(side) (!TURNS || turn == (side))

/* What a side is in: idle, or one wait. */
#define IDLE 0
#define SENDING 1   /* a call; the host: a request */
#define ANSWERING 2 /* the guest only */
#define AWAITING 3
byte g_state, v_state;

/* Guest, private. */
byte g_slots = SLOTS, g_bufs = BUFS; /* free */
chan backlog = [BACKLOG] of { byte };
byte g_call[CALLS];     /* the record of a call */
byte g_awaited = NOBODY;
byte g_late;            /* mutant: buffers to post when idle */

#define NEW 0
#define SENT 1
#define KEPT 2 /* answered */
#define OVER 3
#define DROPPED 4

/* Host, private. */
byte v_call[CALLS];             /* the record of a call */
byte v_cause = NOBODY;          /* the call whose request is being sent */
byte v_awaited = NOBODY;
byte v_left = REQUESTS;         /* not begun */
byte v_request[REQUESTS];       /* NEW, SENT, OVER */
byte v_of[REQUESTS];            /* the call that needs it */

#define NOT_HELD 0
#define NEEDS 1 /* a request is to be sent first */
#define BEGUN 2
#define READY 3

byte x, y, i; /* 0 between steps */

/* A slot and a buffer: both or neither. */
#define CALL_ROOM \
    (g_slots > (NO_SLOT_RESERVE -> 0 : RESERVE) && g_bufs > (NO_BUF_RESERVE -> 0 : RESERVE))
#define ANSWER_ROOM (g_slots > 0 && g_bufs > 0)

/* Whatever the state: slots and buffers are conserved, what is private is bounded. */
inline check()
{
    x = 0; y = 0;
    for (i : 0 .. CALLS - 1) {
        x = x + (v_call[i] != NOT_HELD);
        y = y + (KEEPS_BUFFER && g_call[i] == KEPT)
    }
    assert(g_slots + len(calls) + x + len(used) == SLOTS);
    assert(g_bufs + len(calls) + x + len(used) + y == BUFS);
    assert(posted + len(requests) + g_late == POSTS);
    if
    :: BOTH_FULL && g_state == SENDING && v_state == SENDING && !CALL_ROOM && posted == 0 &&
            len(requests) == POSTS && len(backlog) == BACKLOG ->
        assert(false)
    :: else
    fi;
    x = 0; y = 0; i = 0
}

/* Publishing, the decision and the bell: one step. One thread: a kick runs the host. */
inline ring(who, armed)
{
    if
    :: armed ->
        armed = false;
        bell[who] = true;
        turn = (TURNS && who == HOST -> HOST : turn)
    :: else
    fi
}

/*
 * Guest.
 */
#define G_RECEIVES (g_state == IDLE || g_state == AWAITING || NO_RECEIVE != GUEST)
#define G_WAITS_TO_SEND (g_state == SENDING || g_state == ANSWERING)
#define G_RECLAIMS (USED_THERE && G_RECEIVES && !(NO_RECLAIM && G_WAITS_TO_SEND))
#define G_BACKLOG (len(backlog) < BACKLOG || NO_BOUND)
#define G_TAKES (REQUEST_THERE && G_BACKLOG && G_RECEIVES && !(NO_TAKE && G_WAITS_TO_SEND))
#define G_ANSWERS \
    (len(backlog) > 0 && ANSWER_ROOM && (g_state == ANSWERING || \
        (g_state == SENDING || g_state == AWAITING) && ANSWERS))
#define G_PUBLISHES (g_state == IDLE || UNPUBLISHED != GUEST)
#define ASKS_FOR_REQUESTS (!(ARM_ONE == GUEST && G_WAITS_TO_SEND))

/* The lowest call that is not under way. */
inline pick_new()
{
    i = 0;
    do
    :: g_call[i] != NEW -> i++
    :: else -> break
    od
}

#define ANY_NEW \
    (g_call[0] == NEW || CALLS > 1 && g_call[1 % CALLS] == NEW || \
        CALLS > 2 && g_call[2 % CALLS] == NEW || CALLS > 3 && g_call[3 % CALLS] == NEW)

inline add(entry)
{
    calls!entry;
    calls_staged++;
    g_slots--;
    g_bufs--
}

inline reclaim()
{
    used?y;
    g_slots++;
    if
    :: y >= CALLS -> g_bufs++ /* an answer has arrived */
    :: else ->
        assert(g_call[y] == SENT); /* once */
        g_call[y] = (DROPS_ANSWER && G_WAITS_TO_SEND -> DROPPED : KEPT);
        if
        :: !KEEPS_BUFFER -> g_bufs++
        :: else
        fi
    fi;
    y = 0
}

inline repost()
{
    posted++;
    posted_staged++
}

inline take()
{
    assert(len(backlog) < BACKLOG); /* private memory */
    requests?y;
    if
    :: DROPS_REQUEST && G_WAITS_TO_SEND
    :: else -> backlog!y
    fi;
    if
    :: LATE_REPOST && g_state != IDLE -> g_late++
    :: else -> repost()
    fi;
    y = 0
}

inline answer()
{
    backlog?y;
    add(CALLS + y);
    if
    :: REPOST_TWICE -> repost()
    :: else
    fi;
    y = 0
}

/* The program asks for the answer: its record is free. */
inline consume(which)
{
    g_call[which] = (ENDLESS -> NEW : OVER);
    if
    :: KEEPS_BUFFER -> g_bufs++
    :: else
    fi
}

#define CONSUMABLE(which) \
    (CALLS > (which) && g_call[(which) % CALLS] == KEPT && \
        (g_state == IDLE || g_state == AWAITING && g_awaited == (which)))
#define AWAITABLE(which) \
    (CALLS > (which) && g_state == IDLE && \
        (g_call[(which) % CALLS] == SENT || g_call[(which) % CALLS] == DROPPED))

inline option_consume(which)
{
    consume((which) % CALLS);
    g_state = IDLE;
    g_awaited = NOBODY;
    check()
}

#define ENTRIES_DONE (len(calls) + len(used) + len(requests) + len(backlog) == 0)
#define CALLS_DONE \
    (g_call[0] == OVER && (CALLS < 2 || g_call[1 % CALLS] == OVER) && \
        (CALLS < 3 || g_call[2 % CALLS] == OVER) && (CALLS < 4 || g_call[3 % CALLS] == OVER))
#define REQUESTS_DONE \
    (v_request[0] == OVER && (REQUESTS < 2 || v_request[1 % REQUESTS] == OVER) && \
        (REQUESTS < 3 || v_request[2 % REQUESTS] == OVER) && \
        (REQUESTS < 4 || v_request[3 % REQUESTS] == OVER))
#define ALL_DONE (CALLS_DONE && REQUESTS_DONE && ENTRIES_DONE && \
    g_state == IDLE && v_state == IDLE)

proctype guest()
{
    do
    /* The program. */
    :: g_state == IDLE && ANY_NEW -> g_state = SENDING
    :: g_state == IDLE && len(backlog) > 0 -> g_state = ANSWERING
    :: d_step { AWAITABLE(0) -> g_state = AWAITING; g_awaited = 0 }
    :: d_step { AWAITABLE(1) -> g_state = AWAITING; g_awaited = 1 }
    :: d_step { AWAITABLE(2) -> g_state = AWAITING; g_awaited = 2 }
    :: d_step { AWAITABLE(3) -> g_state = AWAITING; g_awaited = 3 }
    :: d_step { CONSUMABLE(0) -> option_consume(0) }
    :: d_step { CONSUMABLE(1) -> option_consume(1) }
    :: d_step { CONSUMABLE(2) -> option_consume(2) }
    :: d_step { CONSUMABLE(3) -> option_consume(3) }
    :: d_step { g_late > 0 && g_state == IDLE -> g_late--; repost(); check() }

    /* Sending. */
    :: d_step { g_state == SENDING && CALL_ROOM ->
        pick_new();
        g_call[i] = SENT;
        add(i);
        g_state = IDLE;
        check() }
    :: d_step { G_ANSWERS ->
        answer();
        g_state = (g_state == ANSWERING -> IDLE : g_state);
        check() }
    :: d_step { calls_staged > 0 && G_PUBLISHES -> calls_staged = 0; ring(HOST, armed_calls) };
        MY_TURN(GUEST)
    :: d_step { posted_staged > 0 && G_PUBLISHES ->
        posted_staged = 0;
        if
        :: !NO_KICK -> ring(HOST, armed_posted)
        :: else
        fi };
        MY_TURN(GUEST)

    /* Receiving. */
    :: G_RECLAIMS ->
progress_reclaim:
        d_step { reclaim(); check() }
    :: G_TAKES ->
progress_take:
        d_step { take(); check() }

    :: else -> /* nothing to do: arm, look again, sleep */
        d_step {
            armed_used = true;
            armed_requests = G_BACKLOG && ASKS_FOR_REQUESTS
        }
        if
        :: NO_SECOND_LOOK != GUEST && (G_RECLAIMS || G_TAKES && ASKS_FOR_REQUESTS ||
            OTHER_LOOK && REQUEST_THERE)
        :: else ->
            turn = (TURNS -> HOST : 0);
            if
            :: d_step { bell[GUEST] && MY_TURN(GUEST) -> skip }
            :: ALL_DONE -> break
            fi
        fi;
        d_step { armed_used = false; armed_requests = false; bell[GUEST] = false }
    od;
    turn = HOST;
    assert(g_slots == SLOTS && g_bufs == BUFS && posted == POSTS)
}

/*
 * Host.
 */
#define V_HOLDS \
    (v_call[0] != NOT_HELD || CALLS > 1 && v_call[1 % CALLS] != NOT_HELD || \
        CALLS > 2 && v_call[2 % CALLS] != NOT_HELD || CALLS > 3 && v_call[3 % CALLS] != NOT_HELD)
#define V_MAY_COMPLETE (!ONLY_WITH_CREDIT || BUFFER_THERE)
#define V_TAKES \
    (CALL_THERE && !(NO_RECEIVE == HOST && v_state == SENDING) && !(ONE_AT_A_TIME && V_HOLDS) && \
        (V_MAY_COMPLETE || calls?[eval(0)] || CALLS > 1 && calls?[eval(1)] || \
            CALLS > 2 && calls?[eval(2)] || CALLS > 3 && calls?[eval(3)]))
#define V_COMPLETES(which) \
    (CALLS > (which) && v_call[(which) % CALLS] == READY && (v_state == IDLE || SERVE) && \
        V_MAY_COMPLETE)
#define V_BEGINS(which) \
    (CALLS > (which) && v_state == IDLE && v_call[(which) % CALLS] == NEEDS)
#define V_PUBLISHES (v_state == IDLE || UNPUBLISHED != HOST)
#define V_WANTS_BUFFER (v_state == SENDING || ONLY_WITH_CREDIT)
#define ASKS_FOR_CALLS (!(ARM_ONE == HOST && v_state == SENDING))

inline v_complete(entry)
{
    used!entry;
    used_staged++
}

/* A call is held; an answer is completed. */
inline v_take()
{
    calls?y;
    if
    :: y < CALLS ->
        assert(v_call[y] == NOT_HELD);
        if
        :: v_call[y] = READY
        :: DEPEND > 0 && v_left > 0 -> v_call[y] = NEEDS; v_left--
        fi
    :: else ->
        x = y - CALLS;
        assert(v_request[x] == SENT); /* once */
        v_request[x] = (ENDLESS -> NEW : OVER);
        v_left = v_left + ENDLESS;
        if
        :: v_of[x] != NOBODY ->
            assert(DEPEND < 2 || v_call[v_of[x]] == BEGUN);
            if
            :: DEPEND == 2 -> v_call[v_of[x]] = READY
            :: else
            fi
        :: else
        fi;
        v_of[x] = NOBODY;
        if
        :: v_awaited == x -> v_awaited = NOBODY; v_state = IDLE
        :: else
        fi;
        v_complete(y);
        x = 0
    fi;
    y = 0
}

inline v_send()
{
    i = 0;
    do
    :: v_request[i] != NEW -> i++
    :: else -> break
    od;
    v_request[i] = SENT;
    v_of[i] = v_cause;
    posted--;
    requests!i;
    requests_staged++;
    if
    :: v_cause != NOBODY && DEPEND == 1 -> v_call[v_cause] = READY; v_of[i] = NOBODY
    :: else
    fi;
    v_cause = NOBODY;
    v_state = IDLE;
    if
    :: true
    :: v_state = AWAITING; v_awaited = i
    fi;
    i = 0
}

inline v_option_complete(which)
{
    v_call[(which) % CALLS] = NOT_HELD;
    v_complete((which) % CALLS);
    check()
}

inline v_option_begin(which)
{
    v_call[(which) % CALLS] = BEGUN;
    v_cause = (which) % CALLS;
    v_state = SENDING
}

proctype host()
{
    MY_TURN(HOST);
    do
    :: d_step { V_BEGINS(0) -> v_option_begin(0) }
    :: d_step { V_BEGINS(1) -> v_option_begin(1) }
    :: d_step { V_BEGINS(2) -> v_option_begin(2) }
    :: d_step { V_BEGINS(3) -> v_option_begin(3) }
    :: d_step { v_state == IDLE && v_left > 0 -> v_left--; v_state = SENDING }
    :: d_step { V_COMPLETES(0) -> v_option_complete(0) }
    :: d_step { V_COMPLETES(1) -> v_option_complete(1) }
    :: d_step { V_COMPLETES(2) -> v_option_complete(2) }
    :: d_step { V_COMPLETES(3) -> v_option_complete(3) }
    :: v_state == SENDING && BUFFER_THERE ->
progress_send:
        atomic { v_send(); check() }
    :: d_step { used_staged > 0 && V_PUBLISHES -> used_staged = 0; ring(GUEST, armed_used) }
    :: d_step { requests_staged > 0 && V_PUBLISHES ->
        requests_staged = 0;
        ring(GUEST, armed_requests) }
    :: V_TAKES ->
progress_take:
        atomic { v_take(); check() }

    :: else ->
        d_step {
            armed_calls = ASKS_FOR_CALLS;
            armed_posted = V_WANTS_BUFFER
        }
        if
        :: NO_SECOND_LOOK != HOST && (V_TAKES && ASKS_FOR_CALLS || V_WANTS_BUFFER && BUFFER_THERE)
        :: else ->
            turn = (TURNS -> GUEST : 0);
            if
            :: d_step { bell[HOST] && MY_TURN(HOST) -> skip }
            :: ALL_DONE -> break
            fi
        fi;
        d_step { armed_calls = false; armed_posted = false; bell[HOST] = false }
    od;
    turn = GUEST
}

init
{
    atomic {
        posted = POSTS;
        for (i : 0 .. REQUESTS - 1) {
            v_of[i] = NOBODY
        }
        run guest();
        run host()
    }
}
