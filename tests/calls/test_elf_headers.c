/*
 * Guest files whose headers have every value at a limit, alone and together, beside a checker that
 * knows the rules (docs/protocol.md, group ELF of docs/hostile-cases.md) and not the loader: it
 * adds in 128 bits where the loader subtracts in 64. What both accept is run, and stops where it is
 * entered.
 *
 * DEEP=1: twenty times as many.
 */
#include "ways.h"

#include <elf.h>

#define PATIENCE 120000000000ll
#define PAGE 4096u
#define HEADERS 8u
#define NOTE_AT 0x400u
#define CODE_AT 0x800u
#define FILE_LEN 0x2200u

struct file {
    Elf64_Ehdr header;
    Elf64_Phdr segments[HEADERS];
    unsigned char rest[FILE_LEN - sizeof(Elf64_Ehdr) - HEADERS * sizeof(Elf64_Phdr)];
};

_Static_assert(sizeof(struct file) == FILE_LEN, "as it lies in the file");

enum { CODE, DATA, CONSTANTS, NOTE, STACK, RELRO, EMPTY };

static uint64_t limit; /* where the memory for programs ends */

/* Code that faults, a page and a bit of variables, constants, a note, and what they need. */
static void make(struct file *file)
{
    const struct {
        Elf64_Nhdr head;
        char name[8];
        uint32_t version;
    } note = {{5, 4, HALO_NOTE_ABI}, HALO_NOTE_NAME, HALO_ABI_VERSION};
    unsigned char *const bytes = (unsigned char *)file;

    memset(file, 0, sizeof(*file));
    memcpy(file->header.e_ident, ELFMAG, SELFMAG);
    file->header.e_ident[EI_CLASS] = ELFCLASS64;
    file->header.e_ident[EI_DATA] = ELFDATA2LSB;
    file->header.e_ident[EI_VERSION] = EV_CURRENT;
    file->header.e_type = ET_EXEC;
    file->header.e_machine = EM_X86_64;
    file->header.e_version = EV_CURRENT;
    file->header.e_entry = HALO_PROGRAM_BASE + CODE_AT;
    file->header.e_phoff = sizeof(file->header);
    file->header.e_ehsize = sizeof(file->header);
    file->header.e_phentsize = sizeof(file->segments[0]);
    file->header.e_phnum = HEADERS;
    file->segments[CODE] =
        (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, HALO_PROGRAM_BASE, 0, PAGE, PAGE, PAGE};
    file->segments[DATA] = (Elf64_Phdr){
        PT_LOAD, PF_R | PF_W, PAGE, HALO_PROGRAM_BASE + 2 * PAGE, 0, 0x200, PAGE + 0x200, PAGE};
    file->segments[CONSTANTS] =
        (Elf64_Phdr){PT_LOAD, PF_R, 2 * PAGE, HALO_PROGRAM_BASE + 8 * PAGE, 0, 0x100, 0x100, PAGE};
    file->segments[NOTE] = (Elf64_Phdr){
        PT_NOTE, PF_R, NOTE_AT, HALO_PROGRAM_BASE + NOTE_AT, 0, sizeof(note), sizeof(note), 4};
    file->segments[STACK] = (Elf64_Phdr){PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    file->segments[RELRO] =
        (Elf64_Phdr){PT_GNU_RELRO, PF_R, PAGE, HALO_PROGRAM_BASE + 2 * PAGE, 0, 0x200, PAGE, 1};
    memcpy(bytes + NOTE_AT, &note, sizeof(note));
    for (uint32_t i = CODE_AT; i < PAGE; i += 2)
        memcpy(bytes + i, "\x0f\x0b", 2); /* ud2 */
}

/* --- The checker ------------------------------------------------------------------------------ */

enum verdict { REFUSED, ACCEPTED, UNKNOWN };

__extension__ typedef unsigned __int128 wide;

static wide page_end(wide at)
{
    return (at + PAGE - 1) / PAGE * PAGE;
}

static bool is_halo_guest(const struct file *file)
{
    return file->segments[NOTE].p_type == PT_NOTE;
}

static bool are_good_headers(const struct file *file, uint64_t len)
{
    const Elf64_Ehdr *header = &file->header;

    return len >= sizeof(*header) && memcmp(header->e_ident, "\177ELF\2\1\1", 7) == 0 &&
           header->e_version == 1 && header->e_machine == 62 && header->e_type == ET_EXEC &&
           header->e_phentsize == 56 && header->e_phnum >= 1 && header->e_phnum <= 64 &&
           (wide)header->e_phoff + 56 * (wide)header->e_phnum <= len;
}

/* One that is loaded, behind what was loaded before it: ELF-03 to ELF-08, ELF-10. */
static enum verdict check_load(const Elf64_Phdr *segment, uint64_t len, wide *behind)
{
    const wide end = (wide)segment->p_vaddr + segment->p_memsz;
    const uint64_t align = segment->p_align;

    if ((wide)segment->p_offset + segment->p_filesz > len || segment->p_filesz > segment->p_memsz ||
        end > limit || segment->p_vaddr < HALO_RAM_BASE || __builtin_popcountll(align) > 1 ||
        (align > 1 && segment->p_vaddr % align != segment->p_offset % align) ||
        (segment->p_flags & (PF_W | PF_X)) == (PF_W | PF_X) || segment->p_vaddr < *behind)
        return REFUSED;
    if (segment->p_vaddr < HALO_PROGRAM_BASE)
        return UNKNOWN; /* where the stack is, or may be */
    if (segment->p_memsz > 0)
        *behind = page_end(end);
    return ACCEPTED;
}

static bool is_entered(const Elf64_Phdr *segment, uint64_t entry)
{
    return segment->p_type == PT_LOAD && segment->p_memsz > 0 && (segment->p_flags & PF_X) &&
           entry >= segment->p_vaddr / PAGE * PAGE &&
           entry < page_end((wide)segment->p_vaddr + segment->p_memsz);
}

/* What has to become of it. Where the headers lie elsewhere, or there is another number of them,
 * what they say is anything. */
static enum verdict check(const struct file *file, uint64_t len)
{
    enum verdict verdict = ACCEPTED;
    bool is_code = false;
    wide behind = 0;

    if (len >= sizeof(file->header) && !are_good_headers(file, len) &&
        (file->header.e_type != ET_DYN || is_halo_guest(file)))
        return REFUSED;
    if (len < sizeof(*file) || file->header.e_phoff != sizeof(file->header) ||
        file->header.e_phnum < NOTE + 1 || file->header.e_phnum > HEADERS || !is_halo_guest(file))
        return len < sizeof(file->header) ? REFUSED : UNKNOWN;
    if (memcmp((const unsigned char *)file + NOTE_AT + 20, &(uint32_t){HALO_ABI_VERSION}, 4) != 0)
        return REFUSED; /* ELF-12 */
    for (uint32_t i = 0; i < file->header.e_phnum; i++) {
        const Elf64_Phdr *segment = &file->segments[i];
        enum verdict one = ACCEPTED;

        if (segment->p_type == PT_LOAD)
            one = check_load(segment, len, &behind);
        else if (segment->p_type == PT_INTERP || segment->p_type == PT_DYNAMIC ||
                 (segment->p_type == PT_TLS && segment->p_memsz > 0) ||
                 (segment->p_type == PT_GNU_STACK && (segment->p_flags & PF_X)))
            one = REFUSED; /* ELF-11, ELF-08 */
        else if (segment->p_type == PT_GNU_STACK && segment->p_memsz > 0)
            one = UNKNOWN; /* it takes of the memory for programs */
        if (one == REFUSED)
            return REFUSED;
        verdict = one == UNKNOWN ? UNKNOWN : verdict;
        is_code = is_code || is_entered(segment, file->header.e_entry);
    }
    return is_code ? verdict : REFUSED; /* ELF-09 */
}

/* --- The loader ------------------------------------------------------------------------------- */

static uint32_t files, good, stopped;

/* It executes what the file has there, and nothing else. */
static void run(struct halo_sandbox *box, const struct file *file)
{
    const Elf64_Phdr *code = &file->segments[CODE];
    const uint64_t entry = file->header.e_entry, at = entry - code->p_vaddr + code->p_offset;
    const bool stops = is_entered(code, entry) && entry >= code->p_vaddr &&
                       entry - code->p_vaddr + 2 <= code->p_filesz && at >= CODE_AT &&
                       at + 2 <= PAGE && at % 2 == 0;
    int exit_code;
    const int error = halo_run(box, stops ? PATIENCE : 20000000, &exit_code);

    if (!stops)
        return;
    assert_int_equal(error, HALO_EFAULT);
    assert_int_equal(halo_fault(box)->vector, 6);
    assert_int_equal(halo_fault(box)->rip, entry);
    stopped++;
}

static int open_file(void **state, const struct file *file, uint64_t len, struct halo_sandbox **box)
{
    struct halo_options options = way_options(state);

    options.ram_len = HALO_RAM_MIN;
    options.stack_len = HALO_STACK_MIN;
    return halo_open_memory(box, file, len, &options);
}

static void try_file(void **state, const struct file *file, uint64_t len)
{
    const enum verdict verdict = check(file, len);
    struct halo_sandbox *box;
    const int error = open_file(state, file, len, &box);

    files++;
    if (error && error != HALO_EGUEST)
        fail_msg("%s", halo_errmsg(box));
    if (verdict != UNKNOWN && (verdict == ACCEPTED) != (error == 0))
        fail_msg("file %u is %s by the rules, and the loader says: %s", files,
                 verdict == ACCEPTED ? "good" : "bad", error ? halo_errmsg(box) : "good");
    if (error)
        assert_true(strlen(halo_errmsg(box)) > 0);
    else
        run(box, file);
    good += !error;
    halo_close(box);
}

/* The last byte that a program may have, found by trying. */
static void find_limit(void **state)
{
    uint64_t low = HALO_PROGRAM_BASE + 9 * PAGE, high = HALO_RAM_BASE + HALO_RAM_MIN;
    struct file file;

    make(&file);
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        struct halo_sandbox *box;

        file.segments[CONSTANTS].p_memsz = middle - file.segments[CONSTANTS].p_vaddr;
        if (open_file(state, &file, sizeof(file), &box))
            high = middle;
        else
            low = middle;
        halo_close(box);
    }
    limit = low;
    assert_true(limit > HALO_PROGRAM_BASE + (1 << 20));
}

