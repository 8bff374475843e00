/*
 * halo_interrupt against the beginning and the end of what runs a guest.
 *
 * Modelled: a thread that runs a guest RUNS times, one run after the other, and in each of them
 * looks whether it is to end, and then sleeps in KVM_RUN or epoll_wait until a bell rings, or until
 * what it waits for has come, at any time or never; and INTERRUPTERS threads, each of which
 * interrupts once, at any time. Each access of the word is one step, and so is each system call.
 *
 *     begin            halo__interrupt_begin: RUNNING
 *     look, sleep      halo__interrupt_is_wanted, and KVM_RUN (signal) or epoll_wait (eventfd)
 *     want, ring       halo__interrupt_want
 *     end              halo__interrupt_end
 *
 * The bell stays rung until it is taken away, as a blocked signal stays pending and an eventfd
 * readable. A run that is never done by itself must be ended by an interrupt that has reached it.
 *
 * Left out: memory order (each access is seen at once; the word is one word, changed by
 * read-modify-write alone), and that there are two bells, which are rung and taken away together.
 *
 * Mutants, each -D MUTANT=1:
 *     NO_BELL        the word is changed, and nobody is woken
 *     RING_FIRST     the bell is rung before the word is changed
 *     BELL_IN_RUN    a bell wakes only who sleeps already, as a signal that is not blocked does
 *     NO_AWAIT       a run ends without waiting for the ringing to be over
 *     KEEPS_BELL     a run ends without taking the bell away
 *     KEEPS_WORD     a run ends, and what was wanted of it stays
 *     ANY_TIME       it is wanted also where nothing runs
 */
#ifndef RUNS
#define RUNS 2
#endif
#ifndef INTERRUPTERS
#define INTERRUPTERS 2
#endif
#ifndef NO_BELL
#define NO_BELL 0
#endif
#ifndef RING_FIRST
#define RING_FIRST 0
#endif
#ifndef BELL_IN_RUN
#define BELL_IN_RUN 0
#endif
#ifndef NO_AWAIT
#define NO_AWAIT 0
#endif
#ifndef KEEPS_BELL
#define KEEPS_BELL 0
#endif
#ifndef KEEPS_WORD
#define KEEPS_WORD 0
#endif
#ifndef ANY_TIME
#define ANY_TIME 0
#endif

bool running, wanted, ringing; /* the word */
bool bell, asleep;

/* No part of the code: which run it is, and which of them were reached. */
byte turn;
bool reached[RUNS + 1];
bool inside; /* a run is under way, or ends */

inline ring()
{
    if
    :: NO_BELL || (BELL_IN_RUN && !asleep)
    :: else ->
        assert(inside); /* a signal for a thread that has left would be the host's own */
        bell = true
    fi
}

proctype interrupter()
{
    bool won;

    if
    :: RING_FIRST -> atomic { if :: running -> ring() :: else fi }
    :: else
    fi;
    atomic {
        if
        :: (running || ANY_TIME) && !wanted ->
            wanted = true;
            ringing = true;
            reached[turn] = true;
            won = true
        :: else -> won = false
        fi
    }
    if
    :: won ->
        if
        :: !RING_FIRST -> atomic { ring() }
        :: else
        fi;
        ringing = false
    :: else
    fi
}

/* Asleep for ever is right only where nobody has interrupted this run. */
proctype watcher()
{
end:
    atomic { asleep && wanted && !ringing && !bell -> assert(false) }
}

proctype runner()
{
    bool was_wanted, done, comes;

    do
    :: turn < RUNS ->
        atomic {
            inside = true;
            running = true;
            if
            :: !KEEPS_WORD && !ANY_TIME -> wanted = false /* the store of RUNNING alone */
            :: else
            fi
        }
        done = false;
        if /* what it waits for comes, or never does */
        :: comes = true
        :: comes = false
        fi;
        do
        :: done -> break
        :: wanted -> break
        :: !done && !wanted ->
            asleep = true;
end:        if
            :: bell -> skip           /* stays rung: the word tells why */
            :: comes -> done = true   /* what it waits for */
            fi;
            asleep = false
        od;
        atomic {
            was_wanted = wanted;
            assert(!wanted || reached[turn]); /* it hits the run that it was meant for */
            running = false;
            if
            :: !KEEPS_WORD -> wanted = false
            :: else
            fi
        }
        if
        :: !NO_AWAIT -> !ringing
        :: else
        fi;
        if
        :: was_wanted && !KEEPS_BELL -> bell = false
        :: else
        fi;
        atomic {
            assert(!bell); /* nothing is left for the next one */
            inside = false;
            turn++
        }
    :: else -> break
    od
}

init
{
    byte i;

    atomic {
        run runner();
        run watcher();
        for (i : 1 .. INTERRUPTERS) {
            run interrupter()
        }
    }
}
