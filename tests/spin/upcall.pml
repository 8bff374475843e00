/*
 * Calling a guest that computes: src/host/upcall.c, src/guest/upcall.c.
 *
 * Modelled: a guest whose program computes where it may be called, asks its host for something and
 * waits, or waits to be called, in any order, PARTS times; its handler, whose functions may ask and
 * wait themselves, ASKS times; and a host that makes CALLS calls at any time, answers at any time,
 * and stops the guest before any step: to call it, where that is due, and for other reasons, which
 * change nothing. Computing may go on until every call is answered. On one thread the host sees
 * answers when the guest leaves by its doorbell; on two at any time.
 *
 *     callable, call_itself    halo_callable
 *     ask                      a request, halo__port_wait: what comes meanwhile is put off
 *     handler                  halo__upcall_entry, halo__upcall_serve, halo__port_upcall
 *     stop                     halo__upcall_look; due: halo__upcall_when
 *
 * Each step of the guest's is an access of memory that both use, or of its registers: `regs` says
 * whose they are. Where it stands is `at`; a program that was stopped stays where it is. Every call
 * has depth 0. A call that is lost is a guest that computes for ever, which spin reports as an
 * invalid end state.
 *
 * Mutants, each -D MUTANT=1:
 *     ANYWHERE       the host calls wherever the guest is
 *     NO_IS          it does not say that the guest is being called
 *     ONCE           where the guest does not let itself be called, it is not asked again
 *     FORGET_AT_KICK what was sent counts as seen when the handler leaves, not when it is called
 *     NO_LOOK        the program begins to compute without a look at what was put off
 *     LOOK_RING      that look is at the queue alone
 *     LOOK_CALLS     and not at answers that nobody has seen
 *     SERVE_ONE      the handler serves one call
 *     SERVE_RING     it serves what is in the queue, and not what its own waits have put off
 *     NO_KICK        it does not leave when it has answered
 *     KICK_OWN       it leaves only where it has answered something itself
 *     EARLY_MAY      it lets itself be called before it has the program's registers back
 *     NO_BACK        called before its last jump, it takes that for where the program was
 */
#ifndef CALLS
#define CALLS 3
#endif
#ifndef PARTS
#define PARTS 3
#endif
#ifndef ASKS
#define ASKS 1
#endif
#ifndef ANYWHERE
#define ANYWHERE 0
#endif
#ifndef NO_IS
#define NO_IS 0
#endif
#ifndef ONCE
#define ONCE 0
#endif
#ifndef FORGET_AT_KICK
#define FORGET_AT_KICK 0
#endif
#ifndef NO_LOOK
#define NO_LOOK 0
#endif
#ifndef LOOK_RING
#define LOOK_RING 0
#endif
#ifndef LOOK_CALLS
#define LOOK_CALLS 0
#endif
#ifndef SERVE_ONE
#define SERVE_ONE 0
#endif
#ifndef SERVE_RING
#define SERVE_RING 0
#endif
#ifndef NO_KICK
#define NO_KICK 0
#endif
#ifndef KICK_OWN
#define KICK_OWN 0
#endif
#ifndef EARLY_MAY
#define EARLY_MAY 0
#endif
#ifndef NO_BACK
#define NO_BACK 0
#endif

/* Where the guest stands. */
#define PROGRAM 0
#define HANDLER 1
#define ENTRY 2 /* the handler's first instruction */
#define BACK 3  /* its last one */

/* struct halo_upcall */
#define NOT 0
#define MAY 1
#define IS 2
byte may = NOT, from;

byte at = PROGRAM, to;
byte regs = PROGRAM, kept; /* whose; whose the handler has kept */
bit critical;              /* the runtime is in the middle of something */
bit waiting;               /* the guest stands at its doorbell, and not for a moment */

chan ring = [CALLS] of {byte};    /* H2G */
chan put_off = [CALLS] of {byte}; /* the guest's */
byte sent, seen;                  /* calls: of the host's; those that the guest has looked at */
byte served, shown, back;         /* answered; in the ring; seen by the host */
bit unseen;                       /* the guest has answered since it last left */
bit asked, answer;                /* a request of the guest's */
bit threaded, over;

#define DUE (sent != seen && sent != back)

/* halo__port_is_called */
#define IS_CALLED (len(ring) > 0 || (len(put_off) > 0 && !LOOK_RING) || (unseen && !LOOK_CALLS))

/* The program's steps, and the handler's: where the guest stands there. */
#define P (at == PROGRAM)
#define H (at == HANDLER)

/* Calls are served as they came. */
inline handle()
{
    assert(number == served);
    served++;
    unseen = true
}