/* --- The generator ---------------------------------------------------------------------------- */

struct field {
    uint16_t at, len; /* in the file */
};

#define OF(member)                                                                             \
    {                                                                                          \
        (uint16_t) offsetof(struct file, member), (uint16_t)sizeof(((struct file *)0)->member) \
    }
#define OF_SEGMENT(n)                                                               \
    OF(segments[n].p_type), OF(segments[n].p_flags), OF(segments[n].p_offset),      \
        OF(segments[n].p_vaddr), OF(segments[n].p_filesz), OF(segments[n].p_memsz), \
        OF(segments[n].p_align)

static const struct field fields[] = {
    OF(header.e_ident[0]),     OF(header.e_ident[3]),      OF(header.e_ident[4]),
    OF(header.e_ident[5]),     OF(header.e_ident[6]),      OF(header.e_type),
    OF(header.e_machine),      OF(header.e_version),       OF(header.e_entry),
    OF(header.e_phoff),        OF(header.e_phentsize),     OF(header.e_phnum),
    OF_SEGMENT(CODE),          OF_SEGMENT(DATA),           OF_SEGMENT(CONSTANTS),
    OF(segments[NOTE].p_type), OF(segments[STACK].p_type), OF(segments[STACK].p_flags),
    OF_SEGMENT(RELRO),         OF_SEGMENT(EMPTY),          {NOTE_AT + 20, 4},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))
