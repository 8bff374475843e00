/*
 * The guest of tests/fuzz/kvm.c, without a library: it runs a program of bytes, each of which does
 * something that a guest may do to its host. A program that comes to its end, or to a 0, halts with
 * exit code 42.
 */
#include <halo/abi.h>
#include "program.h"

__asm__(".section .note.halo, \"a\", @note\n"
        "    .balign 4\n"
        "    .long 5, 4, 1\n"
        "    .asciz \"Halo\"\n"
        "    .balign 4\n"
        "    .long 3\n"
        ".text\n"
        ".globl _start\n"
        "_start:\n"
        "    call run\n"
        "    ud2\n");

_Static_assert(HALO_ABI_VERSION == 3 && HALO_NOTE_ABI == 1, "the note above");

static struct {
    uint64_t mark;
    unsigned char bytes[PROGRAM_MAX];
} program = {PROGRAM_MARK, {0}};

static unsigned at, loops, slots[2], avail[2] = {1, 1};
static const struct halo_boot *boot;

__attribute__((noreturn)) void run(const struct halo_boot *page);

static unsigned take(void)
{
    return at < PROGRAM_MAX ? ((volatile unsigned char *)program.bytes)[at++] : 0;
}

static void ring(uint64_t op, uint64_t a, uint64_t b)
{
    ((void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)boot->doorbell)(op, a, b);
}

/* Addresses and numbers that mean something to somebody, and some that mean nothing. */
static uint64_t value(void)
{
    const unsigned how = take(), more = take();
    uint64_t all = 0;

    switch (how % 16) {
    case 0:
        return more;
    case 1:
        return 0 - (uint64_t)more;
    case 2:
        return boot->pool_base + more * 64;
    case 3:
        return boot->pool_base + boot->pool_len - more;
    case 4:
        return boot->queue[more & 1].desc + (more >> 1) * 8;
    case 5:
        return more & 1 ? boot->queue[more >> 1 & 1].driver_event
                        : boot->queue[more >> 1 & 1].device_event;
    case 6:
        return boot->save + more * 16;
    case 7:
        return boot->doorbell / HALO_PAGE * HALO_PAGE + more * 4;
    case 8:
        return (uint64_t)(uintptr_t)boot + more * 8;
    case 9:
        return 1ull << more % 64;
    case 10:
        return (uint64_t)(uintptr_t)&program + more;
    case 11:
        return 0x60000000ull + more * 1024; /* the system's pages */
    case 12:
        return boot->stack_low + more * 4096;
    case 13:
        return HALO_RAM_BASE + boot->ram_len - HALO_PAGE + more * 32;
    case 14:
        return more << 8 | take();
    default:
        for (int i = 0; i < 8; i++)
            all = all << 8 | take();
        return all;
    }
}

static void port(void)
{
    const unsigned number = take() % 4 ? 0xe0 + take() % 4 : value() & 0xffff;
    const uint64_t rdi = value(), rsi = value(), rdx = value();
    uint64_t out;

    __asm__ volatile("mov %4, %%rdx\n\tout %%al, %%dx"
                     : "=&d"(out)
                     : "a"(take()), "D"(rdi), "S"(rsi), "r"((uint64_t)number), "b"(rdx)
                     : "memory");
    (void)out;
}

/* A descriptor behind the last one, as a driver would write it, or nearly so. */
static void describe(unsigned queue, uint64_t address, uint32_t len, unsigned flags)
{
    volatile uint64_t *slot =
        (uint64_t *)(uintptr_t)(boot->queue[queue].desc + 16ull * slots[queue]);
    const uint64_t bits = avail[queue] ? 1u << 7 : 1u << 15;

    slot[0] = address;
    __asm__ volatile("" : : : "memory");
    slot[1] = len | (uint64_t)slots[queue] << 32 | (bits | flags) << 48;
    slots[queue]++;
    if (slots[queue] >= boot->queue[queue].size) {
        slots[queue] = 0;
        avail[queue] = !avail[queue];
    }
}

/* A message of a kind that there may be, and room for its answer. */
static void message(void)
{
    const unsigned kind = take(), len = take() % 64, room = take();
    volatile unsigned char *to =
        (volatile unsigned char *)(uintptr_t)(boot->pool_base + 512ull * (slots[0] % 64));

    to[0] = (unsigned char)(kind % 32);
    to[1] = 0;
    to[2] = (unsigned char)slots[0];
    to[3] = 0;
    for (unsigned i = 0; i < 4; i++)
        to[4 + i] = (unsigned char)(i ? 0 : len);
    for (unsigned i = 0; i < len; i++)
        to[8 + i] = (unsigned char)take();
    describe(0, (uint64_t)(uintptr_t)to, 8 + len, room ? 1 : 0);
    if (room)
        describe(0, (uint64_t)(uintptr_t)to + 256, room, 2);
}

static void strange(unsigned which)
{
    switch (which % 8) {
    case 0:
        __asm__ volatile("ud2");
        break;
    case 1:
        __asm__ volatile("int3");
        break;
    case 2:
        __asm__ volatile("hlt");
        break;
    case 3:
        __asm__ volatile("rdmsr" : : "c"((uint32_t)value()) : "rax", "rdx");
        break;
    case 4:
        __asm__ volatile("cpuid" : : "a"((uint32_t)value()), "c"(0) : "rbx", "rdx");
        break;
    case 5:
        __asm__ volatile("syscall" : : "a"(value()), "D"(value()) : "rcx", "r11", "memory");
        break;
    case 6:
        __asm__ volatile("mov %0, %%rsp\n\tpush %%rax" : : "r"(value()) : "memory");
        break;
    default:
        for (;;)
            __asm__ volatile("pause");
    }
}

static void step(unsigned op)
{
    const unsigned queue = op >> 4 & 1;

    switch (op & 15) {
    case 1:
        *(volatile uint64_t *)(uintptr_t)(boot->queue[queue].desc + 8ull * take()) = value();
        break;
    case 2:
        describe(queue, value(), (uint32_t)value(), take());
        break;
    case 3:
    case 4:
    case 5:
        message();
        break;
    case 6:
        ring(1, queue, 0);
        break;
    case 7:
        ring(2, queue, value());
        break;
    case 8:
        ring(value(), value(), value());
        break;
    case 9:
        port();
        break;
    case 10:
        (void)*(volatile uint64_t *)(uintptr_t)value();
        break;
    case 11:
        *(volatile uint64_t *)(uintptr_t)value() = value();
        break;
    case 12:
        ((void (*)(void))(uintptr_t)value())();
        break;
    case 13:
        at = loops++ < 300 ? at - (take() % 32 < at ? at % 32 : 0) : at;
        break;
    case 14:
        strange(take());
        break;
    default: /* a buffer for the host's calls, and answers to them */
        describe(1, boot->pool_base + 65536 + 1024ull * (slots[1] % 16), 512 + take(), 2);
    }
}

void run(const struct halo_boot *page)
{
    unsigned op;

    boot = page;
    while ((op = take()) != 0)
        step(op);
    ring(3, 42, 0);
    for (;;)
        continue;
}
