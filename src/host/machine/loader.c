/*
 * The ELF loader. It looks at a private copy of a file (guest_file.c); bytes in memory are the
 * caller's, and each header of theirs is copied before it is judged. Every field is checked before
 * it is used, in 64 bits, by subtraction. Group ELF of hostile-cases.md.
 *
 * Accepted: a static x86-64 program linked at HALO_PROGRAM_BASE, or elsewhere in RAM, with Halo's
 * notes; and without them any static program of Linux's, also one without a fixed address, beside
 * which runtime.c places what answers its system calls. Sections are not parsed.
 */
#define _GNU_SOURCE
#include "guest_file.h"
#include <string.h>

#define LIST_MAX (64ull << 10) /* of notes, or of what a dynamic linker is told: COST-04 */
#define NEEDS_LINKER "it needs a dynamic linker: link it with -static or -static-pie"

/* NULL, or what is wrong with a PT_LOAD segment: ELF-03 to ELF-08, ELF-10. */
static const char *check_segment(const struct halo_layout *layout,
                                 const struct halo_guest_file *file, const Elf64_Phdr *segment)
{
    if (segment->p_offset > file->len || segment->p_filesz > file->len - segment->p_offset)
        return "a segment lies outside the file";
    if (segment->p_filesz > segment->p_memsz)
        return "a segment is larger in the file than in memory";
    if (segment->p_align & (segment->p_align - 1))
        return "a segment's alignment is not a power of two";
    if (segment->p_align > 1 && (segment->p_vaddr - segment->p_offset) % segment->p_align)
        return "a segment's address and offset do not agree";
    if ((segment->p_flags & PF_W) && (segment->p_flags & PF_X))
        return "a segment is both writable and executable";
    /* In ascending order, and never two in one page: this also rules out overlap. */
    if (segment->p_vaddr < layout->image_end)
        return "segments overlap, share a page, or are not in ascending order";
    return NULL;
}

/* It lies in the memory for programs: ELF-05. */
static int check_place(struct halo_machine *machine, const char *path, const Elf64_Phdr *segment)
{
    const struct halo_layout *layout = &machine->layout;

    if (segment->p_vaddr < HALO_RAM_BASE)
        return halo__fail(machine->words, HALO_EGUEST,
                          "%s: it is linked at address 0x%llx, and programs start at 0x%llx: link "
                          "it with halo-cc, or with -Wl,-Ttext-segment=0x%llx",
                          path, (unsigned long long)segment->p_vaddr, HALO_PROGRAM_BASE,
                          HALO_PROGRAM_BASE);
    if (segment->p_vaddr > layout->limit || segment->p_memsz > layout->limit - segment->p_vaddr) {
        const uint64_t mib = 1ull << 20,
                       others = machine->ram.len - (layout->limit - HALO_RAM_BASE);
        const uint64_t need = segment->p_vaddr + segment->p_memsz - HALO_RAM_BASE + others;

        if (segment->p_vaddr > HALO_RAM_MAX || segment->p_memsz > HALO_RAM_MAX)
            return halo__fail(machine->words, HALO_EGUEST,
                              "%s: it is linked at address 0x%llx for 0x%llx bytes, which no guest "
                              "has: link it at 0x%llx (halo-cc does)",
                              path, (unsigned long long)segment->p_vaddr,
                              (unsigned long long)segment->p_memsz, HALO_PROGRAM_BASE);
        return halo__fail(machine->words, HALO_EGUEST,
                          "%s: its program and data, to address 0x%llx, and what else is in guest "
                          "memory need %llu MiB, and it has %llu: more of it (ram_len, --memory) "
                          "helps%s",
                          path, (unsigned long long)(segment->p_vaddr + segment->p_memsz),
                          (unsigned long long)((need + mib - 1) / mib),
                          (unsigned long long)(machine->ram.len / mib),
                          segment->p_memsz > layout->limit - HALO_PROGRAM_BASE
                              ? ""
                              : ", or linking it lower (halo-cc does)");
    }
    return 0;
}

