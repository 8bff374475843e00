/*
 * What answers the system calls of a program of Linux's: the guest's library as one program without
 * a fixed place, which came with this library and is to be trusted. It is put behind the program,
 * relocated, and is what the host enters; the program's start comes from it (src/guest/linux/).
 */
#include "machine.h"
#include "runtime_image.h"
#include <elf.h>
#include <string.h>

#define SYSCALL_ENTRY 16u /* behind its entry: halo__runtime_head */

static int place_segment(struct halo_machine *machine, const Elf64_Phdr *segment, uint64_t bias)
{
    const uint64_t base = bias + segment->p_vaddr / HALO_PAGE * HALO_PAGE;
    const uint64_t end =
        (bias + segment->p_vaddr + segment->p_memsz + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
    struct halo_layout *layout = &machine->layout;
    struct halo_range range = {
        .base = base, .len = end - base, .prot = HALO_PROT_READ, .rights = HALO_MAY_READ};
    int error;

    if (end > layout->limit)
        return halo__fail(machine->words, HALO_EGUEST,
                          "beside the program there is no room for what answers its system calls: "
                          "more memory (ram_len, --memory) helps");
    if (segment->p_flags & PF_W) {
        range.prot |= HALO_PROT_WRITE;
        range.rights |= HALO_MAY_WRITE;
    }
    if (segment->p_flags & PF_X)
        range.prot |= HALO_PROT_EXEC;
    error = halo__ram_find(&machine->ram, base - HALO_RAM_BASE, end - base);
    if (error)
        return error;
    halo_shm_copy_out(machine->ram.host + (bias + segment->p_vaddr - HALO_RAM_BASE),
                      runtime_image + segment->p_offset, segment->p_filesz);
    layout->image_end = end;
    return halo__layout_add(machine, range);
}

/* All that it has are addresses of its own: word = place + addend. */
static int relocate(struct halo_machine *machine, const Elf64_Phdr *dynamic, uint64_t bias)
{
    uint64_t table = 0, len = 0;
    Elf64_Dyn entry;
    Elf64_Rela rela;

    for (uint64_t at = 0; at + sizeof(entry) <= dynamic->p_filesz; at += sizeof(entry)) {
        memcpy(&entry, runtime_image + dynamic->p_offset + at, sizeof(entry));
        if (entry.d_tag == DT_RELA)
            table = entry.d_un.d_val;
        if (entry.d_tag == DT_RELASZ)
            len = entry.d_un.d_val;
    }
    for (; len >= sizeof(rela); len -= sizeof(rela), table += sizeof(rela)) {
        uint64_t word;

        halo_shm_copy_in(&rela, machine->ram.host + (bias + table - HALO_RAM_BASE), sizeof(rela));
        if (ELF64_R_TYPE(rela.r_info) != R_X86_64_RELATIVE)
            return halo__fail(machine->words, HALO_EHOST, "this library's runtime is not as built");
        word = bias + (uint64_t)rela.r_addend;
        halo_shm_copy_out(machine->ram.host + (bias + rela.r_offset - HALO_RAM_BASE), &word,
                          sizeof(word));
    }
    return 0;
}

int halo__runtime_load(struct halo_machine *machine)
{
    struct halo_layout *layout = &machine->layout;
    const uint64_t bias = layout->image_end;
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    int error = 0;

    memcpy(&header, runtime_image, sizeof(header));
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < header.e_phnum && !error; i++) {
            memcpy(&segment, runtime_image + header.e_phoff + i * sizeof(segment), sizeof(segment));
            if (pass == 0 && segment.p_type == PT_LOAD)
                error = place_segment(machine, &segment, bias);
            if (pass == 1 && segment.p_type == PT_DYNAMIC)
                error = relocate(machine, &segment, bias);
        }
    }
    layout->entry = bias + header.e_entry;
    layout->syscall_entry = layout->entry + SYSCALL_ENTRY;
    layout->ring_max = HALO_QUEUE_SIZE_MAX;
    layout->calls_min = HALO_QUEUE_SIZE_MIN;
    layout->calls_max = 2 * HALO_CALLS_MAX;
    return error;
}
