/*
 * A guest that asks its host for protections, by the code of HALO_PROTECT_OFFSET and by its own
 * system calls, as its argument says. The exit code is 7 where each answer is as it must be, else
 * it tells which was not; or the guest faults where a protection is in force.
 */
#include "answer.h"
#include <halo/guest.h>
#include <elf.h>

enum { R = 1, W = 2, X = 4, PERM = -13, NOMEM = -12, INVAL = -22 };

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static volatile uint64_t data[2048] __attribute__((aligned(4096))) = {1};
static volatile uint64_t relocated[1024]
    __attribute__((aligned(4096), section(".data.rel.ro"))) = {1};
static const uint64_t constant[512] __attribute__((aligned(4096))) = {1};

static int64_t protect(uint64_t base, uint64_t len, uint64_t prot)
{
    int64_t (*code)(uint64_t, uint64_t, uint64_t) =
        (int64_t(*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->protect;

    return code(base, len, prot);
}

static uint64_t page_of(const volatile void *at)
{
    return (uintptr_t)at / HALO_PAGE * HALO_PAGE;
}

static int checks;

static void is(int64_t is, int64_t wanted)
{
    checks++;
    if (is != wanted)
        halo_exit(checks);
}

/* VM-08: what is not the program's. */
static void elsewhere(void)
{
    const struct halo_boot *boot = halo_boot_page();
    const uint64_t places[] = {
        0,
        HALO_PAGE,
        HALO_RAM_BASE - HALO_PAGE,
        page_of(boot),
        boot->save,
        boot->doorbell,
        boot->queue[0].desc,
        boot->pool_base,
        boot->args / HALO_PAGE * HALO_PAGE,
        boot->ram_base + boot->ram_len,
        boot->heap_base + boot->heap_len, /* not mapped */
        0x60000000,                       /* the system's pages on KVM */
        0x60005000,
        0x600000000000, /* the child's in a process */
        0x7ffffffff000,
        0xfffffffffffff000,
    };

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (uint64_t prot = 0; prot < 8; prot++)
            is(protect(places[i], HALO_PAGE, prot), NOMEM);
    }
    /* Begun in its own memory, and gone on into another's. */
    is(protect(boot->heap_base, boot->heap_len + HALO_PAGE, R), NOMEM);
    is(protect(boot->stack_low, 1ull << 40, 0), NOMEM);
    ((volatile unsigned char *)(uintptr_t)boot->heap_base)[0] = 1;
}

/* VM-09: nothing becomes executable, and nothing that is read-only writable. */
static void both(void)
{
    const struct halo_boot *boot = halo_boot_page();
    const uint64_t text = page_of((void *)(uintptr_t)both);

    for (uint64_t prot = X; prot < 8; prot++) {
        is(protect(page_of(data), HALO_PAGE, prot), PERM);
        is(protect(page_of(constant), HALO_PAGE, prot), PERM);
        is(protect(boot->heap_base, HALO_PAGE, prot), PERM);
        is(protect(boot->stack_low, HALO_PAGE, prot), PERM);
    }
    is(protect(page_of(data), HALO_PAGE, 0), 0);
    is(protect(page_of(data), HALO_PAGE, X), PERM);
    is(protect(page_of(data), HALO_PAGE, R | W), 0);
    data[0] = 2;
    is(protect(page_of(constant), HALO_PAGE, R | W), PERM);
    is(protect(page_of(constant), HALO_PAGE, W), PERM);
    is(protect(page_of(constant), HALO_PAGE, 0), 0);
    is(protect(page_of(constant), HALO_PAGE, R), 0);
    is(*(const volatile int64_t *)constant, 1);
    is(protect(text, HALO_PAGE, R | W), PERM);
    is(protect(text, HALO_PAGE, R | W | X), PERM);
    is(protect(text, HALO_PAGE, R | X), 0);
}

/* What the file says of memory that is read-only after relocation. */
static void find_relro(uint64_t *base, uint64_t *len)
{
    const Elf64_Phdr *header =
        (const Elf64_Phdr *)(const void *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);

    while (header->p_type != PT_GNU_RELRO)
        header++;
    *base = page_of((void *)(uintptr_t)header->p_vaddr);
    *len = page_of((void *)(uintptr_t)(header->p_vaddr + header->p_memsz)) - *base;
}

/* VM-10: it stays so, whichever part of it became so, and is no place for the host to write to. */
static void relro(void)
{
    uint64_t base, len;

    find_relro(&base, &len);
    is(page_of(relocated) >= base && page_of(relocated) < base + len, 1);
    relocated[0] = 2;
    is(protect(base, len, R | W), PERM);
    relocated[0] = 3;
    is(protect(page_of(relocated), HALO_PAGE, R), 0);
    is(protect(page_of(relocated), HALO_PAGE, R | W), PERM);
    is(protect(base, len, R | W), PERM);
    is(protect(base, len + HALO_PAGE, W), PERM);
    is(protect(base, len, R), 0);
    is(protect(base, len, 0), 0);
    is(protect(base, len, R), 0);
    is((int64_t)relocated[0], 3);
}

/* VM-11: lengths and protections that are none. */
static void odd(void)
{
    const uint64_t heap = halo_boot_page()->heap_base;

    is(protect(heap, 0, R), INVAL);
    is(protect(heap, 1, R), INVAL);
    is(protect(heap + 1, HALO_PAGE, R), INVAL);
    is(protect(heap, HALO_PAGE, 8), INVAL);
    is(protect(heap, HALO_PAGE, 1ull << 32), INVAL);
    is(protect(heap, HALO_PAGE, 0x01000000), INVAL); /* PROT_GROWSDOWN */
    is(protect(heap, 0xfffffffffffff000, R), NOMEM);
    is(protect(heap, 0ull - heap, R), NOMEM);
    is(protect(heap, 0x7ffffffffffff000, R), NOMEM);
    ((volatile unsigned char *)(uintptr_t)heap)[0] = 1;
}

/* VM-12: the call that the host lets pass is that of its own code's alone. */
static void own(void)
{
    const unsigned char *code = (const unsigned char *)(uintptr_t)halo_boot_page()->protect;
    const long numbers[] = {9, 11, 25, 28, 59, 231, 329}; /* mmap, munmap, mremap, ... */
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(10), "D"(page_of(data)), "S"(HALO_PAGE), "d"(R)
                     : "rcx", "r11", "memory");
    is(result, 1010);
    data[0] = 5;
    if (code[0] != 0xb8) /* it is no system call there */
        return;
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        __asm__ volatile("call *%[code]"
                         : "=a"(result)
                         : [code] "r"(code + 5), "a"(numbers[i]), "D"(page_of(data)),
                           "S"(HALO_PAGE), "d"(0)
                         : "rcx", "r11", "memory");
        is(result, numbers[i] + 1000);
    }
    data[0] = 6;
}

