/*
 * Guests of random code, on every backend: what is built to be executed, and all that stands beside
 * it, in any order and with any registers. System calls with a stack that is none, jumps into every
 * byte of the doorbell's page, which holds the code that runs at CPL0, flags, segments, privileged
 * instructions, ports, and a handler of system calls that is random, too. Whatever the guest does,
 * it ends in one of the ways that a guest may end in, and the next sandbox is as good as the first.
 *
 *     test_random_guests [FIRST [COUNT]]      seeds; each is a guest, and the same every time
 */
#include <halo/halo.h>

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RAM_LEN HALO_RAM_MIN
#define TEXT 0x400000ull
#define TEXT_LEN 4096u
#define CODE 512u     /* where code begins in it; before that are headers and notes */
#define HANDLER 2560u /* and that for system calls */
#define DATA 0x402000ull
#define DATA_LEN 8192u
#define DOORBELL (HALO_RAM_BASE + RAM_LEN - HALO_PAGE)
#define RUN_NS 20000000

static unsigned first_seed = 1, seed_count = 150;
static uint64_t state;

static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned below(unsigned count)
{
    return (unsigned)(any() >> 33) % count;
}

/* --- A guest of random code ---------------------------------------------------------------------
 */

static unsigned char file[TEXT_LEN];
static unsigned at;

static void put(const void *bytes, unsigned len)
{
    memcpy(file + at, bytes, len);
    at += len;
}

/* Addresses and numbers that mean something to somebody, and some that mean nothing. */
static uint64_t any_value(void)
{
    const uint64_t values[] = {
        0,
        1,
        HALO_RAM_BASE,
        TEXT + CODE + below(1024),
        TEXT + HANDLER + below(64),
        DATA + below(DATA_LEN),
        DATA + DATA_LEN / 2,
        DATA + DATA_LEN,
        DOORBELL + below(640),
        DOORBELL + HALO_SYSCALL_OFFSET,
        DOORBELL - HALO_PAGE,                 /* boot page */
        DOORBELL - 2 * HALO_PAGE + below(64), /* save page */
        0x60000000ull + below(0x20000),       /* the system's pages on KVM */
        0x60005000ull + 16 * below(256),
        0x600000000000ull + below(0x20000), /* the child's in a process */
        0x7fffffffeffe + below(4096),
        0x800000000000, /* not canonical */
        0xffffffff80000000,
        0xffffffffffffffff - below(16),
        below(512), /* a system call */
        1ull << below(64),
        any(),
    };

    return values[below(sizeof(values) / sizeof(values[0]))];
}

static void put_register(unsigned reg, uint64_t value)
{
    const unsigned char code[] = {(unsigned char)(0x48 | reg >> 3),
                                  (unsigned char)(0xb8 | (reg & 7))};

    put(code, 2);
    put(&value, 8);
}