static int load_segment(struct halo_machine *machine, const char *path,
                        const struct halo_guest_file *file, const Elf64_Phdr *segment)
{
    struct halo_layout *layout = &machine->layout;
    struct halo_range range;
    const char *why;
    uint64_t end;
    int error;

    error = check_place(machine, path, segment);
    if (error)
        return error;
    why = check_segment(layout, file, segment);
    if (why)
        return halo__elf_refuse(machine, path, why);
    if (segment->p_memsz == 0)
        return 0;
    range.base = segment->p_vaddr / HALO_PAGE * HALO_PAGE;
    end = (segment->p_vaddr + segment->p_memsz + HALO_PAGE - 1) / HALO_PAGE * HALO_PAGE;
    range.len = end - range.base;
    range.prot = HALO_PROT_READ;
    range.rights = HALO_MAY_READ;
    if (segment->p_flags & PF_W) {
        range.prot |= HALO_PROT_WRITE;
        range.rights |= HALO_MAY_WRITE;
    }
    if (segment->p_flags & PF_X)
        range.prot |= HALO_PROT_EXEC;
    error = halo__ram_find(&machine->ram, range.base - HALO_RAM_BASE,
                           segment->p_vaddr + segment->p_filesz - range.base);
    if (error)
        return error;
    range.most = range.prot;
    if (!layout->image_base)
        layout->image_base = range.base;
    layout->image_end = end;
    halo_shm_copy_out(machine->ram.host + (segment->p_vaddr - HALO_RAM_BASE),
                      file->bytes + segment->p_offset, segment->p_filesz);
    return halo__layout_add(machine, range);
}

/* Cut a range in two at an address: those from there on are the second. */
static int cut(struct halo_machine *machine, uint32_t index, uint64_t at)
{
    struct halo_range *range = &machine->layout.ranges[index], second = *range;

    if (at <= range->base || at - range->base >= range->len)
        return 0;
    second.base = at;
    second.len -= at - range->base;
    range->len = at - range->base;
    return halo__layout_add(machine, second);
}

/* In one piece, as far as it is one: what the file says of other memory does not count. */
static void note_relro(struct halo_layout *layout, const struct halo_range *range)
{
    if (layout->relro_len == 0)
        layout->relro = range->base;
    if (layout->relro + layout->relro_len == range->base)
        layout->relro_len += range->len;
}

/*
 * What the file wants to be read-only after relocation, as far as it is writable: it is no place
 * for descriptors to have the host write to, and never becomes writable again. A guest that
 * relocates itself says when it has; for all others it is read-only at once. ELF-14.
 */
static int mark_relro(struct halo_machine *machine, const Elf64_Phdr *segment, bool at_once)
{
    struct halo_layout *layout = &machine->layout;
    const uint64_t base = segment->p_vaddr / HALO_PAGE * HALO_PAGE;
    uint64_t end;
    int error = 0;

    if (__builtin_add_overflow(segment->p_vaddr, segment->p_memsz, &end))
        end = UINT64_MAX;
    end = end / HALO_PAGE * HALO_PAGE;
    for (uint32_t i = 0; i < layout->range_count && !error; i++) {
        struct halo_range *range = &layout->ranges[i];

        if (!(range->prot & HALO_PROT_WRITE) || range->base >= end ||
            range->base + range->len <= base)
            continue;
        error = cut(machine, i, end);
        if (!error && range->base < base) {
            error = cut(machine, i, base); /* what is cut off comes later in this loop */
            continue;
        }
        range->rights = HALO_MAY_READ;
        range->most = HALO_PROT_READ;
        if (at_once)
            range->prot = HALO_PROT_READ;
        else
            note_relro(layout, range);
    }
    return error;
}

static bool entry_is_code(const struct halo_layout *layout, uint64_t entry)
{
    for (uint32_t i = 0; i < layout->range_count; i++) {
        const struct halo_range *range = &layout->ranges[i];

        if ((range->prot & HALO_PROT_EXEC) && entry >= range->base &&
            entry - range->base < range->len)
            return true;
    }
    return false;
}

/* What Halo's notes say; 0 where there is none. */
struct notes {
    bool has_version;
    uint32_t version, ring_max;
    uint32_t calls[2]; /* smallest and largest queue to the guest */
    uint64_t syscall_entry;
    bool relocates_nothing;
};

