/*
 * Files in memory, for what programs keep while they run: /tmp and whatever they make. One flat
 * list of names; a directory is a name with others beneath it.
 */
#include "calls.h"
#include <string.h>

enum {
    O_ACCMODE_ = 3,
    O_CREAT_ = 0x40,
    O_EXCL_ = 0x80,
    O_TRUNC_ = 0x200,
    O_DIRECTORY_ = 0x10000,
    O_TMPFILE_ = 0x400000,
    S_IFDIR_ = 0040000,
    S_IFREG_ = 0100000,
    S_IFIFO_ = 0010000,
    S_IFCHR_ = 0020000,
    AT_REMOVEDIR_ = 0x200,
    AT_EMPTY_PATH_ = 0x1000,
    NAME_MAX_ = 255,
};

#define AT_FDCWD_ (-100)

struct stat_ { /* struct stat of x86-64 */
    uint64_t dev, ino, nlink;
    uint32_t mode, uid, gid, pad;
    uint64_t rdev;
    int64_t size, block_size, blocks;
    int64_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
    int64_t unused[3];
};

_Static_assert(sizeof(struct stat_) == 144, "struct stat of x86-64");

static bool is_same(const char *a, const char *b)
{
    const size_t len = strlen(a);

    return len == strlen(b) && memcmp(a, b, len) == 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

static struct linux_file *find(struct linux_table *table, const char *path)
{
    for (uint32_t i = 0; i < LINUX_FILES; i++) {
        if (table->files[i].is_linked && is_same(table->files[i].path, path))
            return &table->files[i];
    }
    return NULL;
}

/* Cut the last component off; of "/a" remains "/". */
static void cut(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] != '/')
        len--;
    path[len > 1 ? len - 1 : 1] = '\0';
}

/*
 * The absolute path of a name of the program's, without . and .., all directories on the way being
 * there. `is_dir` where it must be one, because of a slash at the end. Everything is relative to /.
 */
static int64_t resolve(struct linux_table *table, uint64_t address, char *path, bool *is_dir)
{
    char name[LINUX_PATH_MAX];
    const int64_t len = linux_take_string(table, address, name, sizeof(name));
    const char *at = name;

    *is_dir = false;
    if (len < 0)
        return len;
    if (len == 0)
        return -L_ENOENT;
    memcpy(path, "/", 2);
    for (;;) {
        const struct linux_file *here;
        size_t part = 0, end;

        while (*at == '/') {
            at++;
            *is_dir = true;
        }
        if (!*at)
            return 0;
        while (at[part] && at[part] != '/')
            part++;
        here = find(table, path);
        if (!here)
            return -L_ENOENT;
        if (!here->is_directory)
            return -L_ENOTDIR;
        *is_dir = false;
        if (part == 2 && at[0] == '.' && at[1] == '.') {
            cut(path);
        } else if (part != 1 || at[0] != '.') {
            end = strlen(path);
            if (part > NAME_MAX_ || end + 1 + part >= LINUX_PATH_MAX)
                return -L_ENAMETOOLONG;
            if (end > 1)
                path[end++] = '/';
            memcpy(path + end, at, part);
            path[end + part] = '\0';
        }
        at += part;
    }
}

/* Names of *at functions: those that are absolute, or relative to the directory where we are. */
static int64_t resolve_at(struct linux_table *table, const uint64_t *args, char *path, bool *is_dir)
{
    if ((int32_t)args[0] != AT_FDCWD_ && linux_may_read(table, args[1], 1) &&
        *(const char *)(uintptr_t)args[1] != '/')
        return linux_open_of(table, args[0]) ? -L_ENOTDIR : -L_EBADF;
    return resolve(table, args[1], path, is_dir);
}

static struct linux_file *make(struct linux_table *table, const char *path, uint32_t mode,
                               bool is_directory)
{
    for (uint32_t i = 0; i < LINUX_FILES; i++) {
        struct linux_file *file = &table->files[i];

        if (file->is_used)
            continue;
        memset(file, 0, sizeof(*file));
        file->is_used = file->is_linked = true;
        file->is_directory = is_directory;
        file->mode = mode & ~table->umask & 0777;
        file->changed_ns = linux_now(table);
        memcpy(file->path, path, strlen(path) + 1);
        return file;
    }
    return NULL;
}

static void give_back(struct linux_table *table, struct linux_file *file)
{
    if (file->is_linked || file->opens > 0)
        return;
    if (file->bytes)
        linux_pages_give(table, file->bytes, file->room);
    file->bytes = NULL;
    file->is_used = false;
}

void linux_files_init(struct linux_table *table)
{
    table->umask = 0;
    (void)make(table, "/", 0755, true);
    (void)make(table, "/tmp", 0777, true);
    (void)make(table, "/dev", 0755, true);
    table->umask = 022;
}

