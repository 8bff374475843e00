/* What a debugger, and a core file, are told of a program and of its end. */
#include "debug.h"
#include <elf.h>
#include <signal.h>
#include <string.h>

uint32_t halo__debug_signal(int error, uint32_t vector)
{
    switch (error) {
    case HALO_EFAULT:
        return vector == 0 || vector == 16 || vector == 19 ? SIGFPE
               : vector == 6                               ? SIGILL
               : vector == 1 || vector == 3                ? SIGTRAP
                                                           : SIGSEGV;
    case HALO_EPANIC:
        return SIGABRT;
    case HALO_EPOISONED:
        return SIGSYS;
    case HALO_ELIMIT:
    case HALO_ETIMEDOUT:
        return SIGXCPU;
    default:
        return 0;
    }
}

void halo__debug_values(const struct halo_layout *layout, unsigned char *bytes)
{
    const bool is_linux = layout->is_linux;
    const Elf64_auxv_t all[] = {
        {AT_ENTRY, {is_linux ? layout->program.entry : layout->entry}},
        {AT_PAGESZ, {HALO_PAGE}},
        {AT_PHENT, {sizeof(Elf64_Phdr)}},
        {AT_PHNUM, {is_linux ? layout->program.header_count : 0}},
        {AT_PHDR, {is_linux ? layout->program.headers : 0}},
        {AT_NULL, {0}},
    };

    _Static_assert(sizeof(all) == HALO_DEBUG_VALUES_LEN, "of all of them");
    memcpy(bytes, all, sizeof(all));
}
