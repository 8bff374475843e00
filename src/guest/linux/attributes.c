/* What is said of a file in memory beside its bytes: rights, owner and times; and its file system.
 */
#include "calls.h"

enum {
    NOFOLLOW = 0x100,
    EMPTY_PATH = 0x1000,
    S_ISUID_ = 04000,
    S_ISGID_ = 02000,
    S_IXGRP_ = 010,
};

#define HERE ((uint64_t)LINUX_AT_FDCWD)
#define SECOND 1000000000

/* --- Of which file ---------------------------------------------------------------------------- */

/* The file of a directory's descriptor and a name; NULL without an error: a device. */
static int64_t find_at(struct linux_table *table, const uint64_t *args, enum linux_last last,
                       struct linux_file **file)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = linux_tree_resolve_at(table, args, path, &is_dir, last);

    *file = error ? NULL : linux_tree_find(table, path);
    if (error)
        return error;
    if (!*file && linux_tree_device(path) == LINUX_FREE)
        return -L_ENOENT;
    return is_dir && !(*file && (*file)->is_directory) ? -L_ENOTDIR : 0;
}

/* That of a descriptor; NULL without an error: it is no file. */
static int64_t find_open(struct linux_table *table, uint64_t number, struct linux_file **file)
{
    const struct linux_open *open = linux_open_of(table, number);

    *file = open && open->kind == LINUX_FILE ? open->file : NULL;
    return open ? 0 : -L_EBADF;
}

/* By name, or by descriptor alone where the name is empty and that is asked for. */
static int64_t find_flagged(struct linux_table *table, const uint64_t *args, uint32_t flags,
                            struct linux_file **file)
{
    if (flags & ~(uint32_t)(NOFOLLOW | EMPTY_PATH))
        return -L_EINVAL;
    if ((flags & EMPTY_PATH) && (int32_t)args[0] != LINUX_AT_FDCWD &&
        linux_may_read(table, args[1], 1) && *(const char *)(uintptr_t)args[1] == '\0')
        return find_open(table, args[0], file);
    return find_at(table, args, flags & NOFOLLOW ? LINUX_KEEP : LINUX_FOLLOW, file);
}

/* --- Rights and owner ------------------------------------------------------------------------- */

static int64_t set_mode(struct linux_table *table, int64_t error, struct linux_file *file,
                        uint64_t mode)
{
    if (error || !file)
        return error;
    file->mode = mode & 07777;
    file->changed_ns = linux_now(table);
    return 0;
}

int64_t linux_fchmodat(struct linux_table *table, const uint64_t *args)
{
    struct linux_file *file;
    const int64_t error = find_at(table, args, LINUX_FOLLOW, &file);

    return set_mode(table, error, file, args[2]);
}

int64_t linux_chmod(struct linux_table *table, const uint64_t *args)
{
    return linux_fchmodat(table, (const uint64_t[]){HERE, args[0], args[1]});
}

int64_t linux_fchmod(struct linux_table *table, const uint64_t *args)
{
    struct linux_file *file;
    const int64_t error = find_open(table, args[0], &file);

    return set_mode(table, error, file, args[1]);
}

/* There is one user and one group, to whom everything belongs. */
static int64_t set_owner(struct linux_table *table, int64_t error, struct linux_file *file,
                         const uint64_t ids[2])
{
    for (int i = 0; i < 2 && !error; i++) {
        if ((uint32_t)ids[i] != LINUX_UID && (uint32_t)ids[i] != UINT32_MAX)
            error = -L_EPERM;
    }
    if (error || !file)
        return error;
    if (!file->is_directory)
        file->mode &= ~(uint32_t)(S_ISUID_ | (file->mode & S_IXGRP_ ? S_ISGID_ : 0));
    file->changed_ns = linux_now(table);
    return 0;
}

int64_t linux_fchownat(struct linux_table *table, const uint64_t *args)
{
    struct linux_file *file = NULL;
    const int64_t error = find_flagged(table, args, (uint32_t)args[4], &file);

    return set_owner(table, error, file, args + 2);
}

