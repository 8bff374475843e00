/*
 * The table of system calls and memory: what is the table's own cannot be reached by the program,
 * and what may not be read or written is EFAULT, never a fault.
 */
#define _GNU_SOURCE
#include "../../src/guest/linux/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define LEN (256 * LINUX_PAGE)

static unsigned char arena[LEN] __attribute__((aligned(4096)));
static unsigned char segment[8 * LINUX_PAGE] __attribute__((aligned(4096)));
static struct linux_table table;
static uint32_t unknown[LINUX_CALLS];
static uint32_t protect_count;
static int64_t refusal;

static int64_t write_stream(void *context, uint32_t handle, const void *from, size_t len)
{
    volatile unsigned char sum = 0;

    (void)context;
    (void)handle;
    for (size_t i = 0; i < len; i++)
        sum = (unsigned char)(sum + ((const unsigned char *)from)[i]);
    return (int64_t)len;
}

static void now(void *context, int64_t *monotonic_ns, int64_t *real_ns)
{
    (void)context;
    *monotonic_ns = *real_ns = 1;
}

static int64_t protect(void *context, uint64_t base, uint64_t len, int prot)
{
    (void)context;
    protect_count++;
    if (!refusal)
        assert_int_equal(mprotect((void *)(uintptr_t)base, len, prot), 0);
    return refusal;
}

static const struct linux_host host = {.write = write_stream, .now = now, .protect = protect};

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return linux_call(&table, number, (const uint64_t[6]){a, b, c, d, (uint64_t)-1, 0});
}

static uint64_t address(const void *at)
{
    return (uint64_t)(uintptr_t)at;
}

static int begin(void **state)
{
    uint64_t seed[4] = {1};

    (void)state;
    (void)mprotect(arena, LEN, PROT_READ | PROT_WRITE);
    (void)mprotect(segment, sizeof(segment), PROT_READ | PROT_WRITE);
    memset(arena, 0, LEN);
    protect_count = 0;
    refusal = 0;
    linux_init(&table, &host, arena, LEN, seed);
    table.unknown = unknown;
    linux_add_range(&table, address(segment), sizeof(segment), true);
    return 0;
}

static uint64_t map(uint64_t len, int prot)
{
    return (uint64_t)call(SYS_mmap, 0, len, (uint64_t)prot, MAP_PRIVATE | MAP_ANONYMOUS);
}

/* A file of two pages, whose bytes are the table's own: where they are. */
static uint64_t make_file(int64_t *file)
{
    static const char path[] = "/tmp/file";

    memcpy(segment, path, sizeof(path));
    *file = call(SYS_open, address(segment), O_RDWR | O_CREAT, 0600, 0);
    assert_true(*file >= 0);
    memset(segment, 'f', sizeof(segment));
    assert_int_equal(call(SYS_write, (uint64_t)*file, address(segment), 8192, 0), 8192);
    return address(table.files[3].bytes);
}