#define VALUES 56u

static uint64_t value_of(const struct file *file, const struct field *field)
{
    uint64_t value = 0;

    memcpy(&value, (const unsigned char *)file + field->at, field->len);
    return value;
}

/* The values at limits: of the file, of memory, of the types of headers, of numbers. */
static void set(struct file *file, const struct field *field, uint32_t which)
{
    const uint64_t value = value_of(file, field);
    const uint64_t values[VALUES] = {
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        16,
        55,
        56,
        57,
        62,
        64,
        65,
        PAGE - 1,
        PAGE,
        PAGE + 1,
        2 * PAGE,
        FILE_LEN - 1,
        FILE_LEN,
        FILE_LEN + 1,
        HALO_RAM_BASE - 1,
        HALO_RAM_BASE,
        HALO_PROGRAM_BASE - 1,
        HALO_PROGRAM_BASE,
        HALO_PROGRAM_BASE + PAGE - 1,
        HALO_PROGRAM_BASE + PAGE,
        HALO_PROGRAM_BASE + 2 * PAGE,
        HALO_PROGRAM_BASE + 4 * PAGE - 1,
        HALO_PROGRAM_BASE + 4 * PAGE,
        limit - 1,
        limit,
        limit + 1,
        limit - HALO_PROGRAM_BASE - 8 * PAGE,
        limit - HALO_PROGRAM_BASE - 8 * PAGE + 1,
        0x6474e550,
        PT_GNU_STACK,
        PT_GNU_RELRO,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x100000000,
        INT64_MAX,
        1ull << 63,
        UINT64_MAX,
        0 - (uint64_t)PAGE,
        1 - (uint64_t)PAGE,
        0 - value,
        value - 1,
        value + 1,
        value - PAGE,
        value + PAGE,
        value ^ 1ull << (8 * field->len - 1),
        ~value,
    };

    memcpy((unsigned char *)file + field->at, &values[which % VALUES], field->len);
}

