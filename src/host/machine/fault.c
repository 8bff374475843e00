/* Names of faults. */
#include <halo/halo.h>

const char *halo_fault_name(uint32_t vector)
{
    static const char *const names[] = {
        "divide error",
        "debug",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid opcode",
        "no device",
        "double fault",
        "reserved fault 9",
        "invalid TSS",
        "segment not present",
        "stack fault",
        "general protection fault",
        "page fault",
        "reserved fault 15",
        "floating-point error",
        "alignment check",
        "machine check",
        "SIMD floating-point error",
        "virtualization exception",
        "control protection fault",
    };

    return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : "unknown fault";
}
