/* Files in memory, for what programs keep while they run: their bytes, and what they are. */
#include "calls.h"
#include <string.h>

enum {
    O_ACCMODE_ = 3,
    O_CREAT_ = 0x40,
    O_EXCL_ = 0x80,
    O_TRUNC_ = 0x200,
    O_DIRECTORY_ = 0x10000,
    O_NOFOLLOW_ = 0x20000,
    O_TMPFILE_ = 0x400000,
    S_IFDIR_ = 0040000,
    S_IFREG_ = 0100000,
    S_IFLNK_ = 0120000,
    S_IFIFO_ = 0010000,
    S_IFCHR_ = 0020000,
    AT_SYMLINK_NOFOLLOW_ = 0x100,
    AT_EMPTY_PATH_ = 0x1000,
};

struct stat_ { /* struct stat of x86-64 */
    uint64_t dev, ino, nlink;
    uint32_t mode, uid, gid, pad;
    uint64_t rdev;
    int64_t size, block_size, blocks;
    int64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
    int64_t unused[3];
};

_Static_assert(sizeof(struct stat_) == 144, "struct stat of x86-64");

void linux_file_closed(struct linux_table *table, struct linux_file *file)
{
    file->opens--;
    linux_tree_let_go(table, file);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

int64_t linux_file_read(struct linux_file *file, int64_t offset, void *to, uint64_t len)
{
    if (file->is_directory)
        return -L_EISDIR;
    if (len == 0 || (uint64_t)offset >= file->len)
        return 0;
    if (len > file->len - (uint64_t)offset)
        len = file->len - (uint64_t)offset;
    memcpy(to, file->bytes + offset, len);
    return (int64_t)len;
}

static uint64_t whole_pages(uint64_t len)
{
    return (len + LINUX_PAGE - 1) / LINUX_PAGE * LINUX_PAGE;
}

/* Pages that are not needed any more can be had by all. */
static void shrink(struct linux_table *table, struct linux_file *file, uint64_t len)
{
    const uint64_t room = whole_pages(len), end = file->len < room ? file->len : room;

    if (room < file->room)
        linux_pages_give(table, file->bytes + room, file->room - room);
    file->room = room;
    if (room == 0)
        file->bytes = NULL;
    else
        memset(file->bytes + len, 0, end - len);
}

/* What is behind a file's end is zero. */
int64_t linux_file_resize(struct linux_table *table, struct linux_file *file, uint64_t len)
{
    uint64_t room = file->room ? file->room : LINUX_PAGE;
    unsigned char *bytes;

    if (len < file->len)
        shrink(table, file, len);
    if (len > file->room) {
        if (len > table->page_count * LINUX_PAGE)
            return -L_ENOSPC;
        while (room < len)
            room *= 2;
        bytes = linux_pages_take(table, room);
        if (!bytes) {
            room = whole_pages(len);
            bytes = linux_pages_take(table, room);
        }
        if (!bytes)
            return -L_ENOSPC;
        if (file->bytes) {
            memcpy(bytes, file->bytes, file->len);
            linux_pages_give(table, file->bytes, file->room);
        }
        file->bytes = bytes;
        file->room = room;
    }
    file->len = len;
    file->changed_ns = file->modified_ns = linux_now(table);
    return 0;
}

int64_t linux_file_write(struct linux_table *table, struct linux_file *file, int64_t offset,
                         const void *from, uint64_t len)
{
    uint64_t end;
    int64_t error;

    if (len == 0)
        return 0;
    if (__builtin_add_overflow((uint64_t)offset, len, &end) || (int64_t)end < 0)
        return -L_EFBIG;
    if (end > file->len) {
        error = linux_file_resize(table, file, end);
        if (error)
            return error;
    }
    memcpy(file->bytes + offset, from, len);
    file->changed_ns = file->modified_ns = linux_now(table);
    return (int64_t)len;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int64_t open_path(struct linux_table *table, const char *path, bool is_dir, uint32_t flags,
                         uint32_t mode)
{
    const enum linux_kind kind = linux_tree_device(path);
    struct linux_file *file = linux_tree_find(table, path);
    struct linux_open *open;
    int64_t number;

    if (kind != LINUX_FREE)
        return is_dir || (flags & O_DIRECTORY_) ? -L_ENOTDIR
                                                : linux_descriptor_make(table, kind, flags, &open);
    if ((flags & O_TMPFILE_) == O_TMPFILE_)
        return -L_ENOSYS;
    if (is_dir && (flags & O_CREAT_))
        return -L_EISDIR;
    if (file && (flags & O_CREAT_) && (flags & O_EXCL_))
        return -L_EEXIST;
    if (!file && !(flags & O_CREAT_))
        return -L_ENOENT;
    if (file && file->is_link)
        return flags & O_DIRECTORY_ ? -L_ENOTDIR : -L_ELOOP;
    if (file && file->is_directory && ((flags & O_ACCMODE_) || (flags & (O_CREAT_ | O_TRUNC_))))
        return -L_EISDIR;
    if (file && !file->is_directory && (is_dir || (flags & O_DIRECTORY_)))
        return -L_ENOTDIR;
    number = linux_descriptor_make(table, LINUX_FILE,
                                   flags & ~(uint32_t)(O_CREAT_ | O_EXCL_ | O_TRUNC_), &open);
    if (number < 0)
        return number;
    open->file = file ? file : linux_tree_make(table, path, mode, false);
    if (!open->file) {
        open->kind = LINUX_FREE;
        table->descriptors[number].open = NULL;
        return -L_ENOSPC;
    }
    open->file->opens++;
    if (file && (flags & O_TRUNC_) && (flags & O_ACCMODE_))
        (void)linux_file_resize(table, file, 0);
    return number;
}

int64_t linux_openat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const uint32_t flags = (uint32_t)args[2];
    const bool keeps = flags & (flags & O_CREAT_ ? O_EXCL_ | O_NOFOLLOW_ : O_NOFOLLOW_);
    const enum linux_last last = flags & O_CREAT_ ? (keeps ? LINUX_PARENT : LINUX_MAKE)
                                                  : (keeps ? LINUX_KEEP : LINUX_FOLLOW);
    const int64_t error = linux_tree_resolve_at(table, args, path, &is_dir, last);

    return error ? error : open_path(table, path, is_dir, flags, (uint32_t)args[3]);
}

int64_t linux_open_path(struct linux_table *table, const uint64_t *args)
{
    const uint64_t at[] = {(uint64_t)LINUX_AT_FDCWD, args[0], args[1], args[2]};

    return linux_openat(table, at);
}

/* --- What a file is --------------------------------------------------------------------------- */

/* Before 1970 the seconds are rounded down, and the rest is never negative. */
static void put_time(int64_t *seconds, int64_t *rest, int64_t ns)
{
    *seconds = ns / 1000000000 - (ns % 1000000000 < 0);
    *rest = ns - *seconds * 1000000000;
}

static int64_t give_stat(struct linux_table *table, uint64_t address, uint32_t mode,
                         const struct linux_file *file)
{
    struct stat_ stat = {.dev = 1,
                         .ino = 1,
                         .nlink = 1,
                         .mode = mode,
                         .uid = 1000,
                         .gid = 1000,
                         .block_size = (int64_t)LINUX_PAGE};

    if (file) {
        stat.ino = (uint64_t)(file - table->files) + 2;
        stat.nlink = file->links;
        if (file->is_directory && file->links > 0)
            stat.nlink = 2 + linux_tree_folders(table, file);
        stat.mode = file->mode | (file->is_directory ? S_IFDIR_
                                  : file->is_link    ? S_IFLNK_
                                                     : S_IFREG_);
        stat.size = (int64_t)file->len;
        stat.blocks = file->is_link ? 0 : (int64_t)((file->len + 511) / 512);
        put_time(&stat.atime, &stat.atime_ns, file->accessed_ns);
        put_time(&stat.mtime, &stat.mtime_ns, file->modified_ns);
        put_time(&stat.ctime, &stat.ctime_ns, file->changed_ns);
    }
    return linux_give(table, address, &stat, sizeof(stat));
}

int64_t linux_stat_give(struct linux_table *table, uint64_t address, const struct linux_open *open)
{
    if (open->kind == LINUX_FILE)
        return give_stat(table, address, 0, open->file);
    if (open->kind == LINUX_PIPE)
        return give_stat(table, address, S_IFIFO_ | 0600, NULL);
    return give_stat(table, address, (open->kind == LINUX_STREAM ? S_IFIFO_ : S_IFCHR_) | 0666,
                     NULL);
}

int64_t linux_fstat(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = linux_open_of(table, args[0]);

    return open ? linux_stat_give(table, args[1], open) : -L_EBADF;
}

static int64_t stat_path(struct linux_table *table, const char *path, bool is_dir, uint64_t address)
{
    const struct linux_file *file = linux_tree_find(table, path);

    if (linux_tree_device(path) != LINUX_FREE)
        return is_dir ? -L_ENOTDIR : give_stat(table, address, S_IFCHR_ | 0666, NULL);
    if (!file)
        return -L_ENOENT;
    if (is_dir && !file->is_directory)
        return -L_ENOTDIR;
    return give_stat(table, address, 0, file);
}

int64_t linux_newfstatat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    int64_t error;

    if ((args[3] & AT_EMPTY_PATH_) && linux_may_read(table, args[1], 1) &&
        *(const char *)(uintptr_t)args[1] == '\0')
        return linux_fstat(table, (const uint64_t[]){args[0], args[2]});
    error = linux_tree_resolve_at(table, args, path, &is_dir,
                                  args[3] & AT_SYMLINK_NOFOLLOW_ ? LINUX_KEEP : LINUX_FOLLOW);
    return error ? error : stat_path(table, path, is_dir, args[2]);
}