/* Look at one note, whose description is `len` bytes at `bytes`. */
static void read_note(const Elf64_Nhdr *note, const unsigned char *bytes, struct notes *notes)
{
    if (note->n_type == HALO_NOTE_ABI && note->n_descsz == sizeof(notes->version)) {
        notes->has_version = true;
        memcpy(&notes->version, bytes, sizeof(notes->version));
    }
    if (note->n_type == HALO_NOTE_RING && note->n_descsz == sizeof(notes->ring_max))
        memcpy(&notes->ring_max, bytes, sizeof(notes->ring_max));
    if (note->n_type == HALO_NOTE_CALLS && note->n_descsz == sizeof(notes->calls))
        memcpy(notes->calls, bytes, sizeof(notes->calls));
    if (note->n_type == HALO_NOTE_SYSCALL && note->n_descsz == sizeof(notes->syscall_entry))
        memcpy(&notes->syscall_entry, bytes, sizeof(notes->syscall_entry));
    if (note->n_type == HALO_NOTE_RELOCATION && note->n_descsz == 2 * sizeof(uint64_t))
        notes->relocates_nothing = memcmp(bytes, bytes + sizeof(uint64_t), sizeof(uint64_t)) == 0;
}

/*
 * Look for Halo's notes among those of a segment. What is malformed is not looked at further:
 * ELF-12; nor what lies far behind, for headers may name the same bytes 64 times.
 */
static void find_notes(const struct halo_guest_file *file, const Elf64_Phdr *segment,
                       struct notes *notes)
{
    uint64_t at = segment->p_offset, left = segment->p_filesz;
    Elf64_Nhdr note;

    if (at > file->len || left > file->len - at)
        return;
    if (left > LIST_MAX)
        left = LIST_MAX;
    while (left >= sizeof(note)) {
        uint64_t name_len, len;

        memcpy(&note, file->bytes + at, sizeof(note));
        name_len = ((uint64_t)note.n_namesz + 3) & ~3ull;
        len = ((uint64_t)note.n_descsz + 3) & ~3ull;
        at += sizeof(note);
        left -= sizeof(note);
        if (name_len > left || len > left - name_len)
            return;
        if (note.n_namesz == sizeof(HALO_NOTE_NAME) &&
            memcmp(file->bytes + at, HALO_NOTE_NAME, sizeof(HALO_NOTE_NAME)) == 0)
            read_note(&note, file->bytes + at + name_len, notes);
        at += name_len + len;
        left -= name_len + len;
    }
}

/* It was built for the contract that this host keeps. */
static int check_version(struct halo_machine *machine, const char *path, uint32_t version)
{
    if (version == HALO_ABI_VERSION)
        return 0;
    if (version == 0)
        return halo__elf_refuse(
            machine, path,
            "it does not say which version of Halo it is for (link it with the guest "
            "library; one from before version 2 must be linked again)");
    return halo__fail(machine->words, HALO_EGUEST,
                      "%s: it is for version %u of the contract between guest and host, and this "
                      "host keeps version %u: link it again with this host's guest library",
                      path, version, HALO_ABI_VERSION);
}

/* It was built for the queues that were asked for. */
static int check_sizes(struct halo_machine *machine, const char *path)
{
    const struct halo_layout *layout = &machine->layout;
    const struct halo_sizes *sizes = &layout->sizes;

    if (sizes->queue_size > layout->ring_max)
        return halo__fail(machine->words, HALO_EGUEST,
                          "%s: it takes at most %u descriptors as its queue to the host, and "
                          "queue_size is %u: ask for less, or link it again",
                          path, layout->ring_max, sizes->queue_size);
    if (sizes->call_queue_size < layout->calls_min || sizes->call_queue_size > layout->calls_max)
        return halo__fail(machine->words, HALO_EGUEST,
                          "%s: it takes %u to %u descriptors as its queue of calls, and "
                          "call_queue_size is %u: ask for what it takes, or link it again",
                          path, layout->calls_min, layout->calls_max, sizes->call_queue_size);
    return 0;
}

/* All of Halo's notes. */
static struct notes read_notes(const struct halo_guest_file *file, const Elf64_Ehdr *header)
{
    struct notes notes = {.version = 0};
    Elf64_Phdr segment;

