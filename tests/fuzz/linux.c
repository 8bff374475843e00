/*
 * Random system calls of the table, in two ways. In the first, any number with any arguments: what
 * is not the program's memory is never touched, for nothing else is there, and what it may not read
 * or write can be read and written by nobody. In the second, calls for
 * files: each is made of Linux, too, in a folder of its own, and both say the same.
 */
#define _GNU_SOURCE
#include "../../src/guest/linux/linux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARENA_LEN (1u << 20)
#define SEGMENT_LEN (8 * LINUX_PAGE) /* of it, at its end: memory that the program has anyway */
#define FILES 6u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const uint8_t *at;
static size_t left;
static bool is_over;
static unsigned char *arena;
static struct linux_table table;

static uint8_t pick(void)
{
    if (left == 0)
        return 0;
    left--;
    return *at++;
}

/* --- The host --------------------------------------------------------------------------------- */

static int64_t read_stream(void *context, uint32_t handle, void *to, size_t len)
{
    (void)context;
    (void)handle;
    if (len > 100)
        len = 100;
    memset(to, 'r', len);
    return (int64_t)len;
}

static int64_t write_stream(void *context, uint32_t handle, const void *from, size_t len)
{
    volatile unsigned char sum = 0;

    (void)context;
    (void)handle;
    for (size_t i = 0; i < len; i++)
        sum = (unsigned char)(sum + ((const unsigned char *)from)[i]);
    return (int64_t)len;
}

static bool readable(void *context, uint32_t handle, int64_t wait_ns)
{
    (void)context;
    (void)handle;
    return wait_ns > 0;
}

static void now(void *context, int64_t *monotonic_ns, int64_t *real_ns)
{
    (void)context;
    *monotonic_ns = 1000000;
    *real_ns = 2000000000000000000;
}

static void sleep_(void *context, int64_t ns)
{
    (void)context;
    if (ns <= 0)
        abort();
}

static void set_fs(void *context, uint64_t base)
{
    (void)context;
    (void)base;
}

static void halt(void *context, int code)
{
    (void)context;
    if (code < 0 || code > 255)
        abort();
    is_over = true;
}

static int64_t protect(void *context, uint64_t base, uint64_t len, int prot)
{
    (void)context;
    if (prot & PROT_EXEC)
        return -EACCES;
    if (mprotect((void *)(uintptr_t)base, len, prot))
        abort();
    return 0;
}

static const struct linux_host host = {
    .protect = protect,
    .read = read_stream,
    .write = write_stream,
    .readable = readable,
    .now = now,
    .sleep = sleep_,
    .set_fs = set_fs,
    .halt = halt,
};

static void begin(void)
{
    uint64_t seed[4] = {1, 2, 3, 4};

    if (!arena) { /* with nothing before it and behind it */
        unsigned char *all =
            mmap(NULL, ARENA_LEN + 2 * LINUX_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        arena = all + LINUX_PAGE;
        if (all == MAP_FAILED || mprotect(arena, ARENA_LEN, PROT_READ | PROT_WRITE))
            abort();
    }
    if (mprotect(arena, ARENA_LEN, PROT_READ | PROT_WRITE))
        abort();
    memset(arena, 0, ARENA_LEN);
    is_over = false;
    linux_init(&table, &host, arena, ARENA_LEN - SEGMENT_LEN, seed);
    linux_add_range(&table, (uint64_t)(uintptr_t)arena + ARENA_LEN - SEGMENT_LEN, SEGMENT_LEN,
                    true);
}

static int64_t call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    return linux_call(&table, number, (const uint64_t[6]){a, b, c, d, 0, 0});
}

/* --- Any call --------------------------------------------------------------------------------- */

static uint64_t any_argument(void)
{
    const uint64_t base = (uint64_t)(uintptr_t)arena;
    const uint8_t how = pick();
    uint64_t value = 0;

    switch (how % 10) {
    case 0:
    case 1:
        return pick();
    case 2:
        return (uint64_t) - (int64_t)pick();
    case 3:
        return base + (uint64_t)pick() * LINUX_PAGE;
    case 4:
        return base + ARENA_LEN - pick();
    case 5:
        return base + (uint64_t)pick() * LINUX_PAGE + pick();
    case 6:
        return (uint64_t)pick() * LINUX_PAGE;
    case 7:
        return 1ull << (pick() % 64);
    case 8:
        return table.brk + pick() * 64u - 4096;
    default:
        for (int i = 0; i < 8; i++)
            value = value << 8 | pick();
        return value;
    }
}

