/*
 * The table of system calls and memory at other addresses than its own, beside the kernel's: the
 * same random calls on areas of the same size, one of this process, one of the table's. Results are
 * the same, and so is each page: whether it may be read and written, and what is there. The host's
 * part is made up here, as src/host/machine/paging.c has it: a unit of the arena, at both
 * addresses.
 */
#define _GNU_SOURCE
#include "../../src/guest/linux/linux.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#define ARENA_LEN (40 * LINUX_UNIT)
#define FAR_LEN (64 * LINUX_UNIT)
#define PAGES 200u /* of the area that is worked on */
#define ROUNDS 8000u

static unsigned char *arena, *far, *kernel;
static int arena_fd;
static struct linux_table table;
static struct linux_paging paging;
static uint64_t releases;
static uint32_t state = 1;

static uint32_t pick(uint32_t below)
{
    state = state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(state >> 8) * below >> 24);
}

static uint64_t address(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static void now(void *context, int64_t *monotonic_ns, int64_t *real_ns)
{
    (void)context;
    *monotonic_ns = *real_ns = 1;
}

static int64_t protect(void *context, uint64_t base, uint64_t len, int prot)
{
    (void)context;
    (void)base;
    (void)len;
    (void)prot;
    return 0;
}

static int64_t release(void *context, uint64_t base, uint64_t len)
{
    (void)context;
    assert_true(base >= address(far) && base + len <= address(far) + FAR_LEN);
    assert_int_equal(base % LINUX_PAGE + len % LINUX_PAGE, 0);
    assert_ptr_equal(mmap((void *)(uintptr_t)base, len, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0),
                     (void *)(uintptr_t)base);
    releases++;
    return 0;
}

static const struct linux_host host = {.now = now, .protect = protect, .release = release};

static const struct linux_area *area_of(uint64_t at)
{
    for (uint32_t i = 0; i < paging.area_count; i++) {
        if (at >= table.areas[i].base && at - table.areas[i].base < table.areas[i].len)
            return &table.areas[i];
    }
    return NULL;
}

/* A use of that byte where nothing is yet, as the host deals with it: false, there is no memory. */
static bool fill(uint64_t at)
{
    const struct linux_area *area = area_of(at);
    const uint64_t base = at / LINUX_UNIT * LINUX_UNIT;
    const uint32_t owner = (uint32_t)((base - address(far)) / LINUX_UNIT) + 1;
    const uint64_t low = area->base > base ? area->base : base;
    const uint64_t end = area->base + area->len;
    const uint64_t high = end < base + LINUX_UNIT ? end : base + LINUX_UNIT;
    uint64_t unit = paging.unit_count;

    for (uint64_t i = 0; i < paging.unit_count; i++) {
        const uint32_t has = table.units[i] & 0x3fffffff;

        if (has == owner || has == 0)
            unit = i;
        if (has == owner)
            break;
    }
    if (unit == paging.unit_count)
        return false;
    if ((table.units[unit] & 0x3fffffff) != owner) {
        if (table.units[unit] & LINUX_UNIT_USED)
            memset((void *)(uintptr_t)(paging.first + unit * LINUX_UNIT), 0, LINUX_UNIT);
        table.units[unit] = LINUX_UNIT_USED | owner;
    }
    assert_int_not_equal(
        mmap((void *)(uintptr_t)low, high - low, (int)area->prot, MAP_SHARED | MAP_FIXED, arena_fd,
             (off_t)(paging.first + unit * LINUX_UNIT + (low - base) - address(arena))),
        MAP_FAILED);
    return true;
}

/* A use, by the test and by the table itself, where the mapping is missing. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    const uint64_t at = address(info->si_addr);
    const struct linux_area *area = area_of(at);

    (void)signal;
    (void)context;
    if (!area || !(area->prot & PROT_READ) || !fill(at))
        abort();
}

static void begin(void)
{
    const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    uint64_t seed[4] = {1};

    assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);

    arena_fd = memfd_create("arena", 0);
    assert_int_equal(ftruncate(arena_fd, ARENA_LEN), 0);
    arena = mmap(NULL, ARENA_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, arena_fd, 0);
    far = mmap(NULL, FAR_LEN + LINUX_UNIT, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
               -1, 0);
    assert_true(arena != MAP_FAILED && far != MAP_FAILED);
    far += LINUX_UNIT - address(far) % LINUX_UNIT;
    linux_init(&table, &host, arena, ARENA_LEN, seed);
    linux_add_far(&table, &paging, address(far), FAR_LEN);
    assert_non_null(table.paging);
}

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return linux_call(&table, number, (const uint64_t[6]){a, b, c, d, (uint64_t)-1, 0});
}

/* What the kernel says of its own, as the table would. */
static int64_t said(long result)
{
    return result < 0 ? -errno : result;
}

/* Can that byte of this process be read, whatever is there? */
static bool can_read(const unsigned char *at, unsigned char *byte)
{
    const struct iovec to = {byte, 1}, from = {(void *)(uintptr_t)at, 1};

    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* The same of such addresses, to be read or written as it is. */
static bool can_use(uint64_t at, bool writes)
{
    const unsigned char *byte = (const unsigned char *)(uintptr_t)at;
    unsigned char value = 0;
    const struct iovec to = {(void *)(uintptr_t)at, 1}, from = {&value, 1};

    return writes ? process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1 : can_read(byte, &value);
}

/* Page by page: the same rights by what the table says, and the same bytes. */
static void compare(uint64_t at, unsigned round)
{
    for (uint32_t i = 0; i < PAGES; i++) {
        const uint64_t page = at + i * LINUX_PAGE, byte_at = pick(LINUX_PAGE);
        unsigned char byte = 0;
        const bool is_there = can_read(kernel + i * LINUX_PAGE + byte_at, &byte);

        if (linux_may_read(&table, page, LINUX_PAGE) != is_there)
            fail_msg("round %u, page %u: %d", round, i, is_there);
        /* What is forbidden is so for the processor, too. */
        if (area_of(page) && !is_there)
            assert_false(can_use(page, false));
        if (area_of(page) && !linux_may_write(&table, page, LINUX_PAGE))
            assert_false(can_use(page, true));
        if (!is_there)
            continue;
        if (*(volatile unsigned char *)(uintptr_t)(page + byte_at) != byte)
            fail_msg("round %u, page %u: %d, not %d", round, i,
                     *(volatile unsigned char *)(uintptr_t)(page + byte_at), byte);
    }
}

/* Both areas at once: what comes of it is the same. */
static void step(uint64_t at, unsigned round)
{
    static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
                                PROT_READ | PROT_WRITE};
    const uint32_t first = pick(PAGES), rest = PAGES - first;
    const uint32_t count = 1 + pick(pick(4) ? (rest < 20 ? rest : 20) : rest);
    const uint64_t base = at + first * LINUX_PAGE, len = count * LINUX_PAGE;
    unsigned char *mine = kernel + first * LINUX_PAGE;
    const int prot = prots[pick(4)];
    int64_t here = 0, there = 0;

    switch (pick(8)) {
    case 0:
        here = call(SYS_munmap, base, len, 0, 0);
        there = said(munmap(mine, len));
        break;
    case 1:
    case 2:
        here = call(SYS_mmap, base, len, (uint64_t)prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) ==
               (int64_t)base;
        there = mmap(mine, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == mine;
        break;
    case 3:
        if (linux_may_read(&table, base, 0) && call(SYS_madvise, base, len, MADV_NORMAL, 0))
            return; /* a hole: Linux does what comes before it */
        here = call(SYS_mprotect, base, len, (uint64_t)prot, 0);
        there = said(mprotect(mine, len, prot));
        break;
    case 4:
        if (call(SYS_madvise, base, len, MADV_NORMAL, 0))
            return;
        here = call(SYS_madvise, base, len, MADV_DONTNEED, 0);
        there = said(madvise(mine, len, MADV_DONTNEED));
        break;
    default: /* used */
        for (uint32_t i = 0; i < count; i++) {
            if (!linux_may_write(&table, base + i * LINUX_PAGE, LINUX_PAGE))
                continue;
            memset((void *)(uintptr_t)(base + i * LINUX_PAGE), (int)round, LINUX_PAGE);
            memset(mine + i * LINUX_PAGE, (int)round, LINUX_PAGE);
        }
    }
    if (here != there)
        fail_msg("round %u: %lld, and Linux says %lld", round, (long long)here, (long long)there);
}

static void random_calls_do_what_they_do_on_linux(void **unused)
{
    int64_t at;

    (void)unused;
    begin();
    kernel =
        mmap(NULL, PAGES * LINUX_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    at = call(SYS_mmap, 0, PAGES * LINUX_PAGE, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    assert_true(at >= (int64_t)address(far) && kernel != MAP_FAILED);
    for (unsigned round = 0; round < ROUNDS; round++) {
        step((uint64_t)at, round);
        if (round % 16 == 0)
            compare((uint64_t)at, round);
        if (round % 500 == 0) { /* somewhere else, with all that is in it */
            const int64_t before = at;

            assert_int_equal(call(SYS_mmap, (uint64_t)at, PAGES * LINUX_PAGE, 3,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
                             at);
            assert_ptr_equal(
                mmap(kernel, PAGES * LINUX_PAGE, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                kernel);
            for (uint32_t i = 0; i < PAGES; i += 3) {
                memset((void *)(uintptr_t)((uint64_t)at + i * LINUX_PAGE), (int)i, 100);
                memset(kernel + i * LINUX_PAGE, (int)i, 100);
            }
            assert_int_equal(call(SYS_mmap, (uint64_t)at + PAGES * LINUX_PAGE, LINUX_PAGE, 0,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
                             at + (int64_t)(PAGES * LINUX_PAGE)); /* it is in the way */
            at = call(SYS_mremap, (uint64_t)at, PAGES * LINUX_PAGE, (PAGES + 1) * LINUX_PAGE,
                      MREMAP_MAYMOVE);
            assert_true(at > 0 && at != before);
            assert_int_equal(
                call(SYS_munmap, (uint64_t)before + PAGES * LINUX_PAGE, LINUX_PAGE, 0, 0) +
                    call(SYS_munmap, (uint64_t)at + PAGES * LINUX_PAGE, LINUX_PAGE, 0, 0),
                0);
            compare((uint64_t)at, round);
        }
    }
    assert_true(releases > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_do_what_they_do_on_linux),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