void linux_file_closed(struct linux_table *table, struct linux_file *file)
{
    file->opens--;
    give_back(table, file);
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

/* What is behind a file's end is zero. */
int64_t linux_file_resize(struct linux_table *table, struct linux_file *file, uint64_t len)
{
    uint64_t room = file->room ? file->room : LINUX_PAGE;
    unsigned char *bytes;

    if (len < file->len)
        memset(file->bytes + len, 0, file->len - len);
    if (len > file->room) {
        if (len > table->page_count * LINUX_PAGE)
            return -L_ENOSPC;
        while (room < len)
            room *= 2;
        bytes = linux_pages_take(table, room);
        if (!bytes) {
            room = (len + LINUX_PAGE - 1) / LINUX_PAGE * LINUX_PAGE;
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
    file->changed_ns = linux_now(table);
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
    file->changed_ns = linux_now(table);
    return (int64_t)len;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static enum linux_kind device(const char *path)
{
    if (is_same(path, "/dev/null"))
        return LINUX_NULL;
    if (is_same(path, "/dev/zero"))
        return LINUX_ZERO;
    if (is_same(path, "/dev/urandom") || is_same(path, "/dev/random"))
        return LINUX_RANDOM;
    return LINUX_FREE;
}

static int64_t open_path(struct linux_table *table, const char *path, bool is_dir, uint32_t flags,
                         uint32_t mode)
{
    const enum linux_kind kind = device(path);
    struct linux_file *file = find(table, path);
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
    if (file && file->is_directory && ((flags & O_ACCMODE_) || (flags & (O_CREAT_ | O_TRUNC_))))
        return -L_EISDIR;
    if (file && !file->is_directory && (is_dir || (flags & O_DIRECTORY_)))
        return -L_ENOTDIR;
    number = linux_descriptor_make(table, LINUX_FILE,
                                   flags & ~(uint32_t)(O_CREAT_ | O_EXCL_ | O_TRUNC_), &open);
    if (number < 0)
        return number;
    open->file = file ? file : make(table, path, mode, false);
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
    const int64_t error = resolve_at(table, args, path, &is_dir);

    return error ? error : open_path(table, path, is_dir, (uint32_t)args[2], (uint32_t)args[3]);
}

int64_t linux_open_path(struct linux_table *table, const uint64_t *args)
{
    const uint64_t at[] = {(uint64_t)AT_FDCWD_, args[0], args[1], args[2]};

    return linux_openat(table, at);
}

/* --- What a file is --------------------------------------------------------------------------- */

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
        stat.nlink = file->is_linked ? (file->is_directory ? 2 : 1) : 0;
        stat.mode = file->mode | (file->is_directory ? S_IFDIR_ : S_IFREG_);
        stat.size = (int64_t)file->len;
        stat.blocks = (int64_t)((file->len + 511) / 512);
        stat.atime = stat.mtime = stat.ctime = file->changed_ns / 1000000000;
        stat.atime_ns = stat.mtime_ns = stat.ctime_ns = file->changed_ns % 1000000000;
    }
    return linux_give(table, address, &stat, sizeof(stat));
}

int64_t linux_stat_give(struct linux_table *table, uint64_t address, const struct linux_open *open)
{
    if (open->kind == LINUX_FILE)
        return give_stat(table, address, 0, open->file);
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
    const struct linux_file *file = find(table, path);

    if (device(path) != LINUX_FREE)
        return is_dir ? -L_ENOTDIR : give_stat(table, address, S_IFCHR_ | 0666, NULL);
    if (!file)
        return -L_ENOENT;
    if (is_dir && !file->is_directory)
        return -L_ENOTDIR;
    return give_stat(table, address, 0, file);
}

int64_t linux_stat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve(table, args[0], path, &is_dir);

    return error ? error : stat_path(table, path, is_dir, args[1]);
}

int64_t linux_newfstatat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    int64_t error;

    if ((args[3] & AT_EMPTY_PATH_) && linux_may_read(table, args[1], 1) &&
        *(const char *)(uintptr_t)args[1] == '\0')
        return linux_fstat(table, (const uint64_t[]){args[0], args[2]});
    error = resolve_at(table, args, path, &is_dir);
    return error ? error : stat_path(table, path, is_dir, args[2]);
}

static int64_t access_path(struct linux_table *table, const char *path, bool is_dir, uint64_t mode)
{
    const struct linux_file *file = find(table, path);

    if (mode & ~7ull)
        return -L_EINVAL;
    if (device(path) != LINUX_FREE)
        return is_dir ? -L_ENOTDIR : mode & 1 ? -L_EACCES : 0;
    if (!file)
        return -L_ENOENT;
    if (is_dir && !file->is_directory)
        return -L_ENOTDIR;
    return (mode & 1) && !file->is_directory && !(file->mode & 0111) ? -L_EACCES : 0;
}

int64_t linux_access(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve(table, args[0], path, &is_dir);

    return error ? error : access_path(table, path, is_dir, args[1]);
}

