/* What tests/fuzz/kvm.c and its guest agree on. */
#ifndef KVM_GUEST_H
#define KVM_GUEST_H

/* Before the program, in the guest's memory: 8 bytes by which it is found there. */
#define PROGRAM_MARK 0x6d6172676f727065ull
#define PROGRAM_MAX 512u

#endif
