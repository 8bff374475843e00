/*
 * The part of the contract (abi.h) that is for programs of Linux's, which nobody built for Halo:
 * between the host and the runtime that it puts beside such a program, which comes with it.
 */
#ifndef HALO_ABI_LINUX_H
#define HALO_ABI_LINUX_H

#include <halo/language.h>
#include <stdint.h>

/*
 * A program of Linux's, beside which the host has put a runtime that starts it: where it is, in the
 * boot page, at this offset.
 */
#define HALO_PROGRAM_OFFSET 1024u
#define HALO_PROGRAM_PIECES 24u

struct halo_program_start {
    uint64_t entry;
    uint64_t headers; /* address of its program headers, or 0: they are not in memory */
    uint32_t header_count;
    uint32_t piece_count;
    struct {
        uint64_t base, len;
        uint64_t prot;             /* bits: 1 it can be read, 2 written, 4 executed */
    } pieces[HALO_PROGRAM_PIECES]; /* its memory, by whole pages */
};

HALO_STATIC_ASSERT(sizeof(struct halo_program_start) == 600, "boot page layout");

/*
 * The runtime of a program of Linux's, whose boot page has `patches`, can have a call site of the
 * program's rewritten, so that calls need not trap: where the code is `mov $number, %eax; syscall`,
 * the mov becomes a jump to code that does the same and goes to the runtime, with rcx the address
 * behind the `syscall`, which stays. What the host finds there instead it leaves alone; the runtime
 * sees that by looking. Without such a mov
 * `syscall` and three bytes become the jump, if that is allowed: the call comes back to
 * HALO_PATCH_BEHIND behind where it leads, where what was behind the `syscall` is, so far as it
 * gave way. That code lies in the runtime itself, which the guest cannot write: so many
 * pieces of so many bytes, HALO_PATCH_PLACE behind where system calls lead. They come to
 * HALO_PATCH_ENTRY behind it.
 */
#define HALO_PATCHES 128u
#define HALO_PATCH_LEN 32u
#define HALO_PATCH_ENTRY 16u
#define HALO_PATCH_PLACE 48u
#define HALO_PATCH_BEHIND 12u

/*
 * For guests that make system calls: to be led elsewhere about every 10 ms while it computes. Where
 * the guest has set `entry`, and `rip` is 0 or HALO_TICK_DUE, the host sets `rip` to where the
 * guest is, and has it go on at `entry`, with all registers as they were; unless it is in the
 * doorbell's page, or in code from `low` to below `high`: then `rip` becomes HALO_TICK_DUE, and
 * nothing else changes. The host looks whether `entry` is set each time that it lets the guest go
 * on.
 */
struct halo_tick {
    uint64_t entry; /* 0: it is not wanted */
    uint64_t low, high;
    uint64_t rip; /* the guest clears it when it has it */
    /*
     * A signal from outside: the guest says which it would have, the host raises one of these, a
     * bit of SIGTERM's number less 1, and makes `rip` HALO_TICK_DUE where that is 0; a guest that
     * waits goes on. As long as it is raised the guest is led as by `entry`, or else to
     * `raise_entry`, where that is not 0. The guest clears `raised` when it has it.
     */
    uint64_t raised;
    uint64_t takes;
    uint64_t raise_entry;
};

#define HALO_TICK_DUE 1ull

#endif