int64_t linux_faccessat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve_at(table, args, path, &is_dir);

    return error ? error : access_path(table, path, is_dir, args[2]);
}

/* --- Changing names --------------------------------------------------------------------------- */

static bool is_empty(const struct linux_table *table, const char *path)
{
    const size_t len = strlen(path);

    for (uint32_t i = 0; i < LINUX_FILES; i++) {
        const struct linux_file *file = &table->files[i];

        if (file->is_linked && strlen(file->path) > len && memcmp(file->path, path, len) == 0 &&
            file->path[len] == '/')
            return false;
    }
    return true;
}

static int64_t remove_path(struct linux_table *table, const char *path, bool is_dir, bool directory)
{
    struct linux_file *file = find(table, path);

    if (!file)
        return device(path) != LINUX_FREE ? -L_EPERM : -L_ENOENT;
    if (directory && !file->is_directory)
        return -L_ENOTDIR;
    if (!directory && file->is_directory)
        return -L_EISDIR;
    if (is_dir && !file->is_directory)
        return -L_ENOTDIR;
    if (directory && (path[1] == '\0' || !is_empty(table, path)))
        return -L_ENOTEMPTY;
    file->is_linked = false;
    give_back(table, file);
    return 0;
}

int64_t linux_unlink(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve(table, args[0], path, &is_dir);

    return error ? error : remove_path(table, path, is_dir, false);
}

int64_t linux_rmdir(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve(table, args[0], path, &is_dir);

    return error ? error : remove_path(table, path, is_dir, true);
}

int64_t linux_unlinkat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    int64_t error;

    if (args[2] & ~(uint64_t)AT_REMOVEDIR_)
        return -L_EINVAL;
    error = resolve_at(table, args, path, &is_dir);
    return error ? error : remove_path(table, path, is_dir, (args[2] & AT_REMOVEDIR_) != 0);
}

int64_t linux_mkdir(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve(table, args[0], path, &is_dir);

    if (error)
        return error;
    if (find(table, path) || device(path) != LINUX_FREE)
        return -L_EEXIST;
    return make(table, path, (uint32_t)args[1], true) ? 0 : -L_ENOSPC;
}

/* Files; a directory keeps its name, for those beneath would have to change theirs. */
int64_t linux_rename(struct linux_table *table, const uint64_t *args)
{
    char from[LINUX_PATH_MAX], to[LINUX_PATH_MAX];
    bool is_dir, to_dir;
    struct linux_file *file, *old;
    int64_t error = resolve(table, args[0], from, &is_dir);

    if (!error)
        error = resolve(table, args[1], to, &to_dir);
    if (error)
        return error;
    file = find(table, from);
    old = find(table, to);
    if (!file)
        return -L_ENOENT;
    if (file->is_directory)
        return -L_EPERM;
    if (is_dir || to_dir)
        return -L_ENOTDIR;
    if (old == file)
        return 0;
    if (strlen(from) > strlen(to) && memcmp(from, to, strlen(to)) == 0 && from[strlen(to)] == '/')
        return -L_ENOTEMPTY;
    if (old && old->is_directory)
        return -L_EISDIR;
    if (device(to) != LINUX_FREE)
        return -L_EPERM;
    if (old) {
        old->is_linked = false;
        give_back(table, old);
    }
    memcpy(file->path, to, strlen(to) + 1);
    return 0;
}

/* --- The rest --------------------------------------------------------------------------------- */

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
    error = resolve(table, args[0], path, &is_dir);
    if (error)
        return error;
    file = find(table, path);
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

int64_t linux_getcwd(struct linux_table *table, const uint64_t *args)
{
    if (args[1] < 2)
        return -L_ERANGE;
    return linux_give(table, args[0], "/", 2) ? -L_EFAULT : 2;
}

/* There are no links. */
int64_t linux_readlink(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    int64_t error;

    if ((int32_t)args[2] <= 0)
        return -L_EINVAL;
    error = resolve(table, args[0], path, &is_dir);
    if (error)
        return error;
    return find(table, path) ? -L_EINVAL : -L_ENOENT;
}

int64_t linux_umask(struct linux_table *table, const uint64_t *args)
{
    const uint32_t before = table->umask;

    table->umask = args[0] & 0777;
    return before;
}

int64_t linux_fchmod(struct linux_table *table, const uint64_t *args)
{
    struct linux_open *open = linux_open_of(table, args[0]);

    if (!open)
        return -L_EBADF;
    if (open->kind == LINUX_FILE)
        open->file->mode = args[1] & 07777;
    return 0;
}

int64_t linux_chmod(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = resolve(table, args[0], path, &is_dir);
    struct linux_file *file = error ? NULL : find(table, path);

    if (!file)
        return error ? error : -L_ENOENT;
    file->mode = args[1] & 07777;
    return 0;
}
