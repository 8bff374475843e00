/*
 * Random system calls of the table, in two ways. In the first, any number with any arguments: what
 * is not the program's memory is never touched, for nothing else is there, and what it may not read
 * or write can be read and written by nobody. In the second, calls for
 * files: each is made of Linux, too, in a folder of its own, and both say the same.
 */
#define _GNU_SOURCE
#include "linux_host.h"
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 9u

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
    static const char *const names[FILES] = {"a",  "b",   "d", "d/c",  "d/../a",
                                             "b/", "d/e", "e", "d/c/f"};
    char name[64];

    (void)snprintf(native, room, "%s/%s", folder, names[which % FILES]);
    (void)snprintf(name, sizeof(name), "/tmp/%s", names[which % FILES]);
    memcpy((void *)(uintptr_t)memory, name, strlen(name) + 1);
    return memory;
}

struct both {
    int64_t ours;
    int theirs;
};

/* Times that are set, by name or by descriptor, are what stat says; what is left out stays. */
static void one_time_of_file(const struct both *fd, uint64_t name, const char *path,
                             uint64_t memory, uint8_t how)
{
    static const long rests[] = {0, 999999999, UTIME_OMIT, 1000000000, -1};
    const struct timespec times[2] = {{how * 1000 - 5000, rests[how % 5]},
                                      {how * 77777, rests[how / 5 % 5]}};
    const uint64_t ours = memory + 1024;
    struct stat st;
    int64_t result;

    memcpy((void *)(uintptr_t)ours, times, sizeof(times));
    if (how & 128) {
        same("futimens", call(SYS_utimensat, (uint64_t)fd->ours, 0, ours, how % 16 == 0),
             native(syscall(SYS_utimensat, fd->theirs, NULL, times, how % 16 == 0)));
        return;
    }
    result = call(SYS_utimensat, (uint64_t)AT_FDCWD, name, ours, how % 4 * 0x80u);
    same("utimensat", result,
         native(syscall(SYS_utimensat, AT_FDCWD, path, times, how % 4 * 0x80u)));
    if (result || (how & 2 ? lstat(path, &st) : stat(path, &st)) ||
        call(how & 2 ? SYS_lstat : SYS_stat, name, ours, 0, 0))
        return;
    for (int i = 0; i < 2; i++) {
        const struct timespec *theirs = i ? &st.st_mtim : &st.st_atim;

        if (times[i].tv_nsec == UTIME_OMIT)
            continue;
        same("st_time", *(int64_t *)(uintptr_t)(ours + 72 + 16 * (uint64_t)i), theirs->tv_sec);
        same("st_time_nsec", *(int64_t *)(uintptr_t)(ours + 80 + 16 * (uint64_t)i),
             theirs->tv_nsec);
    }
}