/* The next one, inside of no wait. */
inline serve(ring_alone)
{
    any = false;
    if
    :: len(put_off) > 0 && !(ring_alone) -> put_off ? number; any = true; handle()
    :: (len(put_off) == 0 || (ring_alone)) && len(ring) > 0 -> ring ? number; any = true; handle()
    :: (len(put_off) == 0 || (ring_alone)) && len(ring) == 0
    fi
}

/* At its doorbell, all that it has answered in the ring: the host takes in what was answered. One that waits has seen what was sent,
 * unless something came since. */
inline leave()
{
    unseen = false;
    shown = served;
    back = shown;
    if
    :: waiting && len(ring) == 0 && !answer -> seen = sent
    :: else
    fi
}

/* A request, and the wait for its answer: calls that come are put off. */
inline ask(here)
{
    atomic { here -> critical = true; asked = true }
    do
    :: atomic { here && answer -> answer = false; break }
    :: atomic { here && !answer && len(ring) > 0 -> ring ? number; put_off ! number }
    :: atomic {
            here && !answer && len(ring) == 0 ->
            waiting = true;
            leave()
        }
        atomic { answer || len(ring) > 0 -> waiting = false }
    od;
    atomic { here -> critical = false }
}

proctype program()
{
    byte number, part;
    bool any;

    do
    :: part < PARTS ->
        part++;
        if
        :: true -> ask(P)
        :: true -> /* it waits to be called */
            atomic {
                P -> critical = true;
                waiting = true;
                leave()
            }
            atomic { len(ring) > 0 || len(put_off) > 0 || back == CALLS -> waiting = false }
            atomic { P -> serve(false) }
            atomic { P -> critical = false }
        :: true -> /* it computes */
            if
            :: atomic { P && !NO_LOOK && IS_CALLED }
                atomic { P -> may = IS }
                atomic { P -> from = PROGRAM }
                atomic { P -> at = ENTRY }
            :: atomic { P && (NO_LOOK || !IS_CALLED) }
                atomic { P -> may = MAY }
            fi;
            if /* for a moment, or for as long as it takes */
            :: true -> atomic { P -> assert(regs == PROGRAM) }
            :: true -> atomic { P && back == CALLS -> assert(regs == PROGRAM) }
            fi;
            atomic { P -> may = NOT }
        fi
    :: part == PARTS -> break
    od;
    /* It serves, until there will be no more calls. */
    do
    :: atomic { P && back == CALLS -> break }
    :: atomic { P && back < CALLS && (len(ring) > 0 || len(put_off) > 0) -> serve(false) }
    :: atomic {
            P && back < CALLS && len(ring) == 0 && len(put_off) == 0 ->
            waiting = true;
            leave()
        }
        atomic { len(ring) > 0 || back == CALLS -> waiting = false }
    od;
    over = true
}

proctype handler()
{
    byte number, asks;
    bool any, some;

end:
    do
    :: atomic { at == ENTRY ->
            at = HANDLER;
            kept = regs;
            regs = HANDLER;
            assert(!critical);
            some = false
        }
        atomic {
            H ->
            if
            :: from != BACK || NO_BACK -> to = from
            :: else
            fi
        }
        do
        :: atomic { H -> serve(SERVE_RING) }
            if
            :: any ->
                some = true;
                if
                :: asks < ASKS -> asks++; ask(H)
                :: true
                fi;
                if
                :: SERVE_ONE -> break
                :: else
                fi
            :: else -> break
            fi
        od;
        if
        :: unseen && !NO_KICK && (some || !KICK_OWN) ->
            atomic {
                H -> leave();
                if
                :: FORGET_AT_KICK -> seen = sent
                :: else
                fi
            }
        :: else
        fi;
        if
        :: EARLY_MAY -> atomic { H -> may = MAY }
        :: else
        fi;
        atomic { H -> regs = kept }
        atomic { H -> may = MAY; at = BACK }
    :: atomic { at == BACK -> assert(to == PROGRAM); at = to }
    :: over -> break
    od
}

/* It sends, answers what it was asked, and takes in what was answered. */
proctype host()
{
end:
    do
    :: atomic { sent < CALLS -> ring ! sent; sent++ }
    :: atomic { asked -> asked = false; answer = true }
    :: atomic { threaded && back != shown -> back = shown }
    od
}

/* The guest is stopped. */
proctype stop()
{
    bit tried; /* with ONCE */

end:
    do
    :: atomic {
            DUE && !waiting && !over && !tried && (may == MAY || ANYWHERE) && at != ENTRY ->
            from = at;
            if
            :: !NO_IS -> may = IS
            :: else
            fi;
            if
            :: !FORGET_AT_KICK -> seen = sent
            :: else
            fi;
            at = ENTRY
        }
    :: atomic { ONCE && DUE && !waiting && !over && may != MAY -> tried = true }
    od
}

init
{
    atomic {
        if
        :: threaded = true
        :: threaded = false
        fi;
        run program();
        run handler();
        run host();
        run stop()
    }
}
