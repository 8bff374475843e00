/*
 * A guest of more than 16 MiB of memory, tests/guests/large.c, and what its memory has, for the
 * tests of restores that pass over pages.
 */
#ifndef HALO_TESTS_CALLS_LARGE_BOX_H
#define HALO_TESTS_CALLS_LARGE_BOX_H

#include "../host/guest_process.h"
#include "ways.h"
#include <halo/snapshot.h>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATIENCE 120000000000ll
#define LEN (24ull << 20)
#define PAGES 3000u /* that its guest has */
#define ROUNDS 6u

static struct halo_sandbox *box, *other;
static struct halo_snapshot *snapshot, *second;
static struct halo_future future;
static unsigned char *before, *after;

static inline int end(void **state)
{
    (void)state;
    halo_future_free(&future);
    halo_close(box);
    halo_close(other);
    halo_snapshot_free(snapshot);
    halo_snapshot_free(second);
    free(before);
    free(after);
    box = other = NULL;
    snapshot = second = NULL;
    before = after = NULL;
    return 0;
}

/* --- What memory has -------------------------------------------------------------------------- */

/* A descriptor of this program's of the file with that number. */
static inline int file_of(unsigned long number)
{
    struct stat st;

    for (int fd = 3; fd < 256; fd++) {
        if (fstat(fd, &st) == 0 && st.st_ino == number)
            return fd;
    }
    fail_msg("a mapping's file is not open");
    return -1;
}

/*
 * Memory of the sandbox that is mapped as number `which`, from 0, as it is seen there: of its own
 * file, and, in a clone, of the image's. By the file where that is shared: reading what is not
 * there would make it be.
 */
static inline void read_memory(unsigned char *bytes, uint32_t which, size_t len)
{
    FILE *const maps = fopen("/proc/self/maps", "re");
    unsigned long long from, to, offset, end_of_last = 0;
    unsigned long number;
    char line[300], prot[5], name[100];
    size_t have = 0;
    bool is_own = false;

    assert_non_null(maps);
    while (have < len && fgets(line, sizeof(line), maps)) {
        name[0] = '\0';
        if (sscanf(line, "%llx-%llx %4s %llx %*s %lu %99s", &from, &to, prot, &offset, &number,
                   name) < 5 ||
            strncmp(name, "/memfd:halo-", 12) != 0 || prot[1] != 'w')
            continue;
        if (offset == 0)
            have = 0;
        else if (offset != have || from != end_of_last)
            continue;
        is_own = (offset == 0 ? false : is_own) || strncmp(name + 12, "ram", 3) == 0;
        end_of_last = to;
        if (have + (to - from) > len)
            continue;
        if (prot[3] == 's')
            assert_int_equal(pread(file_of(number), bytes + have, to - from, (off_t)offset),
                             to - from);
        else
            memcpy(bytes + have, (const void *)(uintptr_t)from, to - from);
        have += to - from;
        if (have == len && is_own && which-- > 0)
            have = 0;
    }
    (void)fclose(maps);
    assert_int_equal(have, len);
}

static inline unsigned char *memory(uint32_t which, size_t len)
{
    unsigned char *const bytes = calloc(1, len);

    assert_non_null(bytes);
    read_memory(bytes, which, len);
    return bytes;
}

/* But for boot page and doorbell, which are each run's own. */
static inline void same(size_t len)
{
    if (!after)
        after = memory(0, len);
    else
        read_memory(after, 0, len);
    for (size_t page = 0; page < len / HALO_PAGE - 2; page++) {
        if (memcmp(before + page * HALO_PAGE, after + page * HALO_PAGE, HALO_PAGE) != 0)
            fail_msg("page %u is not as it was", (unsigned)page);
    }
}

/* Whether this kernel lets this program know. */
static inline bool is_tracked(void)
{
    const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | 1);
    struct uffdio_api api = {.api = UFFD_API, .features = 1ull << 12 | 1ull << 13 | 1ull << 15};
    const bool can = fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0;

    if (fd >= 0)
        close(fd);
    return can && atoi(process_line(getpid(), "status", "Seccomp:")) == 0;
}

/* --- Its guest -------------------------------------------------------------------------------- */

static inline void text(struct halo_call *call, const struct halo_value *args, void *context)
{
    char *const letters = malloc(args[0].u32 + 1u);

    (void)context;
    memset(letters, 'x', args[0].u32);
    letters[args[0].u32] = '\0';
    (void)halo_return(call, halo_str(letters));
    free(letters);
}

static const struct halo_signature text_type = HALO_FN(HALO_STR, HALO_U32);
static const struct halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);

static inline void twice(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    (void)halo_return(call, halo_i64(2 * args[0].i64));
}

static inline int function(struct halo_sandbox *of, const char *name)
{
    const int number = way_function(of, name);

    if (number == 0)
        fail_msg("%s is not exported", name);
    return number;
}

static inline void start(const char *name, const struct halo_value *args, size_t count)
{
    halo_future_free(&future);
    (void)halo_call_start(box, &future, function(box, name), args, count);
}

static inline struct halo_value call(const char *name, const struct halo_value *args, size_t count)
{
    start(name, args, count);
    if (halo_wait(&future, PATIENCE))
        fail_msg("%s: %s", name, halo_errmsg(box));
    return future.result;
}

static inline struct halo_value call2(const char *name, uint32_t first, uint32_t then)
{
    const struct halo_value args[] = {halo_u32(first), halo_u32(then)};

    return call(name, args, 2);
}

static inline struct halo_value call1(const char *name, uint32_t value)
{
    return call(name, &(struct halo_value){.type = HALO_U32, .u32 = value}, 1);
}

static inline void stamp(uint32_t seed, uint32_t count)
{
    (void)call2("stamp", seed, count);
}

static inline void take(struct halo_snapshot **to)
{
    /* One with a thread of its own may be on its way to where it waits. */
    if (halo_run_to_wait(box, PATIENCE) < 0 || halo_snapshot(box, to))
        fail_msg("%s", halo_errmsg(box));
}

static inline void restore(const struct halo_snapshot *from)
{
    if (halo_restore(box, from))
        fail_msg("%s", halo_errmsg(box));
}

/* Restores, after which whatever was not written is known and protected. */
static inline void settle(void)
{
    restore(snapshot);
    restore(snapshot);
}

static inline void open_box(void **state, const char *path, const char *mode, uint64_t len)
{
    const char *const args[] = {"guest", mode};
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = mode ? 2 : 1;
    options.ram_len = len;
    if (halo_open(&box, path, &options))
        fail_msg("%s", halo_errmsg(box));
}

static inline void serve(void)
{
    if (halo_serve_begin(box, PATIENCE))
        fail_msg("%s", halo_errmsg(box));
}

static inline void open_large(void **state, const char *mode, uint64_t len, uint32_t pages)
{
    open_box(state, LARGE, mode, len);
    assert_int_equal(halo_provide(box, "host.text", &text_type, text, NULL), 0);
    if (mode)
        assert_int_equal(halo_offer(box, "in", halo_end_host(), HALO_IN, NULL), 0);
    serve();
    (void)call1("touch", pages);
    take(&snapshot);
    before = memory(0, len);
    settle();
    same(len);
}

static inline uint64_t compared(void)
{
    struct halo_stats stats;

    halo_stats(box, &stats);
    return stats.compared_pages;
}

#endif