    for (uint32_t i = 0; i < header->e_phnum; i++) {
        halo__elf_segment(file, header, i, &segment);
        if (segment.p_type == PT_NOTE)
            find_notes(file, &segment, &notes);
    }
    return notes;
}

/* --- Programs of Linux's -------------------------------------------------------------------------
 */

/* It needs nobody but the kernel: no dynamic linker, no other library. ELF-11, ELF-15. */
static int check_static(struct halo_machine *machine, const struct halo_guest_file *file,
                        const Elf64_Ehdr *header)
{
    Elf64_Phdr segment;
    Elf64_Dyn entry;

    if (header->e_ident[EI_OSABI] != ELFOSABI_NONE && header->e_ident[EI_OSABI] != ELFOSABI_GNU)
        return halo__elf_refuse(machine, file->name, "it is for another system than Linux");
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        halo__elf_segment(file, header, i, &segment);
        if (segment.p_type == PT_INTERP)
            return halo__elf_refuse(machine, file->name, NEEDS_LINKER);
        if (segment.p_type != PT_DYNAMIC)
            continue;
        if (segment.p_offset > file->len || segment.p_filesz > file->len - segment.p_offset)
            return halo__elf_refuse(machine, file->name, "a segment lies outside the file");
        for (uint64_t at = 0; at < LIST_MAX && segment.p_filesz - at >= sizeof(entry);
             at += sizeof(entry)) {
            memcpy(&entry, file->bytes + segment.p_offset + at, sizeof(entry));
            if (entry.d_tag == DT_NULL)
                break;
            if (entry.d_tag == DT_NEEDED)
                return halo__elf_refuse(
                    machine, file->name,
                    "it needs shared libraries: link it with -static or -static-pie");
        }
    }
    return 0;
}

/* Where a program without a fixed address goes: what is added to its addresses. ELF-16. */
static uint64_t choose_bias(const struct halo_guest_file *file, const Elf64_Ehdr *header)
{
    uint64_t lowest = UINT64_MAX, align = HALO_PAGE;
    Elf64_Phdr segment;

    if (header->e_type != ET_DYN)
        return 0;
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        halo__elf_segment(file, header, i, &segment);
        if (segment.p_type != PT_LOAD)
            continue;
        if (segment.p_vaddr < lowest)
            lowest = segment.p_vaddr;
        if (segment.p_align > align && segment.p_align <= HALO_PROGRAM_BASE)
            align = segment.p_align; /* one that is no power of two is refused later */
    }
    return HALO_PROGRAM_BASE - (lowest == UINT64_MAX ? 0 : lowest / align * align);
}

/* What its start is told. The loader's ranges so far are its memory. */
static void note_program(struct halo_machine *machine, const struct halo_guest_file *file,
                         const Elf64_Ehdr *header, uint64_t bias)
{
    struct halo_layout *layout = &machine->layout;
    struct halo_program_start *program = &layout->program;
    const uint64_t len = header->e_phnum * sizeof(Elf64_Phdr);
    Elf64_Phdr segment;

    program->entry = header->e_entry + bias;
    program->header_count = header->e_phnum;
    for (uint32_t i = 0; i < header->e_phnum; i++) {
        halo__elf_segment(file, header, i, &segment);
        if (segment.p_type == PT_LOAD && header->e_phoff >= segment.p_offset &&
            len <= segment.p_filesz && header->e_phoff - segment.p_offset <= segment.p_filesz - len)
            program->headers = segment.p_vaddr + bias + (header->e_phoff - segment.p_offset);
    }
    for (uint32_t i = 0; i < layout->range_count && i < HALO_PROGRAM_PIECES; i++) {
        program->pieces[i].base = layout->ranges[i].base;
        program->pieces[i].len = layout->ranges[i].len;
        program->pieces[i].prot = layout->ranges[i].prot;
        program->piece_count++;
    }
}

/* --- All of it -----------------------------------------------------------------------------------
 */

