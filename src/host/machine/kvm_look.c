/* What a vCPU's registers are, for whoever is told of a guest's end. */
#include "kvm_tables.h"
#include <string.h>
#include <sys/ioctl.h>

static bool has_error_code(uint32_t vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
           vector == 29 || vector == 30;
}

bool halo__kvm_frame(const struct kvm_regs *regs, const unsigned char *system,
                     struct kvm_frame *frame)
{
    const uint32_t vector = (uint32_t)((regs->rip - KVM_STUBS) / 16);
    const uint32_t words = has_error_code(vector) ? 6 : 5;

    *frame = (struct kvm_frame){.vector = vector};
    if (regs->rip < KVM_STUBS || regs->rip >= KVM_STUBS + HALO_PAGE ||
        regs->rsp != KVM_STACK_TOP - words * 8)
        return false;
    /* It lies at the very top of the stack: right-aligned in the array. */
    memcpy(frame->words + (6 - words), system + (regs->rsp - KVM_SYSTEM_BASE), words * 8);
    return true;
}

void halo__kvm_look(const struct kvm_regs *regs, const unsigned char *system,
                    struct halo_processor *processor)
{
    struct kvm_frame frame;

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
    if (!halo__kvm_frame(regs, system, &frame))
        return;
    processor->rip = frame.words[KVM_FRAME_RIP];
    processor->rflags = frame.words[KVM_FRAME_RFLAGS];
    processor->rsp = frame.words[KVM_FRAME_RSP];
}

void halo__kvm_ahead(int vcpu, uint64_t *ahead)
{
    uint64_t offset = 0;
    const struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)&offset};
    union {
        struct kvm_msrs msrs;
        unsigned char bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    } get = {.msrs = {.nmsrs = 1}};
    struct kvm_msr_entry entry = {.index = 0x10}; /* the counter itself */
    uint64_t before;

    if (ioctl(vcpu, KVM_GET_DEVICE_ATTR, &attribute) == 0) {
        *ahead = offset;
        return;
    }
    memcpy(get.bytes + sizeof(struct kvm_msrs), &entry, sizeof(entry));
    before = __builtin_ia32_rdtsc(); /* Linux before 5.16 */
    if (ioctl(vcpu, KVM_GET_MSRS, &get) != 1)
        return;
    memcpy(&entry, get.bytes + sizeof(struct kvm_msrs), sizeof(entry));
    *ahead = entry.data - (before + (__builtin_ia32_rdtsc() - before) / 2);
}

/*
 * Whether a fault is a system call's: an invalid opcode, or, on a software KVM, a jump to LSTAR,
 * which is 0, with rcx the address behind the instruction. A guest that has code for its calls has
 * LSTAR set: then a jump to 0 is a null pointer's, and rcx is left from its last call.
 */
bool halo__kvm_is_system_call(const struct halo_machine *machine, struct halo_fault *fault,
                              uint64_t rcx)
{
    const uint64_t at = fault->vector == 6 ? fault->rip : rcx - 2;
    unsigned char bytes[2];

    if (fault->vector != 6 &&
        (fault->vector != 14 || fault->rip != 0 || machine->layout.syscall_entry))
        return false;
    if (at < HALO_RAM_BASE || at - HALO_RAM_BASE > machine->ram.len - sizeof(bytes))
        return false;
    halo_shm_copy_in(bytes, machine->ram.host + (at - HALO_RAM_BASE), sizeof(bytes));
    if (bytes[0] != 0x0f || bytes[1] != 0x05)
        return false;
    fault->rip = at;
    return true;
}

/*
 * VM-05: it is at CPL3, and not in the host's own code, some of which runs at CPL0: what it is led
 * to has the guest's rights and no others.
 */
bool halo__kvm_redirect(int vcpu, struct kvm_run *run, uint64_t to, uint64_t *from)
{
    struct kvm_regs *regs = &run->s.regs.regs;
    struct kvm_sregs sregs;

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0 || (sregs.cs.selector & 3) != 3 || sregs.ss.dpl != 3)
        return false;
    *from = regs->rip;
    regs->rip = to;
    run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    return true;
}