/* Links lead nowhere but beneath where they lie: never out of the folder, on Linux too. */
static void one_link_call(struct both *fd, uint64_t memory)
{
    static const char *const targets[] = {"a", "b",  "d", "d/c",  "e",
                                          "c", "e/", "f", "d//e", "d/c/f"};
    static const int flags[] = {O_RDWR | O_NOFOLLOW, O_RDONLY | O_NOFOLLOW | O_DIRECTORY,
                                O_RDWR | O_CREAT | O_NOFOLLOW, O_RDWR | O_CREAT};
    unsigned char theirs[64] = {0};
    char path[128], other[128];
    const uint64_t ours = memory + 1024, second = memory + 512;
    const uint64_t name = name_of(pick(), path, sizeof(path), memory);
    const uint8_t what = pick() % 7, how = pick();
    const char *target = targets[how % 10];
    struct stat st;
    int64_t result;

    memset((void *)(uintptr_t)ours, 0, sizeof(theirs));
    switch (what) {
    case 0:
    case 1:
        memcpy((void *)(uintptr_t)second, target, strlen(target) + 1);
        same("symlink", call(SYS_symlink, second, name, 0, 0), native(symlink(target, path)));
        break;
    case 2:
        (void)name_of(how, other, sizeof(other), second);
        result = native(linkat(AT_FDCWD, path, AT_FDCWD, other, how / 9 % 2 * AT_SYMLINK_FOLLOW));
        same("linkat",
             linux_call(&table, SYS_linkat,
                        (const uint64_t[6]){(uint64_t)AT_FDCWD, name, (uint64_t)AT_FDCWD, second,
                                            how / 9 % 2 * (uint64_t)AT_SYMLINK_FOLLOW}),
             result);
        break;
    case 3:
        same("readlink", call(SYS_readlink, name, ours, how % 64, 0),
             native(syscall(SYS_readlink, path, theirs, how % 64)));
        same("a link's text", memcmp((void *)(uintptr_t)ours, theirs, sizeof(theirs)), 0);
        break;
    case 4:
        result = call(SYS_lstat, name, ours, 0, 0);
        same("lstat", result, native(lstat(path, &st)));
        if (result == 0 && !S_ISDIR(st.st_mode)) {
            same("st_size", *(int64_t *)(uintptr_t)(ours + 48), st.st_size);
            same("st_mode", *(uint32_t *)(uintptr_t)(ours + 24), st.st_mode);
            same("st_nlink", *(int64_t *)(uintptr_t)(ours + 16), (int64_t)st.st_nlink);
        }
        break;
    case 5: {
        const int opened = open(path, flags[how % 4] | O_CLOEXEC, 0644);

        result = call(SYS_open, name, (uint64_t)(flags[how % 4] | O_CLOEXEC), 0644, 0);
        same("open", result < 0 ? result : 0, opened < 0 ? -errno : 0);
        if (opened >= 0) {
            same("close", call(SYS_close, (uint64_t)fd->ours, 0, 0, 0), native(close(fd->theirs)));
            *fd = (struct both){result, opened};
        }
        break;
    }
    default:
        same("faccessat2",
             call(SYS_faccessat2, (uint64_t)AT_FDCWD, name, how % 4 * 2, how / 4 % 4 * 0x100u),
             native(syscall(SYS_faccessat2, AT_FDCWD, path, how % 4 * 2, how / 4 % 4 * 0x100)));
    }
}

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
    const uint8_t what = pick() % 20;
    const uint64_t name = name_of(pick(), path, sizeof(path), memory);
    const uint64_t len = pick();
    const int64_t offset = (int64_t)pick() * 7;
    const int flag = flags[len % 8];
    struct stat st;

    switch (what) {
    case 0: {
        const int opened = open(path, flag | O_CLOEXEC, 0644);
        const int64_t result = call(SYS_open, name, (uint64_t)(flag | O_CLOEXEC), 0644, 0);

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
        same("rename", call(SYS_rename, name, second, 0, 0), native(rename(path, other)));
        break;
    case 12: {
        const int64_t result = call(SYS_stat, name, ours, 0, 0);

        same("stat", result, native(stat(path, &st)));
        if (result == 0 && !S_ISDIR(st.st_mode)) {
            same("st_size", *(int64_t *)(uintptr_t)(ours + 48), st.st_size);
            same("st_mode", *(uint32_t *)(uintptr_t)(ours + 24), st.st_mode);
            same("st_nlink", *(int64_t *)(uintptr_t)(ours + 16), (int64_t)st.st_nlink);
        }
        break;
    }
    case 13: {
        static const int commands[] = {F_GETFD, F_SETFD, F_SETFL, F_GETFL};
        const int command = commands[len % 4], argument = (int)(offset % 2) * O_APPEND;

        same("fcntl", call(SYS_fcntl, (uint64_t)fd->ours, (uint64_t)command, (uint64_t)argument, 0),
             native(syscall(SYS_fcntl, fd->theirs, command, argument)) &
                 ~(int64_t)(command == F_GETFL ? 0100000 /* O_LARGEFILE */ : 0));
        break;
    }
    case 14:
        same("chmod", call(SYS_chmod, name, len * 3 % 01000 | 0700, 0, 0),
             native(chmod(path, (mode_t)(len * 3 % 01000 | 0700))));
        break;
    case 15: {
        const uint64_t flags_at = len % 2 ? AT_REMOVEDIR : 0;

        same("unlinkat", call(SYS_unlinkat, (uint64_t)AT_FDCWD, name, flags_at, 0),
             native(unlinkat(AT_FDCWD, path, (int)flags_at)));
        break;
    }
    case 17:
        one_time_of_file(fd, name, path, memory, (uint8_t)len);
        break;
    case 18:
        (void)name_of(pick(), other, sizeof(other), second);
        same("renameat2",
             linux_call(
                 &table, SYS_renameat2,
                 (const uint64_t[6]){(uint64_t)AT_FDCWD, name, (uint64_t)AT_FDCWD, second, 1}),
             native(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 1)));
        break;
    case 19:
        same("fchownat",
             linux_call(&table, SYS_fchownat,
                        (const uint64_t[6]){(uint64_t)AT_FDCWD, name, UINT32_MAX, UINT32_MAX,
                                            len % 4 * 0x80u}),
             native(syscall(SYS_fchownat, AT_FDCWD, path, -1, -1, len % 4 * 0x80u)));
        break;
    default: {
        const int duplicate = fcntl(fd->theirs, F_DUPFD_CLOEXEC, 0);
        const int64_t result = call(SYS_fcntl, (uint64_t)fd->ours, F_DUPFD_CLOEXEC, 0, 0);

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

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    return place->level > 0 ? remove(path) : 0;
}

static void remove_all(void)
{
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
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
        fds[i].ours = call(SYS_open, memory, O_RDWR | O_CREAT | O_CLOEXEC, 0644, 0);
    }
    while (left > 0) {
        const uint8_t what = pick();

        if (what % 4 == 3)
            one_link_call(&fds[what / 4 % 3], memory);
        else
            one_file_call(&fds[what / 4 % 3], memory);
    }
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