static int load_segments(struct halo_machine *machine, const struct halo_guest_file *file,
                         const Elf64_Ehdr *header, uint64_t bias, bool *has_tls)
{
    const char *path = file->name;
    Elf64_Phdr segment;
    int error = 0;

    for (uint32_t i = 0; i < header->e_phnum && !error; i++) {
        halo__elf_segment(file, header, i, &segment);
        segment.p_vaddr += bias;
        if (segment.p_type == PT_LOAD)
            error = load_segment(machine, path, file, &segment);
        else if (segment.p_type == PT_INTERP ||
                 (segment.p_type == PT_DYNAMIC && !machine->layout.is_linux))
            error = halo__elf_refuse(machine, path, NEEDS_LINKER); /* ELF-11 */
        else if (segment.p_type == PT_TLS)
            *has_tls = segment.p_memsz > 0;
        else if (segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X))
            error = halo__elf_refuse(machine, path, "it wants an executable stack"); /* ELF-08 */
        else if (segment.p_type == PT_GNU_STACK)
            machine->layout.stack_wanted = segment.p_memsz;
    }
    return error;
}

int halo__load(struct halo_machine *machine, const struct halo_guest_file *file)
{
    struct halo_layout *layout = &machine->layout;
    const char *path = file->name, *why;
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    struct notes notes;
    bool has_tls = false;
    uint64_t bias;
    int error;

    why = halo__elf_header(file, &header);
    if (why)
        return halo__elf_refuse(machine, path, why);
    /* First of all: where memory lies is the version's, too. */
    notes = read_notes(file, &header);
    error = layout->is_linux ? check_static(machine, file, &header)
                             : check_version(machine, path, notes.version);
    if (!error && !layout->is_linux && header.e_type != ET_EXEC)
        error = halo__elf_refuse(
            machine, path,
            "it is not a static program (link it with the guest library, at a fixed "
            "address)");
    if (error)
        return error;
    bias = layout->is_linux ? choose_bias(file, &header) : 0;
    error = load_segments(machine, file, &header, bias, &has_tls);
    for (uint32_t i = 0; i < header.e_phnum && !error; i++) {
        halo__elf_segment(file, &header, i, &segment);
        segment.p_vaddr += bias;
        if (segment.p_type == PT_GNU_RELRO)
            error =
                mark_relro(machine, &segment,
                           !layout->is_linux && (!notes.syscall_entry || notes.relocates_nothing));
    }
    if (error)
        return error;
    if (has_tls && !notes.syscall_entry && !layout->is_linux)
        return halo__elf_refuse(
            machine, path,
            "it has thread-local variables, which guests have only with a C library");
    if (notes.syscall_entry && !entry_is_code(layout, notes.syscall_entry)) /* ELF-13 */
        return halo__elf_refuse(machine, path,
                                "what answers its system calls is not in executable memory");
    layout->syscall_entry = layout->is_linux ? 0 : notes.syscall_entry;
    if (!entry_is_code(layout, header.e_entry + bias)) /* ELF-09 */
        return halo__elf_refuse(machine, path, "its entry point is not in executable memory");
    layout->entry = header.e_entry + bias;
    if (layout->is_linux) {
        note_program(machine, file, &header, bias);
        return 0;
    }
    layout->ring_max = notes.ring_max ? notes.ring_max : HALO_QUEUE_SIZE_DEFAULT;
    layout->calls_min = notes.calls[1] ? notes.calls[0] : HALO_QUEUE_SIZE_DEFAULT;
    layout->calls_max = notes.calls[1] ? notes.calls[1] : HALO_QUEUE_SIZE_DEFAULT;
    return check_sizes(machine, path);
}

int halo__load_begin(struct halo_machine *machine, const struct halo_program *program,
                     struct halo_guest_file *file)
{
    const char *name = program->path ? program->path : "the program";
    Elf64_Ehdr header;
    int error = 0;

    *file = (struct halo_guest_file){name, program->bytes, program->len, NULL};
    if (!program->bytes)
        error = halo__elf_read(machine, program, file);
    else if (program->len > HALO_FILE_MAX)
        error = halo__elf_refuse(machine, name, "it is larger than 64 MiB");
    if (!error && !halo__elf_header(file, &header))
        machine->layout.is_linux = !read_notes(file, &header).has_version;
    return error;
}