static void the_bytes_of_a_file_are_not_the_programs(void **state)
{
    const uint64_t base = table.base, len = table.page_count * LINUX_PAGE;
    int64_t file;
    const uint64_t bytes = make_file(&file);

    (void)state;
    assert_in_range(bytes, base, base + len - 8192);
    assert_int_equal(call(SYS_write, 1, bytes, 1, 0), -EFAULT);
    assert_int_equal(call(SYS_getcwd, bytes, 4096, 0, 0), -EFAULT);
    assert_int_equal(call(SYS_mprotect, bytes, 4096, PROT_NONE, 0), -ENOMEM);
    assert_int_equal(call(SYS_madvise, bytes, 4096, MADV_DONTNEED, 0), -ENOMEM);
    assert_int_equal(call(SYS_mremap, bytes, 4096, 8192, MREMAP_MAYMOVE), -EFAULT);
    assert_int_equal(call(SYS_mmap, bytes, 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
                     -ENOMEM);
    assert_int_equal(call(SYS_munmap, base, len, 0, 0), 0);
    assert_int_equal(call(SYS_brk, base + len, 0, 0, 0), base); /* over it */
    assert_int_equal(call(SYS_lseek, (uint64_t)file, 0, SEEK_SET, 0), 0);
    memset(segment, 0, sizeof(segment));
    assert_int_equal(call(SYS_read, (uint64_t)file, address(segment), 8192, 0), 8192);
    assert_int_equal(segment[0], 'f');
    assert_int_equal(segment[8191], 'f');
}

/* A file's pages go back to everybody when nobody has it any more. */
static void a_file_that_is_gone_gives_its_memory_back(void **state)
{
    static const char path[] = "/tmp/file";
    const uint64_t all = table.page_count * LINUX_PAGE;
    int64_t file;

    (void)state;
    (void)make_file(&file);
    assert_int_equal((int64_t)map(all, PROT_READ | PROT_WRITE), -ENOMEM);
    memcpy(segment, path, sizeof(path));
    assert_int_equal(call(SYS_unlink, address(segment), 0, 0, 0), 0);
    assert_int_equal(call(SYS_close, (uint64_t)file, 0, 0, 0), 0);
    assert_int_equal(map(all, PROT_READ | PROT_WRITE), table.base);
    assert_int_equal(*(const unsigned char *)(uintptr_t)(table.base + all - 8192), 0);
}

/* And those that are cut off, at once; what comes there later is zero. */
static void what_is_cut_off_a_file_goes_back(void **state)
{
    const uint64_t rest = (table.page_count - 1) * LINUX_PAGE;
    int64_t file;
    uint64_t at;

    (void)state;
    (void)make_file(&file);
    assert_int_equal((int64_t)map(rest, PROT_READ | PROT_WRITE), -ENOMEM);
    assert_int_equal(call(SYS_ftruncate, (uint64_t)file, 100, 0, 0), 0);
    at = map(rest - 2 * LINUX_PAGE, PROT_READ | PROT_WRITE);
    assert_true((int64_t)at > 0);
    assert_int_equal(call(SYS_munmap, at, rest - 2 * LINUX_PAGE, 0, 0), 0);
    assert_int_equal(call(SYS_ftruncate, (uint64_t)file, 5000, 0, 0), 0);
    memset(segment, 1, sizeof(segment));
    assert_int_equal(call(SYS_pread64, (uint64_t)file, address(segment), 5000, 0), 5000);
    assert_int_equal(segment[99], 'f');
    assert_int_equal(segment[100], 0);
    assert_int_equal(segment[4999], 0);
    assert_int_equal(call(SYS_ftruncate, (uint64_t)file, 0, 0, 0), 0);
    assert_int_equal(map(rest + LINUX_PAGE, PROT_READ | PROT_WRITE), table.base);
    assert_int_equal(call(SYS_ftruncate, (uint64_t)file, 1, 0, 0), -ENOSPC);
}

static void protections_are_the_hosts_and_pointers_follow_them(void **state)
{
    const uint64_t at = map(4 * LINUX_PAGE, PROT_READ | PROT_WRITE);

    (void)state;
    assert_int_equal(protect_count, 0);
    assert_int_equal(call(SYS_mprotect, at + LINUX_PAGE, LINUX_PAGE, PROT_READ, 0), 0);
    assert_int_equal(protect_count, 1);
    assert_int_equal(call(SYS_getcwd, at + LINUX_PAGE, 100, 0, 0), -EFAULT);
    assert_int_equal(call(SYS_write, 1, at, 4 * LINUX_PAGE, 0), 4 * LINUX_PAGE);
    assert_int_equal(call(SYS_mprotect, at + LINUX_PAGE, LINUX_PAGE, PROT_NONE, 0), 0);
    assert_int_equal(call(SYS_write, 1, at + LINUX_PAGE, 1, 0), -EFAULT);
    assert_int_equal(call(SYS_mprotect, at, LINUX_PAGE, PROT_READ | PROT_EXEC, 0), -EACCES);
    assert_int_equal(call(SYS_munmap, at, 4 * LINUX_PAGE, 0, 0), 0);
    assert_int_equal(protect_count, 3); /* all pages that were not plain, at once */
    ((volatile unsigned char *)(uintptr_t)at)[LINUX_PAGE] = 1;
}

static void a_segment_is_cut_where_its_protection_changes(void **state)
{
    const uint64_t at = address(segment);

    (void)state;
    assert_int_equal(call(SYS_mprotect, at + 2 * LINUX_PAGE, 2 * LINUX_PAGE, PROT_READ, 0), 0);
    assert_int_equal(table.range_count, 3);
    assert_int_equal(call(SYS_getcwd, at, 100, 0, 0), 2);
    assert_int_equal(call(SYS_getcwd, at + 2 * LINUX_PAGE, 100, 0, 0), -EFAULT);
    assert_int_equal(call(SYS_getcwd, at + 4 * LINUX_PAGE, 100, 0, 0), 2);
    assert_int_equal(call(SYS_write, 1, at, sizeof(segment), 0), sizeof(segment));
    assert_int_equal(call(SYS_mprotect, at, sizeof(segment), PROT_READ | PROT_WRITE, 0), 0);
    assert_int_equal(call(SYS_getcwd, at + 2 * LINUX_PAGE, 100, 0, 0), 2);
    assert_int_equal(call(SYS_mprotect, at, sizeof(segment) + LINUX_PAGE, PROT_READ, 0), -ENOMEM);
}

static void what_the_host_refuses_changes_nothing(void **state)
{
    const uint64_t at = map(LINUX_PAGE, PROT_READ | PROT_WRITE);

    (void)state;
    refusal = -EACCES;
    assert_int_equal(call(SYS_mprotect, at, LINUX_PAGE, PROT_READ, 0), -EACCES);
    assert_int_equal(call(SYS_getcwd, at, 100, 0, 0), 2);
    assert_int_equal(call(SYS_mprotect, address(segment), LINUX_PAGE, PROT_READ, 0), -EACCES);
    assert_int_equal(call(SYS_getcwd, address(segment), 100, 0, 0), 2);
    assert_int_equal((int64_t)map(LINUX_PAGE, PROT_READ), -ENOMEM);
}

static void no_program_can_have_the_list_of_segments_overflow(void **state)
{
    const uint64_t at = address(segment);

    (void)state;
    while (table.range_count < LINUX_RANGES_MAX)
        linux_add_range(&table, 1ull << 40, LINUX_PAGE, true);
    assert_int_equal(call(SYS_mprotect, at + LINUX_PAGE, LINUX_PAGE, PROT_READ, 0), -ENOMEM);
    assert_int_equal(protect_count, 0);
    assert_int_equal(call(SYS_mprotect, at, sizeof(segment), PROT_READ, 0), 0);
}

static void what_nobody_answers_is_counted(void **state)
{
    (void)state;
    memset(unknown, 0, sizeof(unknown));
    assert_int_equal(call(SYS_fork, 0, 0, 0, 0), -ENOSYS);
    assert_int_equal(call(511, 0, 0, 0, 0), -ENOSYS);
    assert_int_equal(call(512, 0, 0, 0, 0), -ENOSYS);
    assert_int_equal(call(UINT64_MAX, 0, 0, 0, 0), -ENOSYS);
    assert_int_equal(unknown[SYS_fork], 1);
    assert_int_equal(unknown[511], 1);
    table.unknown = NULL;
    assert_int_equal(call(SYS_fork, 0, 0, 0, 0), -ENOSYS);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_bytes_of_a_file_are_not_the_programs),
        TEST(a_file_that_is_gone_gives_its_memory_back),
        TEST(what_is_cut_off_a_file_goes_back),
        TEST(protections_are_the_hosts_and_pointers_follow_them),
        TEST(a_segment_is_cut_where_its_protection_changes),
        TEST(what_the_host_refuses_changes_nothing),
        TEST(no_program_can_have_the_list_of_segments_overflow),
        TEST(what_nobody_answers_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
