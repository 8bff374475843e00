/* What a vCPU's registers are, for whoever is told of a guest's end. */
#include "kvm_tables.h"

void halo__kvm_look(const struct kvm_regs *regs, struct halo_processor *processor)
{
    *processor = (struct halo_processor){
        .known = HALO_PROCESSOR_ALL,
        .rax = regs->rax,
        .rbx = regs->rbx,
        .rcx = regs->rcx,
        .rdx = regs->rdx,
        .rsi = regs->rsi,
        .rdi = regs->rdi,
        .rbp = regs->rbp,
        .rsp = regs->rsp,
        .r8 = regs->r8,
        .r9 = regs->r9,
        .r10 = regs->r10,
        .r11 = regs->r11,
        .r12 = regs->r12,
        .r13 = regs->r13,
        .r14 = regs->r14,
        .r15 = regs->r15,
        .rip = regs->rip,
        .rflags = regs->rflags,
    };
}
