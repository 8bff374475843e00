/*
 * What the host and the keeper tell the small program in which a guest runs as a process, before
 * the guest has run: all come from the same build, and the guest can neither see nor change it.
 */
#ifndef HALO_SRC_PROCESS_CHILD_H
#define HALO_SRC_PROCESS_CHILD_H

#include "machine.h"

/* Descriptors of the child, and of the keeper while it starts it. */
enum child_files {
    CHILD_SOCKET = 3, /* to the host, which kills it by a shutdown where it may not signal it */
    CHILD_TIE,        /* to the keeper alone: when that ends, so does the child */
    CHILD_RAM,
    CHILD_PROGRAM, /* closes at exec, as does the next */
    KEEPER_TIE,    /* the keeper's own end */
};

/*
 * The doorbell's system call: read, for which no filter around the host has a refusal. The child's
 * own filter hands it to the host, so that it never reads anything; where nobody listens, the
 * kernel says ENOSYS. It counts only where the doorbell's page makes it, CHILD_DOORBELL_END behind
 * its beginning, or the child's own code.
 */
#define CHILD_DOORBELL_SYSCALL 0
#define CHILD_DOORBELL_END (HALO_DOORBELL_EXIT + 7) /* mov, syscall */

/*
 * The other call that the filter hands to the host: mprotect, from the code of HALO_PROTECT_OFFSET.
 * Its words are registers, which nobody can change while the host judges them; then the kernel goes
 * on with the call, or it fails. One such call passes without the host, for it needs no judge: what
 * the file has as read-only after relocation becomes so. Programs of glibc's do not start without
 * it, and before Linux 5.5 the host cannot have the kernel go on.
 */
#define CHILD_PROTECT_END 7 /* mov, syscall */

/*
 * Doorbells of the child's own: a word tells them from the guest's, which the guest never sees.
 *     READY  word: everything is given up; the answer lets the guest begin
 *     FAULT  vector and error << 32, address, rip, rsp, word; of a system call that the guest made
 *            without being able to answer it CHILD_SYSTEM_CALL, and its number for an address; of a
 *            signal that is no fault CHILD_SIGNAL, and its number
 * Others are without a word, for the guest goes on afterwards, and could find it. So any guest can
 * ring them, and nothing is reported that they say:
 *     WHERE  rip: the host has sent CHILD_STOP, and the guest stands until this is answered
 *     TRAP   rip, frame, vector, rsp: a breakpoint or a single step; CHILD_GOES_ON as an answer is
 *            a debugger's, and 0 makes it a FAULT
 *     FILL   see below
 */
#define CHILD_DOORBELL_READY 0x100
#define CHILD_DOORBELL_FAULT 0x101
#define CHILD_DOORBELL_WHERE 0x102
#define CHILD_DOORBELL_FILL 0x103
#define CHILD_DOORBELL_TRAP 0x104
#define CHILD_GOES_ON 1u
#define CHILD_BASE 0x600000000000ull /* of its own code, as process_child.ld has it */
#define CHILD_STOP SIGURG            /* which does nothing before it has a handler */
#define CHILD_SYSTEM_CALL 0x100u     /* no processor has such a vector */
#define CHILD_SIGNAL 0x101u          /* somebody has sent it */

/*
 * Memory at other addresses (paging.c). A page fault there rings
 *     FILL  error, address, rip, rsp
 * first, without a word, for the guest may go on afterwards. The answer is 0, and it is a fault
 * like any other, or says what to map, as numbers of pages: then this program makes mremap map it,
 * about which the host is asked as well, for a guest can jump there with registers of its own.
 * Pages are given back by munmap, from the code of HALO_RELEASE_OFFSET.
 */
#define CHILD_MAP_AT(word) ((word)&0xffffffu) /* from HALO_PAGING_BASE on */
#define CHILD_MAP_FROM(word) ((word) >> 24 & 0xfffffu)
#define CHILD_MAP_COUNT(word) ((word) >> 44 & 0x1fu)
#define CHILD_MAP_READ_ONLY (1ull << 49)
#define CHILD_MAP_WORD(at, from, count) ((at) | (from) << 24 | (count) << 44)
/* What is mapped there at most, for RLIMIT_AS: regions of so much. */
#define CHILD_REGION_LEN (2ull << 20)
#define CHILD_REGIONS_MAX 1024u

/* uretprobe: since Linux 6.11 no filter sees it, and who makes it gets SIGILL from the kernel. */
#define CHILD_UNFILTERED_CALL 335

/* How far it came: exit codes. */
enum child_step {
    CHILD_SETUP = 1,
    CHILD_MAP,
    CHILD_FAULTS,
    CHILD_RIGHTS,
    CHILD_NAMESPACES,
    CHILD_TIES,
    CHILD_FILTER,
    CHILD_DOORBELL,
    CHILD_UNMAP,
    CHILD_LIMITS,
    CHILD_SEAL,
    CHILD_LOCK,
    CHILD_EXEC,
    CHILD_STEPS,
};

#define CHILD_RANGE_MAX 96u /* pieces of one protection */

struct child_setup {
    struct halo_range ranges[CHILD_RANGE_MAX];
    uint32_t range_count;
    uint64_t ram_len;
    uint64_t entry, stack, boot;
    uint64_t alternate; /* guest memory on which signals are handled */
    uint64_t doorbell;  /* behind its instruction */
    uint64_t protect;   /* behind the instruction that asks for a protection, or 0 */
    uint64_t release;   /* the same, of the one that gives pages back, or 0 */
    uint64_t relro, relro_len;
    uint64_t syscall_way; /* code that leads to the guest's own for system calls, or 0 */
    uint64_t word;
    uint32_t tracks; /* hand over what tells which pages were written */
    uint32_t bare;   /* leave out every call that is not needed: one of them was deadly */
    uint32_t strict; /* every namespace that there is, or none of it */
};

/* What the child sends when its doorbell can ring: the last two where it has both (track.h). */
struct child_rights {
    int listener, pidfd;
    int faults, pages;
};
#define CHILD_RIGHTS_LEAST (2 * sizeof(int))

#endif
