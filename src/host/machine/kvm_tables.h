/*
 * What the processor of a KVM guest needs to find in memory: page tables, segment and interrupt
 * descriptors, the task state, and a stub per fault. All of it lies in a memory of its own, outside
 * the guest's RAM, in pages that code at CPL3 cannot touch.
 */
#ifndef HALO_SRC_KVM_TABLES_H
#define HALO_SRC_KVM_TABLES_H

#include <linux/kvm.h>
#include "machine.h"

/* Guest addresses, physical and virtual alike. */
#define KVM_SYSTEM_BASE 0x60000000ull /* above all RAM */
#define KVM_GDT KVM_SYSTEM_BASE
#define KVM_IDT (KVM_GDT + HALO_PAGE)
#define KVM_TSS (KVM_IDT + HALO_PAGE) /* three pages: the state, then the I/O bitmap */
#define KVM_STUBS (KVM_TSS + 3 * HALO_PAGE)
#define KVM_STACK (KVM_STUBS + HALO_PAGE) /* one page, for fault frames */
#define KVM_STACK_TOP (KVM_STACK + HALO_PAGE)
/* From here on: page tables, mapped nowhere. There are two of the topmost, of the same content. */
#define KVM_PML4 KVM_STACK_TOP
#define KVM_PML4_TWIN (KVM_PML4 + HALO_PAGE)

#define KVM_GDT_LIMIT 0x4fu
#define KVM_IDT_LIMIT 0xfffu
#define KVM_TSS_LIMIT 0x2068u

#define KVM_SELECTOR_CODE 0x33u
#define KVM_SELECTOR_DATA 0x2bu
#define KVM_SELECTOR_TSS 0x40u

#define KVM_FAULT_PORT 0xe0u
#define KVM_DOORBELL_PORT 0xe1u
#define KVM_PROTECT_PORT 0xe2u
#define KVM_RELEASE_PORT 0xe3u

/* Bytes of system memory for a layout, and how to fill that many zeroed bytes. */
uint64_t halo__kvm_tables_len(const struct halo_layout *layout);
void halo__kvm_tables_build(const struct halo_machine *machine, unsigned char *system);
/* Change pages of RAM. The processor may remember what it knew before it gets another PML4. */
void halo__kvm_tables_protect(unsigned char *system, uint64_t base, uint64_t len, uint64_t prot);

/*
 * Pages at other addresses (paging.c), with page tables of which there is a number: each serves 2
 * MiB. `taken` says which are in use.
 */
#define KVM_PAGING_TABLES 1024u
bool halo__kvm_tables_fill(const struct halo_layout *layout, unsigned char *system,
                           unsigned char taken[KVM_PAGING_TABLES], const struct halo_fill *fill);
void halo__kvm_tables_release(const struct halo_layout *layout, unsigned char *system,
                              unsigned char taken[KVM_PAGING_TABLES], uint64_t base, uint64_t len);
/* Where a page fault's stub goes on when it is dealt with, from its beginning. */
#define KVM_STUB_RETURN 5u

/* What the processor left on the fault stack for a stub. */
struct kvm_frame {
    uint32_t vector;
    uint64_t words[6]; /* error code or 0, rip, cs, rflags, rsp, ss */
};

#define KVM_FRAME_RIP 1
#define KVM_FRAME_RFLAGS 3
#define KVM_FRAME_RSP 4

/* Whether the guest stands in a stub with one. */
bool halo__kvm_frame(const struct kvm_regs *regs, const unsigned char *system,
                     struct kvm_frame *frame);

/* Whether a fault was a system call's, of this rcx: then *fault says where that is. */
bool halo__kvm_is_system_call(const struct halo_machine *machine, struct halo_fault *fault,
                              uint64_t rcx);

/* By how much its time stamp counter is ahead of the host's; where that cannot be had, *ahead
 * stays.
 */
void halo__kvm_ahead(int vcpu, uint64_t *ahead);

/* Registers of a vCPU, to be looked at; in a stub those with which it came there. */
void halo__kvm_look(const struct kvm_regs *regs, const unsigned char *system,
                    struct halo_processor *processor);

/* The vCPU, which was interrupted in the guest's code, goes on at `to`: see struct halo_backend. */
bool halo__kvm_redirect(int vcpu, struct kvm_run *run, uint64_t to, uint64_t *from);

/* tick.c: lead a guest elsewhere that was interrupted, where it may be. */
void halo__kvm_tick(struct halo_machine *machine, int vcpu, struct kvm_run *run);

#endif