static void any_calls(void)
{
    /* Memory to begin with, in which there is something. */
    const uint64_t map = (uint64_t)linux_call(
        &table, SYS_mmap, (const uint64_t[6]){0, 8 * LINUX_PAGE, 3, 0x22, (uint64_t)-1, 0});

    for (size_t i = 0; i < 8 * LINUX_PAGE && left > 0; i += 64)
        memcpy((void *)(uintptr_t)(map + i), i % 128 ? "/tmp/x\0y" : "/../tmp/.", 9);
    while (left > 0 && !is_over) {
        const uint64_t number = pick() + (pick() % 4) * 100u;
        uint64_t args[6];

        for (int i = 0; i < 6; i++)
            args[i] = any_argument();
        if (args[5] % 3 == 0)
            args[pick() % 4] = map + (uint64_t)(pick() * 16);
        (void)linux_call(&table, number, args);
    }
}

/* --- Files, beside Linux ---------------------------------------------------------------------- */

static char folder[64];

/* Names for both; the program's string lies in its own memory. */
static uint64_t name_of(uint8_t which, char *native, size_t room, uint64_t memory)
{
    static const char *const names[FILES] = {"a", "b", "d", "d/c", "d/../a", "b/"};
    char name[64];

    (void)snprintf(native, room, "%s/%s", folder, names[which % FILES]);
    (void)snprintf(name, sizeof(name), "/tmp/%s", names[which % FILES]);
    memcpy((void *)(uintptr_t)memory, name, strlen(name) + 1);
    return memory;
}

static int64_t native(long result)
{
    return result < 0 ? -errno : result;
}

static void same(const char *what, int64_t ours, int64_t theirs)
{
    if (ours == theirs)
        return;
    (void)fprintf(stderr, "ERROR: %s: the table says %lld, Linux %lld\n", what, (long long)ours,
                  (long long)theirs);
    abort();
}

struct both {
    int64_t ours;
    int theirs;
};

