/* trace: a guest that ends in the middle of known calls, in the way that it is told. */
#include <halo/guest.h>

HALO_IMPORT(look, "look", HALO_VOID);

typedef void nothing(void);

static nothing *volatile no_function;
/* Without the compiler's knowing that it does not return, which makes cold code elsewhere. */
static void (*volatile give_up)(const char *message) = halo_panic;
static volatile uint64_t depth_left, nowhere = 8;

/* What comes behind a call keeps it from becoming a jump. */
static volatile uint64_t sink;

#define APART __attribute__((noinline, used))

APART static void here(const char *way)
{
    switch (*way) {
    case 'f':
        *(volatile unsigned char *)(uintptr_t)nowhere = 1;
        break;
    case 'p':
        give_up("as it was told");
        break;
    case 'd':
        ((void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->doorbell)(4711, 0, 0);
        break;
        break;
    case 'l':
        for (;;)
            __asm__ volatile("pause");
    case 'n':
        no_function();
        break;
    case 'a': {
        struct halo_future future;

        (void)halo_call_start(&future, &look, NULL, 0);
        (void)halo_wait(&future);
        break;
    }
    case 'w': { /* it asks, and then it loops */
        struct halo_future future;

        (void)halo_call_start(&future, &look, NULL, 0);
        (void)halo_wait(&future);
        for (;;)
            __asm__ volatile("pause");
    }
    case 's': /* frame pointers that end at once */
        __asm__ volatile("mov $1, %%ebp\n\tud2" : : : "memory");
        break;
    case 'c': /* or go round in a circle */
        __asm__ volatile("mov %%rbp, (%%rbp)\n\tud2" : : : "memory");
        break;
    case 'h': /* or lead to the rings */
        __asm__ volatile("mov %0, %%rbp\n\tud2"
                         :
                         : "r"(halo_boot_page()->queue[0].desc)
                         : "memory");
        break;
    case 'r': /* registers of which each is known */
        __asm__ volatile("mov $0x101, %%eax\n\tmov $0x102, %%ebx\n\tmov $0x103, %%ecx\n\t"
                         "mov $0x104, %%edx\n\tmov $0x105, %%esi\n\tmov $0x106, %%edi\n\t"
                         "mov $0x108, %%r8d\n\tmov $0x109, %%r9d\n\tmov $0x10a, %%r10d\n\t"
                         "mov $0x10b, %%r11d\n\tmov $0x10c, %%r12d\n\tmov $0x10d, %%r13d\n\t"
                         "mov $0x10e, %%r14d\n\tmov $0x10f, %%r15d\n\tud2"
                         :
                         :
                         : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
                           "r12", "r13", "r14", "r15", "memory");
        break;
    }
    sink++;
}

APART static void middle(const char *way)
{
    here(way);
    sink++;
}

APART static void outer(const char *way)
{
    middle(way);
    sink++;
}

/* So deep that no trace is whole. */
APART static void deep(void)
{
    if (depth_left-- == 0) {
        *(volatile unsigned char *)(uintptr_t)nowhere = 1;
        return;
    }
    deep();
    sink++;
}

/* Where a function begins, by its number. */
HALO_EXPORT(where, "where", HALO_U64, HALO_U64)
{
    const uint64_t all[] = {(uintptr_t)here, (uintptr_t)middle, (uintptr_t)outer, (uintptr_t)deep};

    halo_return(call, halo_u64(args[0].u64 < 4 ? all[args[0].u64] : 0));
}

HALO_EXPORT(end, "end", HALO_VOID, HALO_STR)
{
    (void)call;
    outer(args[0].str);
}

HALO_EXPORT(end_deep, "deep", HALO_VOID, HALO_U64)
{
    (void)call;
    depth_left = args[0].u64;
    deep();
}
