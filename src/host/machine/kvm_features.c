/* What the processor of a guest can do: see kvm_features.h. */
#define _GNU_SOURCE
#include "kvm_features.h"
#include "../descriptor.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FEATURES_MAX 256u

union features {
    struct kvm_cpuid2 cpuid;
    unsigned char bytes[sizeof(struct kvm_cpuid2) + FEATURES_MAX * sizeof(struct kvm_cpuid_entry2)];
};

static int ask_features(int kvm, union features *features)
{
    features->cpuid.nent = FEATURES_MAX;
    return ioctl(kvm, KVM_GET_SUPPORTED_CPUID, features);
}

/*
 * What this KVM can give is a fact of the machine, and asking is a tenth of opening where CPUID
 * itself is emulated. So it is asked once in a process; all that is static here is written once,
 * before it is read.
 */
static union features supported;
static bool is_known;

static void learn_features(void)
{
    const int kvm = halo__fd_high(open("/dev/kvm", O_RDWR | O_CLOEXEC));

    if (kvm < 0)
        return;
    is_known = ask_features(kvm, &supported) == 0;
    close(kvm);
}

int halo__kvm_features(int kvm, int vcpu, struct halo_features *told)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    union features *features;
    int result;

    (void)pthread_once(&once, learn_features);
    features = is_known ? &supported : calloc(1, sizeof(*features)); /* too many files were open */
    if (!features) {
        errno = ENOMEM;
        return -1;
    }
    result = is_known ? 0 : ask_features(kvm, features);
    if (result >= 0)
        result = ioctl(vcpu, KVM_SET_CPUID2, features);
    for (uint32_t i = 0; i < features->cpuid.nent && result >= 0; i++) {
        const struct kvm_cpuid_entry2 *entry = &features->cpuid.entries[i];

        if (entry->index == 0)
            halo__features_set(told, entry->function, entry->ebx, entry->ecx, entry->edx);
    }
    if (features != &supported)
        free(features);
    return result;
}

/*
 * Where `syscall` goes, for a guest that has code for it. On a processor it is CPL0, with all flags
 * cleared that could do harm there; the code of doorbell.c leads back to CPL3. A software KVM stays
 * at CPL3. The 32-bit way in leads nowhere.
 */
int halo__kvm_set_syscall(int vcpu, uint64_t lstar)
{
    const struct kvm_msr_entry entries[] = {
        {.index = 0xc0000081, .data = 0x0023001000000000}, /* STAR: CS 0x10, back to 0x33 */
        {.index = 0xc0000082, .data = lstar},              /* LSTAR */
        {.index = 0xc0000083, .data = 0},                  /* CSTAR */
        {.index = 0xc0000084, .data = 0x47700},            /* FMASK: AC NT IOPL DF IF TF */
    };
    union {
        struct kvm_msrs msrs;
        unsigned char bytes[sizeof(struct kvm_msrs) + sizeof(entries)];
    } set = {.msrs = {.nmsrs = sizeof(entries) / sizeof(entries[0])}};

    memcpy(set.bytes + sizeof(struct kvm_msrs), entries, sizeof(entries));
    return ioctl(vcpu, KVM_SET_MSRS, &set) == (int)set.msrs.nmsrs ? 0 : -1;
}