/* VM-13: it is in force at once, and taken back at once; a fault tells where it was. */
static void force(char which)
{
    const uint64_t heap = halo_boot_page()->heap_base;
    volatile uint64_t *word = (volatile uint64_t *)(uintptr_t)heap;

    for (int i = 0; i < 100; i++) {
        word[512 * i] = 1;
        is(protect(heap + 4096 * (uint64_t)i, HALO_PAGE, i % 2 ? R : 0), 0);
        is(protect(heap + 4096 * (uint64_t)i, HALO_PAGE, R | W), 0);
        word[512 * i] = 2;
    }
    is(protect(heap, HALO_PAGE, which == 'n' ? 0 : R), 0);
    if (which == 'w')
        word[1] = 1;
    if (which == 'n')
        (void)word[1];
    is((int64_t)word[0], 2);
}

int main(int argc, char **argv)
{
    const char which = argc > 1 ? argv[1][0] : 0;

    switch (which) {
    case 'e':
        elsewhere();
        break;
    case 'b':
        both();
        break;
    case 'r':
        relro();
        break;
    case 'R': /* write to it then */
        relro();
        relocated[0] = 4;
        break;
    case 'o':
        odd();
        break;
    case 'c':
        own();
        break;
    case 'f': /* for ever */
        for (;;)
            (void)protect(page_of(data), HALO_PAGE, R | W);
    case 't': /* its own text */
        (void)protect(page_of((void *)(uintptr_t)main), HALO_PAGE, 0);
        break;
    case 's': /* and stack */
        (void)protect(halo_boot_page()->stack_low, halo_boot_page()->stack_len, R);
        break;
    default:
        force(which);
    }
    return 7;
}
