/* What the processor of a guest can do: as much of the host's as its KVM can give. */
#ifndef HALO_SRC_MACHINE_KVM_FEATURES_H
#define HALO_SRC_MACHINE_KVM_FEATURES_H

#include "features.h"

/* Have that vCPU show the features which that KVM can give, and note them: 0, or -1 with errno. */
int halo__kvm_features(int kvm, int vcpu, struct halo_features *told);

/* Have `syscall` lead there: 0, or -1 with errno. */
int halo__kvm_set_syscall(int vcpu, uint64_t lstar);

#endif