int64_t linux_stat(struct linux_table *table, const uint64_t *args)
{
    const uint64_t at[] = {(uint64_t)LINUX_AT_FDCWD, args[0], args[1], 0};

    return linux_newfstatat(table, at);
}

int64_t linux_lstat(struct linux_table *table, const uint64_t *args)
{
    const uint64_t at[] = {(uint64_t)LINUX_AT_FDCWD, args[0], args[1], AT_SYMLINK_NOFOLLOW_};

    return linux_newfstatat(table, at);
}

/* --- Length ----------------------------------------------------------------------------------- */

int64_t linux_ftruncate(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = linux_open_of(table, args[0]);

    if ((int64_t)args[1] < 0)
        return -L_EINVAL;
    if (!open)
        return -L_EBADF;
    if (open->kind != LINUX_FILE || open->file->is_directory || !(open->flags & O_ACCMODE_))
        return -L_EINVAL;
    return linux_file_resize(table, open->file, args[1]);
}

int64_t linux_truncate(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    struct linux_file *file;
    int64_t error;

    if ((int64_t)args[1] < 0)
        return -L_EINVAL;
    error = linux_tree_resolve(table, args[0], path, &is_dir, LINUX_FOLLOW);
    if (error)
        return error;
    file = linux_tree_find(table, path);
    if (!file)
        return -L_ENOENT;
    if (file->is_directory)
        return -L_EISDIR;
    return is_dir ? -L_ENOTDIR : linux_file_resize(table, file, args[1]);
}

int64_t linux_fsync(struct linux_table *table, const uint64_t *args)
{
    const struct linux_open *open = linux_open_of(table, args[0]);

    if (!open)
        return -L_EBADF;
    return open->kind == LINUX_FILE ? 0 : -L_EINVAL;
}
