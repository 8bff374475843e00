/*
 * All that a debugger sees and changes of the registers of a guest that stands still. Whatever it
 * says of a guest is the guest's; what a debugger puts in is a debugger's, and can do no more than
 * a guest could by itself.
 */
#ifndef HALO_SRC_MACHINE_CONTEXT_H
#define HALO_SRC_MACHINE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

/* As XSAVE has it without compaction: FXSAVE's part, the header, the upper halves of ymm0 to 15. */
#define HALO_XSAVE_LEN 832u
#define HALO_XSAVE_HEADER 512u
#define HALO_XSAVE_UPPER 576u

enum { HALO_RAX, HALO_RBX, HALO_RCX, HALO_RDX, HALO_RSI, HALO_RDI, HALO_RBP, HALO_RSP, HALO_R8 };

#define HALO_FLAG_TRAP 0x100u /* TF: one instruction, and then a trap */

struct halo_context {
    bool is_known;        /* the next ones are, */
    bool is_partly;       /* but for rcx, r11 and the flags, which a call does not keep */
    bool has_vectors;     /* and so is `xsave` */
    bool lacks_bases;     /* and `bases` are not */
    bool is_final;        /* none of it can be changed: the guest does not go on from here */
    uint64_t general[16]; /* rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15 */
    uint64_t rip;
    uint32_t flags;
    uint32_t segments[6]; /* cs, ss, ds, es, fs, gs */
    uint64_t bases[2];    /* of fs and gs */
    unsigned char xsave[HALO_XSAVE_LEN];
};

/* Flags that code at CPL3 can have: status, TF, DF, RF, AC, ID; and what is always set. */
static inline uint32_t halo__context_flags(const struct halo_context *context)
{
    return (context->flags & 0x250dd5u) | 2u;
}

/* Vectors as a processor begins. */
static inline void halo__context_no_vectors(struct halo_context *context)
{
    for (uint32_t i = 0; i < HALO_XSAVE_LEN; i++)
        context->xsave[i] = 0;
    context->xsave[0] = 0x7f; /* the x87's control word, */
    context->xsave[1] = 0x03;
    context->xsave[24] = 0x80; /* and MXCSR */
    context->xsave[25] = 0x1f;
}

#endif
