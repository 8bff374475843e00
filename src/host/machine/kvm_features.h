/* What the processor of a guest can do: as much of the host's as its KVM can give. */
#ifndef HALO_SRC_MACHINE_KVM_FEATURES_H
#define HALO_SRC_MACHINE_KVM_FEATURES_H

/* Have that vCPU show the features which that KVM can give: 0, or -1 with errno. */
int halo__kvm_features(int kvm, int vcpu);

#endif
