/*
 * A look inside of a guest that does not run: after its end, whichever that was, and where it was
 * stopped, waits, or calls the host. Nothing of it is to be believed.
 *
 *     struct halo_frame frames[32];
 *     int count = halo_backtrace(box, frames, 32);
 *
 *     for (int i = 0; i < count; i++)
 *         fprintf(stderr, "#%d 0x%llx\n", i, (unsigned long long)frames[i].address);
 *
 * Addresses are those of the guest's file, where that has a fixed place, as all of halo-cc have:
 * `addr2line -pfe GUEST ADDRESS` has function and line, and
 * one less than the address of a call is in its line.
 */
#ifndef HALO_INSIDE_H
#define HALO_INSIDE_H

#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/*
 * The registers of a guest that does not run: of one that has ended, at its end, whichever that was
 * (of a fault at the instruction that faulted); of one that was stopped at a time limit, or waits,
 * or calls the host, where it is meanwhile. Nothing is known (HALO_PROCESSOR_NOTHING) of one that
 * has not run since it was opened or restored, and of a process that was killed, or did not say in
 * time where it is. A guest on a thread of its own that still runs is let come to its wait first,
 * and stopped where it does not within 100 ms, or at halo_interrupt.
 *
 * Returns 0; HALO_ESTATE for a sandbox that was not opened, or inside of a function of the host's,
 * or of halo_watch's, beside which the guest runs on; or HALO_EBUSY.
 */
int halo_processor(struct halo_sandbox *box, struct halo_processor *processor);

/* By what an address of a back trace was found. */
enum halo_frame_kind {
    HALO_FRAME_AT = 1, /* the first one: rip */
    HALO_FRAME_CALLER, /* where a function returns to, by frame pointers */
    HALO_FRAME_GUESS,  /* a word of the stack that may be such an address, or one that was left
                          there by a call that is over */
};

struct halo_frame {
    enum halo_frame_kind kind;
    uint64_t address;
    uint64_t stack; /* AT: rsp; else where the address was found, both in guest memory */
};

#define HALO_BACKTRACE_MAX 1024u

/*
 * Where a guest is that does not run, and by which calls it came there, the innermost first. What
 * is returned is read from its registers and its stack, and so is what the guest likes it to be;
 * each address behind the first is one of its code, behind a call instruction. Frame pointers lead
 * through functions that have them (halo-cc: all, but for a C library's); where they end too soon,
 * guesses follow.
 *
 * Fills in `max` frames at most, and HALO_BACKTRACE_MAX. Returns how many, 0 where no registers are
 * known; or an error as halo_processor.
 */
int halo_backtrace(struct halo_sandbox *box, struct halo_frame *frames, uint32_t max);

/*
 * Write a core file of a guest that does not run, as gdb opens it with the guest's file: `gdb GUEST
 * CORE` shows calls and variables. It has the registers, as halo_processor tells them, and all
 * memory of the guest that there is, secrets and all; vector registers and those of the x87 on KVM,
 * and of a process where a fault or a time limit has stopped it: else they are shown as they begin,
 * as at a call no function counts on them. Its signal is as for a program of Linux's: SIGSEGV,
 * SIGFPE, SIGILL or SIGTRAP after a fault, SIGABRT after a panic, SIGSYS where a rule was broken,
 * SIGXCPU at a limit of time, processor time or exits, and else 0.
 *
 * It is written from where the descriptor is on, on the calling thread, for as long as that takes:
 * in an empty file what the guest has not used stays a hole. Returns 0, HALO_EIO where a write
 * failed (halo_errmsg has the error), HALO_ENOMEM, or an error as halo_processor.
 */
int halo_core(struct halo_sandbox *box, int fd);

/* --- Dumps ------------------------------------------------------------------------------------ */

enum halo_dump_flag {
    HALO_DUMP_MEMORY = 1, /* with the guest's memory, secrets and all */
};

/*
 * Write what the host knows of a sandbox, as `halo inspect` shows it: both rings' words and where
 * the host stands in them; requests, calls and streams that are under way, and for how long;
 * memory map, registers and back trace, counters, the last exits, and how the guest has ended. Of
 * one that was ended with an error it is what was under way then. Without memory it has nothing of
 * the guest's own but names, lengths, numbers and the first bytes of arguments (24 of a text).
 *
 * As halo_core: any guest that does not run, from within a function of the host's, too; one on a
 * thread of its own is let come to its wait first, or stopped after 100 ms, and beside a function
 * of the host's registers are not known. It takes 100 KiB and some more with a queue of 2048.
 *
 * Returns 0, HALO_EIO where a write failed (halo_errmsg has the error), HALO_EINVAL for flags that
 * there are not, HALO_ESTATE for a sandbox that was not opened, HALO_ENOMEM or HALO_EBUSY.
 */
int halo_dump(struct halo_sandbox *box, int fd, uint32_t flags);

