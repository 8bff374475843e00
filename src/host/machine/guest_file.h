/* The file of a guest, before it is loaded: its bytes, and its headers, which are not believed. */
#ifndef HALO_SRC_MACHINE_GUEST_FILE_H
#define HALO_SRC_MACHINE_GUEST_FILE_H

#include "machine.h"
#include <elf.h>

#define HALO_SEGMENT_MAX 64u
#define HALO_FILE_MAX (64ull << 20)

/*
 * Read it: 0, or an error with words. `file` has its name, and gets its memory, also where that
 * fails.
 */
int halo__elf_read(struct halo_machine *machine, const struct halo_program *program,
                   struct halo_guest_file *file);

/* NULL, or what is wrong with the file header. */
const char *halo__elf_header(const struct halo_guest_file *file, Elf64_Ehdr *header);

/* A program header; those lie inside the file then. */
void halo__elf_segment(const struct halo_guest_file *file, const Elf64_Ehdr *header, uint32_t i,
                       Elf64_Phdr *segment);

/* HALO_EGUEST, with words. */
int halo__elf_refuse(struct halo_machine *machine, const char *path, const char *why);

#endif