/* Whole instructions, most of which no program has. The first byte is their length. */
static const char instructions[][9] = {
    "\2\x0f\x05", /* syscall, more often than others */
    "\2\x0f\x05",
    "\2\x0f\x05",
    "\2\x0f\x05",
    "\2\x0f\x34",     /* sysenter */
    "\3\x48\x0f\x07", /* sysretq */
    "\3\x48\x0f\x35", /* sysexitq */
    "\2\x48\xcf",     /* iretq */
    "\2\xcd\x80",     /* int */
    "\2\xcd\x0e",
    "\2\xcd\xff",
    "\1\xcc",                 /* int3 */
    "\1\xf1",                 /* icebp */
    "\2\x0f\x0b",             /* ud2 */
    "\5\xf3\x48\x0f\xae\xd0", /* wrfsbase, wrgsbase, rdfsbase */
    "\5\xf3\x48\x0f\xae\xd8",
    "\5\xf3\x48\x0f\xae\xc0",
    "\3\x0f\x01\xf8", /* swapgs */
    "\2\x50\x9d",     /* push rax, popf */
    "\2\x9c\x58",     /* pushf, pop rax */
    "\2\xff\xe0",     /* jmp rax, rcx; call rax */
    "\2\xff\xe1",
    "\2\xff\xd0",
    "\1\xc3",     /* ret */
    "\2\x48\xcb", /* retfq */
    "\2\x8e\xd0", /* mov to ss, ds, fs */
    "\2\x8e\xd8",
    "\2\x8e\xe0",
    "\2\xe6\xe0", /* out to the ports of stubs, doorbell and protection */
    "\2\xe6\xe1",
    "\2\xe6\xe2",
    "\1\xee",     /* out to dx */
    "\2\xe4\xe1", /* in */
    "\1\x6e",     /* outsb */
    "\1\xf4",     /* hlt, cli, sti */
    "\1\xfa",
    "\1\xfb",
    "\2\x0f\x32", /* rdmsr, wrmsr */
    "\2\x0f\x30",
    "\3\x0f\x22\xd8", /* mov to cr3, cr4, cr0 */
    "\3\x0f\x22\xe0",
    "\3\x0f\x22\xc0",
    "\3\x0f\x01\xc1", /* vmcall, vmmcall */
    "\3\x0f\x01\xd9",
    "\3\x0f\x01\xd1", /* xsetbv, xgetbv */
    "\3\x0f\x01\xd0",
    "\3\x0f\x01\x10", /* lgdt, lidt, invlpg, clac */
    "\3\x0f\x01\x18",
    "\3\x0f\x01\x38",
    "\3\x0f\x01\xca",
    "\3\x0f\x00\xd8", /* ltr */
    "\2\x0f\xa2",     /* cpuid, rdtsc */
    "\2\x0f\x31",
    "\3\x48\x89\x01", /* mov to and from memory */
    "\3\x48\x89\x04",
    "\3\x48\x8b\x01",
    "\1\xfd", /* std, cld */
    "\1\xfc",
    "\2\xf3\xaa",         /* rep stosb */
    "\3\x48\x89\xc4",     /* mov to rsp */
    "\3\x48\x87\xcc",     /* xchg of rcx and rsp */
    "\4\x0f\xae\x29\x90", /* xrstor */
    "\2\xeb\xfe",         /* a loop */
    "\2\xeb\x80",         /* back to something */
    "\2\x90\x90",
};

static void put_code(unsigned end)
{
    while (at + 48 < end) {
        const char *instruction =
            instructions[below(sizeof(instructions) / sizeof(instructions[0]))];

        for (unsigned i = below(4); i > 0; i--)
            put_register(below(16), any_value());
        if (below(4) == 0) /* where an address is likely to be wanted */
            put_register(0, DOORBELL + below(192));
        put(instruction + 1, (unsigned char)instruction[0]);
    }
    while (at < end)
        file[at++] = 0xcc;
}

/* How the handler begins: back to where the call was made, or in any other way. */
static void put_handler(void)
{
    static const char back[][9] = {"\2\xff\xe1", "\2\xff\xe1", "\3\x31\xc0\x90", "\2\x0f\x05"};
    const char *begin = back[below(4)];

    at = HANDLER;
    put(begin + 1, (unsigned char)begin[0]);
    put_code(TEXT_LEN);
}

static void put_note(uint32_t type, const void *description, uint32_t len)
{
    const uint32_t head[3] = {sizeof(HALO_NOTE_NAME), len, type};

    put(head, sizeof(head));
    put(HALO_NOTE_NAME "\0\0\0", 8);
    put(description, len);
}

/* One without the note: a system call ends it. */
static void make_guest(unsigned seed, bool has_note)
{
    const uint64_t handler = TEXT + HANDLER;
    const uint32_t version = HALO_ABI_VERSION;
    Elf64_Ehdr header = {.e_ident = ELFMAG,
                         .e_type = ET_EXEC,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_entry = TEXT + CODE,
                         .e_phoff = sizeof(header),
                         .e_ehsize = sizeof(header),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 3};
    Elf64_Phdr segments[3] = {
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_X,
         .p_vaddr = TEXT,
         .p_filesz = TEXT_LEN,
         .p_memsz = TEXT_LEN,
         .p_align = HALO_PAGE},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_vaddr = DATA,
         .p_memsz = DATA_LEN,
         .p_align = 1},
        {.p_type = PT_NOTE, .p_flags = PF_R, .p_align = 4},
    };

    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    state = 0x9e3779b97f4a7c15ull * seed + 1;
    memset(file, 0, sizeof(file));
    at = sizeof(header) + sizeof(segments);
    segments[2].p_offset = at;
    segments[2].p_vaddr = TEXT + at;
    put_note(HALO_NOTE_ABI, &version, sizeof(version));
    if (has_note)
        put_note(HALO_NOTE_SYSCALL, &handler, sizeof(handler));
    segments[2].p_filesz = segments[2].p_memsz = at - segments[2].p_offset;
    at = 0;
    put(&header, sizeof(header));
    put(segments, sizeof(segments));
    at = CODE;
    put_register(4, DATA + DATA_LEN / 2);
    put_code(HANDLER);
    put_handler();
}

