/*
 * A program of Linux's, which nobody built for Halo: the host has placed it, and this runtime
 * beside it. It finds what Linux promises a new program: registers of 0, and on its stack argc,
 * argv, the environment, the auxiliary vector, and the strings. Its own start does all else.
 */
#include "start.h"
#include "../port.h"
#include "entry.h"
#include "handler.h"
#include "linux.h"
#include <cpuid.h>
#include <elf.h>

enum {
    VECTOR_WORDS = 42,
    RANDOM_LEN = 16,
    UID = 1000,
    READABLE = 1,
    WRITABLE = 2,
    MINSIGSTKSZ = 51
};

static const char platform[] = "x86_64";

static const struct halo_program_start *program(const struct halo_boot *boot)
{
    return (const struct halo_program_start *)(uintptr_t)boot->program;
}

static void add_pieces(const struct halo_program_start *start)
{
    for (uint32_t i = 0; i < start->piece_count; i++) {
        if (start->pieces[i].prot & READABLE)
            linux_add_range(&halo__linux, start->pieces[i].base, start->pieces[i].len,
                            (start->pieces[i].prot & WRITABLE) != 0);
    }
}

/* Bit 1 of the second: fsgsbase, which such a guest may always use. */
static uint64_t features(void)
{
    unsigned a, b, c, d = 0;

    return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

/* The auxiliary vector, at `at`; what it points to lies at `words`, where the program finds it. */
static uint64_t *put_vector(uint64_t *at, const struct halo_program_start *start, uint64_t words,
                            uint64_t name)
{
    const uint64_t vector[] = {
        AT_PHDR,     start->headers,
        AT_PHENT,    sizeof(Elf64_Phdr),
        AT_PHNUM,    start->headers ? start->header_count : 0,
        AT_PAGESZ,   HALO_PAGE,
        AT_BASE,     0,
        AT_FLAGS,    0,
        AT_ENTRY,    start->entry,
        AT_HWCAP,    features(),
        AT_HWCAP2,   2,
        AT_CLKTCK,   100,
        AT_UID,      UID,
        AT_EUID,     UID,
        AT_GID,      UID,
        AT_EGID,     UID,
        AT_SECURE,   0,
        AT_RANDOM,   words,
        AT_PLATFORM, words + RANDOM_LEN,
        AT_EXECFN,   name,
        MINSIGSTKSZ, halo__linux_frame_len(),
        AT_NULL,     0,
    };

    _Static_assert(sizeof(vector) <= VECTOR_WORDS * sizeof(*at), "there is room for it");
    memcpy(at, vector, sizeof(vector));
    return at + sizeof(vector) / sizeof(vector[0]);
}

/*
 * Strings first go to the end of the block, then words to its beginning. The block is made apart
 * and moved to the top of the stack, on which this runs: `to` is where it will be.
 */
static void fill(unsigned char *block, uint64_t to, uint64_t len, const struct halo_boot *boot)
{
    const uint64_t random = len - boot->args_len - RANDOM_LEN - sizeof(platform);
    const uint64_t strings = len - boot->args_len;
    const char *from = (const char *)(uintptr_t)boot->args;
    uint64_t *at = (uint64_t *)(void *)block, next = to + strings;

    memcpy(block + strings, from, boot->args_len);
    memcpy(block + random + RANDOM_LEN, platform, sizeof(platform));
    (void)linux_call(&halo__linux, 318 /* getrandom */,
                     (const uint64_t[6]){(uintptr_t)block + random, RANDOM_LEN});
    *at++ = boot->arg_count;
    for (uint32_t i = 0; i < boot->arg_count + boot->env_count; i++) {
        if (i == boot->arg_count)
            *at++ = 0;
        *at++ = next;
        next += strlen(from + (next - to - strings)) + 1;
    }
    if (boot->env_count == 0)
        *at++ = 0;
    *at++ = 0;
    (void)put_vector(at, program(boot), to + random, to + strings);
}

/* To the program, whose stack this stands on: no memory but the block is used any more. */
_Noreturn static void enter(const void *block, uint64_t to, uint64_t len, uint64_t entry)
{
    register uint64_t at __asm__("r11") = entry;

    __asm__ volatile("mov %%rdi, %%rsp\n\t"
                     "rep movsq\n\t"
                     "xor %%eax, %%eax\n\t"
                     "xor %%ebx, %%ebx\n\t"
                     "xor %%edx, %%edx\n\t"
                     "xor %%esi, %%esi\n\t"
                     "xor %%edi, %%edi\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "jmp *%%r11"
                     :
                     : "S"(block), "D"(to), "c"(len / sizeof(uint64_t)), "r"(at)
                     : "memory");
    __builtin_unreachable();
}

_Noreturn void halo__linux_main(const struct halo_boot *boot)
{
    const uint64_t words = boot->arg_count + boot->env_count + 3ull + VECTOR_WORDS;
    const uint64_t len =
        (words * sizeof(uint64_t) + RANDOM_LEN + sizeof(platform) + boot->args_len + 31) / 16 * 16;
    const uint64_t to = (boot->stack_low + boot->stack_len) / 16 * 16 - len;
    unsigned char *block = malloc(len);

    if (!boot->program)
        halo_panic("this host starts no program of Linux's");
    if (!block || len > boot->stack_len / 2)
        halo_panic("no memory for the arguments");
    memset(block, 0, len);
    halo__port_silence(true);   /* nobody calls it, and it never waits but in a system call */
    halo_handle_write_errors(); /* write returns them, or raises SIGPIPE */
    halo__linux_table(boot);
    add_pieces(program(boot));
    fill(block, to, len, boot);
    enter(block, to, len, program(boot)->entry);
}
