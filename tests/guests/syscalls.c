/*
 * A guest that answers its own system calls, with the number and a thousand: its exit code is 7
 * where each comes to it, those with the number of the process backend's doorbell among them. With
 * the argument "forge" it looks in what the kernel left on the stack for signals for the
 * word of a fault report, and rings its host with it; with "forge-later" it makes no system call
 * before, but is long enough at it for its host to stop it. With "claim" it rings its host as the
 * handler of page faults does that asks for memory, about an address that nobody has used; with
 * "trap" as that of traps does; with "where" or "map" it goes on saying where it is, or asking to
 * have mapped what nobody has told it to, with registers that bring it back each time.
 */
#include "answer.h"
#include <halo/guest.h>

static long call(long number)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(0), "S"(0), "d"(0)
                     : "rcx", "r11", "cc", "memory");
    return result;
}

/* The word is where the handler would return to, 24 bytes before the stack's description. */
static uint64_t find_word(void)
{
    const uint64_t start = halo_boot_page()->save + HALO_PAGE, stack_len = 65536;
    const uint64_t *at = (const uint64_t *)start;

    while (at[2] != stack_len || at[0] != start)
        at++;
    return at[-3];
}

static void forge(bool later)
{
    const unsigned char *at = (const unsigned char *)0x600000000000ull;
    register uint64_t r9 __asm__("r9");

    if (later) {
        for (volatile long i = 0; i < 300000000; i++)
            continue;
    } else {
        call(1);
    }
    r9 = find_word();
    while (at[0] != 0x0f || at[1] != 0x05)
        at++;
    __asm__ volatile("jmp *%%rcx" : : "a"(0), "D"(0x101), "S"(14), "d"(0x1234), "c"(at), "r"(r9));
}

static void claim(long op, long vector)
{
    const unsigned char *at = (const unsigned char *)0x600000000000ull;
    register uint64_t r10 __asm__("r10") = vector ? (uint64_t)vector : 0x4567; /* or where it was */
    register uint64_t r8 __asm__("r8") = 0x89ab;

    while (at[0] != 0x0f || at[1] != 0x05)
        at++;
    __asm__ volatile("jmp *%%rcx"
                     :
                     : "a"(0), "D"(op), "S"(vector ? 0x4567 : 4), "d"(HALO_PAGING_BASE + 0x1234),
                       "c"(at), "r"(r10), "r"(r8));
}

/* The way back is that of a handler: offsets of struct ucontext, and FXSAVE's part. */
__attribute__((noreturn)) static void ring_on(long number, long op)
{
    static unsigned char frame[1024] __attribute__((aligned(16)));
    static unsigned char vectors[512] __attribute__((aligned(16)));
    const unsigned char *at = (const unsigned char *)0x600000000000ull;
    const uint64_t fpstate = (uint64_t)vectors, flags = 2;
    const uint16_t cs = 0x33, ss = 0x2b;

    while (at[0] != 0x0f || at[1] != 0x05 || at[2] != 0x48 || at[3] != 0x8d || at[4] != 0x72)
        at++;
    __builtin_memcpy(frame + 40 + 136, &flags, sizeof(flags));
    __builtin_memcpy(frame + 40 + 144, &cs, sizeof(cs));
    __builtin_memcpy(frame + 40 + 150, &ss, sizeof(ss));
    __builtin_memcpy(frame + 40 + 184, &fpstate, sizeof(fpstate));
    __asm__ volatile("fxsave64 (%[vectors])\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "mov %%rax, 168(%%rdx)\n\t"
                     "mov %%rcx, 152(%%rdx)\n\t" /* what is needed again */
                     "mov %%rdx, 136(%%rdx)\n\t"
                     "mov %%rdi, 104(%%rdx)\n\t"
                     "mov %%rbx, 128(%%rdx)\n\t"
                     "sub $512, %%rsp\n\t"
                     "mov %%rsp, 160(%%rdx)\n\t"
                     "1: mov %%rbx, %%rax\n\t"
                     "jmp *%%rcx"
                     :
                     : "b"(number), "D"(op), "d"(frame), "c"(at), [vectors] "r"(vectors)
                     : "rax", "memory");
    __builtin_unreachable();
}

int main(int argc, char **argv)
{
    static const long numbers[] = {0, 1, 219, 231, 0x100, 0x4a10, 0x40000000};

    if (argc > 1 && argv[1][0] == 'f')
        forge(argv[1][5] == '-');
    if (argc > 1 && argv[1][0] == 'c')
        claim(0x103, 0);
    if (argc > 1 && argv[1][0] == 't')
        claim(0x104, 14);
    if (argc > 1 && argv[1][0] == 'w')
        ring_on(0, 0x102);
    if (argc > 1 && argv[1][0] == 'm')
        ring_on(25, 0);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (call(numbers[i]) != numbers[i] + 1000)
            return 10 + (int)i;
    }
    return 7;
}
