/*
 * The executor's hand-over: tasks from the loop's thread to a worker, and back.
 *
 * Modelled: a worker with two seats; the loop's thread, which submits TASKS tasks for each seat at
 * any time, and turns when the descriptor is readable; the world, which brings what the second
 * seat's guest waits for. What the first one's waits for never comes: its tasks are cancelled, each
 * at any time. A turn of a task's, which runs without the mutex, is over with an answer, a quantum
 * or a wait. The mutex makes what is done under it one step; what is done is a word that is
 * exchanged, and a bell; the worker sleeps for its own bell, and for what it has armed.
 *
 *     submit, cancel   halo_submit, halo_cancel
 *     wake             halo__worker_wake
 *     listen           listen: the look at the lists before the sleep, the sleep, what it brought
 *     turn, back       run_seat
 *     tell             tell: pushed, then the bell where it was empty
 *
 * Mutants, each -D MUTANT=1:
 *     LIST_TWICE     a seat that is being run is listed again by a submit
 *     NOT_BACK       a seat that has more tasks is not listed again
 *     NO_SIGNAL      who lists a seat does not wake the worker
 *     LATE_SLEEP     the worker says that it sleeps after it has let the mutex go
 *     NO_ARM         a seat is parked, and its poller not armed
 *     PARK_BLIND     a seat is parked whose task was cancelled meanwhile
 *     LEFT_PARKED    a cancellation leaves a seat parked
 *     BELL_LAST      turn takes the bell away behind what is done
 *     NO_BELL        what is done rings no bell
 */
#define SEATS 2
#ifndef TASKS
#define TASKS 2
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
#ifndef LATE_SLEEP
#define LATE_SLEEP 0
#endif
#ifndef NO_ARM
#define NO_ARM 0
#endif
#ifndef PARK_BLIND
#define PARK_BLIND 0
#endif
#ifndef LEFT_PARKED
#define LEFT_PARKED 0
#endif
#ifndef BELL_LAST
#define BELL_LAST 0
#endif
#ifndef NO_BELL
#define NO_BELL 0
#endif

#define NONE 0
#define LISTED 1
#define RUNS 2
#define PARKED 3

chan list = [SEATS * 3] of { byte };
byte place[SEATS], submitted[SEATS], cancelled[SEATS], finished[SEATS];
bool armed[SEATS], came[SEATS];
bool sleeps, rung; /* the worker's */
byte done, told;   /* tasks */
bool bell;         /* the loop's */

#define IS_CANCELLED(s) (cancelled[s] > finished[s])
#define IS_READY(s) (armed[s] && came[s])

inline put(s)
{
    place[s] = LISTED;
    list ! s
}

inline wake(s)
{
    if
    :: place[s] == NONE || place[s] == PARKED || LIST_TWICE -> put(s)
    :: else
    fi;
    if
    :: sleeps && !NO_SIGNAL -> rung = true; sleeps = false
    :: else
    fi
}

proctype worker()
{
    byte seat;
    bool sleeping, was_empty, parks, got0, got1;

end:
    do
    :: true ->
        atomic {
            sleeping = len(list) == 0;
            if
            :: !LATE_SLEEP -> sleeps = sleeping
            :: else
            fi
        }
        if
        :: LATE_SLEEP -> sleeps = sleeping
        :: else
        fi;
        if
        :: sleeping ->
end_sleep:
            atomic {
                (rung || IS_READY(0) || IS_READY(1)) ->
                got0 = IS_READY(0);
                got1 = IS_READY(1);
                armed[0] = armed[0] && !got0; /* it is told once */
                armed[1] = armed[1] && !got1
            }
        :: else ->
            atomic {
                got0 = IS_READY(0);
                got1 = IS_READY(1);
                armed[0] = armed[0] && !got0;
                armed[1] = armed[1] && !got1
            }
        fi;
        atomic {
            sleeps = false;
            rung = false;
            if
            :: got0 && place[0] == PARKED -> put(0)
            :: else
            fi;
            if
            :: got1 && place[1] == PARKED -> put(1)
            :: else
            fi;
            if
            :: len(list) == 0 -> goto over
            :: else
            fi;
            list ? seat;
            place[seat] = RUNS;
            assert(submitted[seat] > finished[seat]) /* it has a task */
        }
        parks = false;
        if
        :: IS_CANCELLED(seat)
        :: !IS_CANCELLED(seat) && came[seat] -> came[seat] = false
        :: !IS_CANCELLED(seat) && !came[seat] -> parks = true
        :: true -> /* a quantum is over */
            atomic { put(seat); goto over }
        fi;
        if
        :: parks ->
            atomic {
                if
                :: IS_CANCELLED(seat) && !PARK_BLIND -> put(seat)
                :: else -> place[seat] = PARKED; armed[seat] = !NO_ARM
                fi
            }
        :: else ->
            atomic {
                finished[seat]++;
                if
                :: submitted[seat] > finished[seat] && !NOT_BACK -> put(seat)
                :: else -> place[seat] = NONE; armed[seat] = false
                fi;
                done++;
                was_empty = done == 1
            }
            if
            :: was_empty && !NO_BELL -> bell = true
            :: else
            fi
        fi;
over:
        got0 = false;
        got1 = false
    od
}

/* A task with a deadline wakes a seat that is parked, one without need not. */
inline submit(s)
{
    submitted[s]++;
    if
    :: wake(s)
    :: place[s] == PARKED -> skip
    fi
}

inline cancel(s)
{
    cancelled[s]++;
    if
    :: place[s] == PARKED && !LEFT_PARKED -> wake(s)
    :: else
    fi
}

proctype loop()
{
    do
    :: atomic { submitted[0] < TASKS -> submit(0) }
    :: atomic { submitted[1] < TASKS -> submit(1) }
    :: atomic { cancelled[0] < submitted[0] -> cancel(0) }
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

proctype world()
{
end:
    do
    :: atomic { !came[1] && submitted[1] > finished[1] -> came[1] = true }
    od
}

init
{
    atomic {
        run worker();
        run loop();
        run world()
    }
}