/*
 * Serve one inspection: where somebody has connected to `listener`, a listening socket of the
 * caller's, accept and answer with a dump, as `halo inspect SOCKET` asks for it. It never waits for
 * a connection, for which the listening socket is made non-blocking, and two seconds for one that
 * does not take its answer. It is for between two functions that run the guest, and for that of
 * halo_watch, which is called while the guest waits. One that computes for long is not left:
 * another thread that sees a connection wait may call halo_interrupt, and then it is between two
 * functions. Whoever can connect sees what a dump has: let nobody else reach the socket's path.
 *
 * Returns how many were answered, 0 or 1; HALO_EHOST where the connection cannot be accepted; or
 * HALO_EBUSY.
 */
int halo_inspect(struct halo_sandbox *box, int listener, uint32_t flags);

/* --- Where a guest is, again and again -------------------------------------------------------- */

/*
 * Is called with a guest that does not run meanwhile, on the thread that runs it: halo_backtrace
 * and halo_processor tell where it is. `runs`: it was stopped in its code; else it waits for its
 * host.
 */
typedef void halo_sampler(struct halo_sandbox *box, bool runs, void *context);

#define HALO_SAMPLE_NS_MIN 100000

/*
 * From the next function on that runs the guest have `sampler` called about every `interval_ns`
 * nanoseconds while the guest is being run, and stop it for that where it computes; NULL: no more.
 * The time in functions of the host's is not sampled, nor is what such a function was late for. Of
 * samples that are missed one is made up for. Returns 0; HALO_EINVAL for less than
 * HALO_SAMPLE_NS_MIN; HALO_EBUSY, HALO_ESTATE.
 */
int halo_sample(struct halo_sandbox *box, int64_t interval_ns, halo_sampler *sampler,
                void *context);

/* --- A debugger ------------------------------------------------------------------------------- */

/*
 * Let gdb debug the guest. `connection` is a connected stream socket, at whose other end gdb speaks
 * its remote protocol (target remote); it is duplicated, and stays the caller's to close. Reads and
 * writes of registers and memory, breakpoints, single steps, places watched for writes, interrupt,
 * detach and kill, on both backends. Whoever is at the other end does with the guest, and sees of
 * its memory, what he likes, and no more than that of the host: let it be nobody else.
 *
 * The functions that run the guest serve gdb, on their thread: the first of them holds the guest
 * before its first instruction, or where it is, until gdb lets it go on. While it is held no time
 * limit runs, and halo_interrupt ends what runs it, as ever: the next one holds it still. A gdb
 * that takes nothing of what it is sent for five seconds is taken for gone. A guest that ends by an
 * error is held once more, to be looked at. When gdb detaches or has gone, the breakpoints go, and
 * the guest goes on; where it kills the guest, that has ended with HALO_EFAULT.
 *
 * A breakpoint is a byte of the guest's memory, which dumps have meanwhile, too, and snapshots not.
 * When the sandbox is restored (halo_restore) to where the same program waits, breakpoints and
 * watched places go on to count, and a guest that was held is held there: gdb, which asks for
 * registers when it stops, is to stop it anew to see where that is. Restored to another program,
 * the guest has ended for gdb, by SIGKILL, and the connection is closed.
 * While places are watched the guest is run step by step, some ten thousand of them in a second.
 * What a process has in segments and their bases cannot be changed, and the bases of a program of
 * Linux's in one are not known. Addresses that are not canonical and reserved bits of mxcsr are
 * refused. A program's threads are one to gdb: the one that runs. After halo_confine the host
 * needs HALO_CONFINE_STREAMS for it.
 *
 * Between two functions that run the guest. -1: the debugger is to go, as if it had detached.
 * Returns 0; HALO_ESTATE for a sandbox that was not opened, or has ended, or inside of a function
 * of the host's; HALO_EHOST, HALO_ENOMEM, HALO_EBUSY.
 */
int halo_gdb(struct halo_sandbox *box, int connection);

/* --- A guest's log ---------------------------------------------------------------------------- */

/* A line of it: the guest's choice, but for what was judged. */
struct halo_log_line {
    enum halo_log_level level; /* one of these */
    uint64_t dropped;          /* lines since the last one that were dropped, by either side */
    const char *text;          /* any bytes, and behind them a zero byte; until it returns */
    size_t len;                /* up to HALO_LOG_MAX */
};

/* Is called with each line by the functions that run the guest, on the thread that called them:
 * when the guest leaves or has ended, and of a guest on a thread of its own also in between. It
 * must not use the sandbox but for its counters. */
typedef void halo_logger(void *context, const struct halo_log_line *line);

#define HALO_LOG_LINES_DEFAULT 1000u

/*
 * From now on have `logger` called with what the guest logs (halo_log in halo/guest.h), up to this
 * level and so many lines in a second on average, 0: HALO_LOG_LINES_DEFAULT. A burst may have as
 * many at once. What goes beyond is dropped, and counted; what the guest logs while nobody listens
 * (NULL) is neither. Returns 0, HALO_EINVAL for no level, or HALO_EBUSY.
 */
int halo_log(struct halo_sandbox *box, enum halo_log_level level, uint32_t lines_per_second,
             halo_logger *logger, void *context);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