/* --- What becomes of it --------------------------------------------------------------------------
 */

/* A guest whose only words are what a system call brings, and that ends well: exit code 9. */
static void make_good_guest(void)
{
    const uint64_t zero = 0;

    make_guest(1, true); /* for its headers */
    at = CODE;
    put("\x0f\x05", 2);
    put_register(7, HALO_DOORBELL_HALT);
    put_register(6, 9);
    put_register(2, 0);
    put_register(0, DOORBELL);
    put("\xff\xd0", 2);
    at = HANDLER;
    put("\xff\xe1", 2);
    put(&zero, sizeof(zero));
}

static bool may_end_so(int error)
{
    return error == 0 || error == HALO_EFAULT || error == HALO_EPANIC || error == HALO_EPOISONED ||
           error == HALO_ETIMEDOUT || error == HALO_EDEADLOCK;
}

/* These would be a mistake of ours: the processor was brought where no guest brings it. */
static bool is_ours(const char *words)
{
    static const char *const ours[] = {"unexpected exit", "refused its state", "no frame",
                                       "KVM failed", "triple fault"};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strstr(words, ours[i]))
            return true;
    }
    return false;
}

static int run(enum halo_backend_choice backend, int64_t time_ns, int *code, char *words,
               size_t room)
{
    const struct halo_options options = {.backend = backend, .ram_len = RAM_LEN};
    struct halo_sandbox *box;
    int error = halo_open_memory(&box, file, sizeof(file), &options);

    if (!error)
        error = halo_run(box, time_ns, code);
    (void)snprintf(words, room, "%s", halo_errmsg(box));
    halo_close(box);
    return error;
}

static void random_guests(enum halo_backend_choice backend, const char *name)
{
    unsigned ends[5] = {0};
    char words[300];
    int code;

    for (unsigned seed = first_seed; seed < first_seed + seed_count; seed++) {
        int error;

        make_guest(seed, seed % 8 != 0);
        error = run(backend, RUN_NS, &code, words, sizeof(words));
        if (!may_end_so(error) || is_ours(words))
            fail_msg("%s, seed %u: %d: %s", name, seed, error, words);
        ends[error == 0                ? 0
             : error == HALO_EFAULT    ? 1
             : error == HALO_ETIMEDOUT ? 2
             : error == HALO_EDEADLOCK ? 3
                                       : 4]++;
        if (seed % 25 != 0)
            continue;
        make_good_guest();
        error = run(backend, HALO_FOREVER, &code, words, sizeof(words));
        if (error || code != 9)
            fail_msg("%s, after seed %u: %d: %s", name, seed, error, words);
    }
    print_message("%s: %u ended, %u faulted, %u ran on, %u waited, %u broke a rule\n", name,
                  ends[0], ends[1], ends[2], ends[3], ends[4]);
    assert_true(ends[1] > 0);
}

/* VM-05, VM-06, VM-12 */
static void no_random_guest_gets_out_of_a_process(void **unused)
{
    (void)unused;
    random_guests(HALO_BACKEND_PROCESS, "process");
}

static void no_random_guest_gets_out_of_a_vm(void **unused)
{
    (void)unused;
    if (access("/dev/kvm", R_OK | W_OK) == 0)
        random_guests(HALO_BACKEND_KVM, "kvm");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_random_guest_gets_out_of_a_process),
        cmocka_unit_test(no_random_guest_gets_out_of_a_vm),
    };

    if (argc > 1)
        first_seed = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        seed_count = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
