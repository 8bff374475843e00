/*
 * Handing the machine over between a host and the thread that runs its guest (src/host/runner.c):
 * who has it, who sleeps, who wakes whom; and stopping a guest that does not leave.
 *
 * Modelled: a host that lets the guest run, looks at the ring, serves, sleeps, and takes the exit;
 * a runner that looks for more to do, or sleeps; a guest that publishes, kicks where it is asked
 * to, waits, or computes for ever. Each side has a store buffer, first in, first out, as on x86,
 * which a process of its own drains; a fence waits until it is empty. The poller's eventfd, the
 * futex and the signal are the kernel's, and are seen at once. Looking for a while is left out: a
 * look more or less changes nothing.
 *
 *     host      go, attend (loop.c); halo__runner_lie_down, stop, hand (runner.c)
 *     runner    await, run_guest, is_kick, host_sleeps; run_vcpu of kvm.c, process_run
 *
 * A lost wake-up is two that sleep, which spin reports as an invalid end state. At the end all that
 * was published was served.
 *
 * Mutants, each -D NAME:
 *     NO_HOST_FENCE      the host looks before it is seen to sleep
 *     NO_RUNNER_FENCE    the runner looks whether the host sleeps before its exit is seen
 *     NO_SECOND_LOOK     the host does not look at the ring again when it is seen to sleep
 *     NO_ARM             the host sleeps without asking for kicks
 *     KICK_IS_NOTHING    a kick wakes nobody
 *     NO_FUTEX_CHECK     the runner sleeps whoever has the machine
 *     NO_HAND_FENCE      the host looks whether the runner sleeps before the machine is seen as its
 *     SIGNAL_FIRST       the signal that stops the guest is sent before the word that says so
 */
#define GOES 2
#define PUBLISHES 2

#define HOST 0
#define RUNNER 1
#define END 2

/* Memory that both sides write. */
#define WHOSE 0
#define RUNNER_SLEEPS 1
#define HOST_SLEEPS 2
#define NEWS 3
#define ARMED 4
#define STOP 5
byte mem[6];

/* The kernel's. */
bit woken, in_futex, signal;

byte published, served;
bit computes; /* the guest does not leave by itself */

chan of_host = [4] of {byte, byte};
chan of_runner = [4] of {byte, byte};

proctype drain(chan buffer)
{
    byte at, value;

end:
    do
    :: atomic { buffer?at, value -> mem[at] = value }
    od
}

#define FENCE(buffer) (empty(buffer))

proctype runner()
{
    byte left = 0;

again:
    /* await */
    if
    :: mem[WHOSE] != HOST -> goto running
    :: true
    fi;
    of_runner!RUNNER_SLEEPS, 1;
    FENCE(of_runner);
    do
    :: mem[WHOSE] != HOST -> break
    :: else ->
#ifdef NO_FUTEX_CHECK
        in_futex = 1;
#else
        atomic {
            if
            :: mem[WHOSE] == HOST -> in_futex = 1
            :: else
            fi
        };
#endif
        in_futex == 0
    od;
    of_runner!RUNNER_SLEEPS, 0;
running:
    if
    :: mem[WHOSE] == END -> goto over
    :: else
    fi;
    left = PUBLISHES;
enter:
    if
    :: mem[STOP] -> goto leave
    :: else
    fi;
    do
    :: signal ->
        signal = 0;
        if
        :: mem[STOP] -> goto leave
        :: else -> goto enter
        fi
    :: left > 0 && !computes ->
        left--;
        published++;
        of_runner!NEWS, 1;
        FENCE(of_runner);
        if
        :: mem[ARMED] ->
#ifndef KICK_IS_NOTHING
            FENCE(of_runner);
            if
            :: mem[HOST_SLEEPS] -> woken = 1
            :: else
            fi;
#endif
            skip
        :: else
        fi;
        if
        :: goto enter
        :: true -> mem[NEWS] == 0; goto enter /* it looks for its answer, and leaves for nothing else */
        fi
    :: !computes -> goto leave /* it waits */
    :: !computes -> computes = 1
    od;
leave:
    of_runner!WHOSE, HOST;
#ifndef NO_RUNNER_FENCE
    FENCE(of_runner);
#endif
    if
    :: mem[HOST_SLEEPS] -> woken = 1
    :: else
    fi;
    goto again;
over:
    skip
}

inline hand(to)
{
    of_host!WHOSE, to;
#ifndef NO_HAND_FENCE
    FENCE(of_host);
#endif
    if
    :: mem[RUNNER_SLEEPS] -> in_futex = 0
    :: else
    fi;
    FENCE(of_host)
}

/* What there is, and was seen. */
inline serve()
{
    atomic { mem[NEWS] -> mem[NEWS] = 0; served = published }
}

inline lie_down()
{
    of_host!HOST_SLEEPS, 1;
#ifndef NO_HOST_FENCE
    FENCE(of_host)
#endif
}

inline stop()
{
#ifdef SIGNAL_FIRST
    signal = 1;
    of_host!STOP, 1;
    FENCE(of_host);
#else
    of_host!STOP, 1;
    FENCE(of_host);
    signal = 1;
#endif
    do
    :: lie_down();
       if
       :: mem[WHOSE] == HOST -> of_host!HOST_SLEEPS, 0; break
       :: else
       fi;
       woken -> woken = 0;
       of_host!HOST_SLEEPS, 0
    od;
    of_host!STOP, 0;
    FENCE(of_host)
}

proctype host()
{
    byte goes = 0;

    do
    :: goes == GOES -> break
    :: else ->
        goes++;
        hand(RUNNER);
        do
        :: mem[WHOSE] == HOST -> break
        :: mem[NEWS] -> serve()
        :: computes -> stop(); computes = 0; break /* at its deadline */
        :: else ->
#ifndef NO_ARM
            of_host!ARMED, 1;
            FENCE(of_host);
#endif
            if
            :: mem[NEWS] -> goto up
            :: else
            fi;
            lie_down();
            if
            :: mem[WHOSE] == HOST -> goto up
            :: else
            fi;
#ifndef NO_SECOND_LOOK
            if
            :: mem[NEWS] -> goto up
            :: else
            fi;
#endif
            if
            :: woken -> woken = 0
            :: computes /* its deadline */
            fi;
up:
            of_host!HOST_SLEEPS, 0;
            of_host!ARMED, 0
        od;
        if /* the exit: all is taken in */
        :: mem[NEWS] -> serve()
        :: else
        fi;
        assert(served == published);
        FENCE(of_host)
    od;
    hand(END)
}

init
{
    atomic {
        run drain(of_host);
        run drain(of_runner);
        run runner();
        run host()
    }
}