int64_t linux_chown(struct linux_table *table, const uint64_t *args)
{
    return linux_fchownat(table, (const uint64_t[]){HERE, args[0], args[1], args[2], 0});
}

int64_t linux_lchown(struct linux_table *table, const uint64_t *args)
{
    return linux_fchownat(table, (const uint64_t[]){HERE, args[0], args[1], args[2], NOFOLLOW});
}

int64_t linux_fchown(struct linux_table *table, const uint64_t *args)
{
    struct linux_file *file;
    const int64_t error = find_open(table, args[0], &file);

    return set_owner(table, error, file, args + 1);
}

/* --- Times ------------------------------------------------------------------------------------ */

enum { ACCESSED, MODIFIED, TIME_NOW = 0x3fffffff, TIME_OMIT = 0x3ffffffe };

static void set_time(int64_t *ns, const int64_t time[2], int64_t now)
{
    const int64_t most = INT64_MAX / SECOND - 1;

    if (time[1] == TIME_OMIT)
        return;
    if (time[1] == TIME_NOW)
        *ns = now;
    else if (time[0] > most || time[0] < -most)
        *ns = (time[0] > 0 ? most : -most) * SECOND;
    else
        *ns = time[0] * SECOND + time[1];
}

static bool is_time(const int64_t time[2])
{
    return time[1] == TIME_OMIT || time[1] == TIME_NOW || (time[1] >= 0 && time[1] < SECOND);
}

int64_t linux_utimensat(struct linux_table *table, const uint64_t *args)
{
    int64_t times[2][2] = {{0, TIME_NOW}, {0, TIME_NOW}};
    const int64_t now = linux_now(table);
    struct linux_file *file = NULL;
    int64_t error;

    if (args[2] && linux_take(table, args[2], times, sizeof(times)))
        return -L_EFAULT;
    if (times[ACCESSED][1] == TIME_OMIT && times[MODIFIED][1] == TIME_OMIT)
        return 0;
    if (!args[1] && (int32_t)args[0] != LINUX_AT_FDCWD)
        error = (uint32_t)args[3] ? -L_EINVAL : find_open(table, args[0], &file);
    else
        error = find_flagged(table, args, (uint32_t)args[3], &file);
    if (!error && (!is_time(times[ACCESSED]) || !is_time(times[MODIFIED])))
        error = -L_EINVAL;
    if (error || !file)
        return error;
    set_time(&file->accessed_ns, times[ACCESSED], now);
    set_time(&file->modified_ns, times[MODIFIED], now);
    file->changed_ns = now;
    return 0;
}

/* --- The file system -------------------------------------------------------------------------- */

/* What is told of it: the memory that the program can have, and the files that there can be. */
static int64_t give_system(struct linux_table *table, uint64_t address)
{
    struct { /* struct statfs of x86-64 */
        uint64_t type, block, blocks, free, available, files, files_free;
        uint32_t id[2];
        uint64_t name_max, fragment, flags, spare[4];
    } system = {.type = 0x01021994, /* tmpfs */
                .block = LINUX_PAGE,
                .blocks = table->page_count,
                .files = LINUX_FILES,
                .name_max = LINUX_PATH_MAX - 1,
                .fragment = LINUX_PAGE};

    _Static_assert(sizeof(system) == 120, "struct statfs of x86-64");
    for (uint64_t i = 0; i < table->page_count; i++)
        system.free += table->pages[i] & 4 ? 0 : 1;
    system.available = system.free;
    for (uint32_t i = 0; i < LINUX_FILES; i++)
        system.files_free += table->files[i].is_used ? 0 : 1;
    return linux_give(table, address, &system, sizeof(system));
}

int64_t linux_statfs(struct linux_table *table, const uint64_t *args)
{
    struct linux_file *file;
    const int64_t error = find_at(table, (const uint64_t[]){HERE, args[0]}, LINUX_FOLLOW, &file);

    return error ? error : give_system(table, args[1]);
}

int64_t linux_fstatfs(struct linux_table *table, const uint64_t *args)
{
    struct linux_file *file;
    const int64_t error = find_open(table, args[0], &file);

    return error ? error : give_system(table, args[1]);
}
