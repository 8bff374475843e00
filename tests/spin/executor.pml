/*
 * The executor's hand-over: tasks from the loop's thread to a worker, and back.
 *
 * Modelled: a list with SEATS seats, of WORKERS workers (more than the code has for one list: the
 * protocol does not need that there is one); the loop's thread, which submits TASKS tasks for each seat
 * at any time and turns when the descriptor is readable; the worker, which takes the first seat of
 * its list, runs its first task for a quantum, without the mutex, and sleeps where the list is
 * empty. A task takes one quantum or two. The mutex makes what is done under it one step; what is
 * done is a word that is exchanged, and a bell.
 *
 *     submit       halo_submit
 *     take, back   run_seat, before and behind the run
 *     tell         tell: pushed, then the bell where it was empty
 *     turn         halo_turn: the bell is taken away, then all that is done
 *
 * Mutants, each -D MUTANT=1:
 *     LIST_TWICE     a seat that is being run is listed again by a submit
 *     NOT_BACK       a seat that has more tasks is not listed again
 *     NO_SIGNAL      a submit does not wake the worker
 *     BELL_LAST      turn takes the bell away behind what is done
 *     NO_BELL        what is done rings no bell
 */
#ifndef SEATS
#define SEATS 2
#endif
#ifndef TASKS
#define TASKS 2
#endif
#ifndef WORKERS
#define WORKERS 2 /* that would run one seat if it were listed twice */
#endif
#ifndef LIST_TWICE
#define LIST_TWICE 0
#endif
#ifndef NOT_BACK
#define NOT_BACK 0
#endif
#ifndef NO_SIGNAL
#define NO_SIGNAL 0
#endif
#ifndef BELL_LAST
#define BELL_LAST 0
#endif
#ifndef NO_BELL
#define NO_BELL 0
#endif

chan list = [SEATS * 2] of { byte }; /* the worker's */
byte waiting[SEATS];                 /* tasks of a seat that are not done */
byte submitted[SEATS];
bool listed[SEATS], runs[SEATS];
bool signalled, bell; /* the worker was woken once: it looks at the list before it sleeps again */
byte done, told; /* tasks */

proctype worker()
{
    byte seat;
    bool was_empty;

end:
    do
    :: atomic { nempty(list) && signalled ->
            list ? seat;
            assert(!runs[seat]); /* a sandbox is one thread's at a time */
            runs[seat] = true
        }
        if
        :: skip -> /* a quantum, and it is not done */
            atomic { runs[seat] = false; list ! seat }
        :: skip ->
            atomic {
                runs[seat] = false;
                assert(waiting[seat] > 0);
                waiting[seat]--;
                if
                :: waiting[seat] > 0 && !NOT_BACK -> list ! seat
                :: else -> listed[seat] = false
                fi
            }
            atomic {
                done++;
                was_empty = done == 1
            }
            if
            :: was_empty && !NO_BELL -> bell = true
            :: else
            fi
        fi
    od
}

inline submit(which)
{
    submitted[which]++;
    waiting[which]++;
    if
    :: !listed[which] || LIST_TWICE -> listed[which] = true; list ! which
    :: else
    fi;
    signalled = signalled || !NO_SIGNAL
}

proctype loop()
{
    do
    :: atomic { submitted[0] < TASKS -> submit(0) }
    :: atomic { submitted[SEATS - 1] < TASKS -> submit(SEATS - 1) }
    :: bell ->
        if
        :: !BELL_LAST -> bell = false
        :: else
        fi;
        atomic { told = told + done; done = 0 }
        if
        :: BELL_LAST -> bell = false
        :: else
        fi
    :: told == SEATS * TASKS -> break
    od
}

init
{
    byte i;

    atomic {
        for (i : 1 .. WORKERS) {
            run worker()
        }
        run loop()
    }
}