static void one_file_call(struct both *fd, uint64_t memory)
{
    static const int flags[] = {O_RDONLY,
                                O_WRONLY,
                                O_RDWR,
                                O_RDWR | O_CREAT,
                                O_RDWR | O_CREAT | O_EXCL,
                                O_WRONLY | O_CREAT | O_TRUNC,
                                O_RDWR | O_APPEND,
                                O_RDONLY | O_DIRECTORY};
    unsigned char theirs[256];
    char path[128], other[128];
    const uint64_t ours = memory + 1024, second = memory + 512;
    const uint8_t what = pick() % 14;
    const uint64_t name = name_of(pick(), path, sizeof(path), memory);
    const uint64_t len = pick();
    const int64_t offset = (int64_t)pick() * 7;
    const int flag = flags[len % 8];
    struct stat st;

    switch (what) {
    case 0: {
        const int opened = open(path, flag | O_CLOEXEC, 0644);
        const int64_t result = call(SYS_open, name, (uint64_t)flag, 0644, 0);

        same("open", result < 0 ? result : 0, opened < 0 ? -errno : 0);
        if (opened >= 0) {
            same("close", call(SYS_close, (uint64_t)fd->ours, 0, 0, 0), native(close(fd->theirs)));
            *fd = (struct both){result, opened};
        }
        break;
    }
    case 1:
        memset(theirs, (int)len, len);
        memset((void *)(uintptr_t)ours, (int)len, len);
        same("write", call(SYS_write, (uint64_t)fd->ours, ours, len, 0),
             native(write(fd->theirs, theirs, len)));
        break;
    case 2:
    case 3:
        memset(theirs, 0, sizeof(theirs));
        memset((void *)(uintptr_t)ours, 0, sizeof(theirs));
        if (what == 2)
            same("read", call(SYS_read, (uint64_t)fd->ours, ours, len, 0),
                 native(read(fd->theirs, theirs, len)));
        else
            same("pread", call(SYS_pread64, (uint64_t)fd->ours, ours, len, (uint64_t)offset),
                 native(pread(fd->theirs, theirs, len, offset)));
        same("the bytes of a read", memcmp((void *)(uintptr_t)ours, theirs, sizeof(theirs)), 0);
        break;
    case 4:
        memset(theirs, 1, len);
        memset((void *)(uintptr_t)ours, 1, len);
        same("pwrite", call(SYS_pwrite64, (uint64_t)fd->ours, ours, len, (uint64_t)offset),
             native(pwrite(fd->theirs, theirs, len, offset)));
        break;
    case 5:
        if (fstat(fd->theirs, &st) == 0 && S_ISDIR(st.st_mode))
            break; /* places in a directory are Linux's own */
        same("lseek", call(SYS_lseek, (uint64_t)fd->ours, (uint64_t)(offset - 300), len % 4, 0),
             len % 4 == 3 ? -EINVAL : native(lseek(fd->theirs, offset - 300, (int)(len % 4))));
        break;
    case 6:
        same("ftruncate", call(SYS_ftruncate, (uint64_t)fd->ours, (uint64_t)offset, 0, 0),
             native(ftruncate(fd->theirs, offset)));
        break;
    case 7:
        same("unlink", call(SYS_unlink, name, 0, 0, 0), native(unlink(path)));
        break;
    case 8:
        same("mkdir", call(SYS_mkdir, name, 0755, 0, 0), native(mkdir(path, 0755)));
        break;
    case 9:
        same("rmdir", call(SYS_rmdir, name, 0, 0, 0), native(rmdir(path)));
        break;
    case 10:
        same("access", call(SYS_access, name, len % 4 * 2, 0, 0),
             native(access(path, (int)(len % 4 * 2))));
        break;
    case 11:
        (void)name_of(pick(), other, sizeof(other), second);
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            break; /* a directory keeps its name here */
        if (strcmp(path + strlen(path) - 1, "/") == 0 || other[strlen(other) - 1] == '/')
            break;
        same("rename", call(SYS_rename, name, second, 0, 0), native(rename(path, other)));
        break;
    case 12: {
        const int64_t result = call(SYS_stat, name, ours, 0, 0);

        same("stat", result, native(stat(path, &st)));
        if (result == 0 && !S_ISDIR(st.st_mode)) {
            same("st_size", *(int64_t *)(uintptr_t)(ours + 48), st.st_size);
            same("st_mode", *(uint32_t *)(uintptr_t)(ours + 24), st.st_mode);
        }
        break;
    }
    default: {
        const int duplicate = fcntl(fd->theirs, F_DUPFD_CLOEXEC, 0);
        const int64_t result = call(SYS_dup, (uint64_t)fd->ours, 0, 0, 0);

        same("dup", result < 0 ? result : 0, duplicate < 0 ? -errno : 0);
        if (duplicate >= 0) {
            (void)call(SYS_close, (uint64_t)fd->ours, 0, 0, 0);
            (void)close(fd->theirs);
            *fd = (struct both){result, duplicate};
        }
        break;
    }
    }
}

static void remove_all(void)
{
    static const char *const names[] = {"d/c", "d", "a", "b"};
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        if (unlink(path) < 0)
            (void)rmdir(path);
    }
}

static void remove_folder(void)
{
    remove_all();
    (void)rmdir(folder);
}

static void file_calls(void)
{
    struct both fds[3];
    uint64_t memory;

    if (!folder[0]) {
        (void)snprintf(folder, sizeof(folder), "/tmp/halo-fuzz-XXXXXX");
        if (!mkdtemp(folder))
            abort();
        (void)umask(022);
        (void)atexit(remove_folder);
    }
    remove_all();
    memory = (uint64_t)linux_call(&table, SYS_mmap,
                                  (const uint64_t[6]){0, LINUX_PAGE, 3, 0x22, (uint64_t)-1, 0});
    for (int i = 0; i < 3; i++) {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/a", folder);
        fds[i].theirs = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        memcpy((void *)(uintptr_t)memory, "/tmp/a", 7);
        fds[i].ours = call(SYS_open, memory, O_RDWR | O_CREAT, 0644, 0);
    }
    while (left > 0)
        one_file_call(&fds[pick() % 3], memory);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i].theirs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    at = data;
    left = len;
    begin();
    if (pick() % 2)
        any_calls();
    else
        file_calls();
    return 0;
}