/* ELF-01 to ELF-05, ELF-07 to ELF-12, ELF-14 */
static void each_field_at_each_limit(void **state)
{
    struct file file;

    find_limit(state);
    files = good = stopped = 0;
    make(&file);
    try_file(state, &file, sizeof(file));
    assert_int_equal(stopped, 1);
    for (uint32_t i = 0; i < FIELDS; i++) {
        for (uint32_t which = 0; which < VALUES; which++) {
            make(&file);
            set(&file, &fields[i], which);
            try_file(state, &file, sizeof(file));
        }
    }
    make(&file);
    for (uint64_t len = 0; len < sizeof(file); len += len < 600 ? 1 : 97)
        try_file(state, &file, len);
    print_message("%u files, %u good, %u stopped where they were entered\n", files, good, stopped);
    assert_in_range(good, files / 20, files / 2);
}

static void several_at_a_time(void **state)
{
    const uint32_t count = (getenv("DEEP") ? 20 : 1) * 1500;
    uint64_t random = 88172645463325252ull;
    struct file file;

    find_limit(state);
    files = good = stopped = 0;
    for (uint32_t i = 0; i < count; i++) {
        make(&file);
        for (uint32_t k = 0; k < 2 + i % 3; k++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            set(&file, &fields[(random >> 8) % FIELDS], (uint32_t)(random >> 40));
        }
        try_file(state, &file, sizeof(file));
    }
    print_message("%u files, %u good, %u stopped where they were entered\n", files, good, stopped);
    assert_true(good > 0 && stopped > 0);
}

int main(void)
{
    static const struct way_test tests[] = {
        WAY_TEST(each_field_at_each_limit, WAY_STACKS | WAY_PLAIN | WAY_THREADED),
        WAY_TEST(several_at_a_time, WAY_STACKS | WAY_PLAIN | WAY_THREADED),
    };

    return run_every_way("elf headers", tests, sizeof(tests) / sizeof(tests[0]), NULL, NULL);
}
