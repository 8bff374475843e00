/* What changes names of files in memory: new directories, names that go, and others in their place.
 */
#include "calls.h"
#include <string.h>

enum { AT_REMOVEDIR_ = 0x200, RENAME_NOREPLACE_ = 1 };

#define HERE ((uint64_t)LINUX_AT_FDCWD)

/* The root, and the folder of devices, stay what they are: as where something is mounted. */
static bool is_busy(const char *path)
{
    return path[1] == '\0' || (strlen(path) == 4 && memcmp(path, "/dev", 4) == 0);
}

/* --- Removing --------------------------------------------------------------------------------- */

static int64_t remove_path(struct linux_table *table, const char *path, bool is_dir, bool directory)
{
    struct linux_name *name = linux_tree_entry(table, path);
    const struct linux_file *file = name ? name->file : NULL;

    if (!file)
        return linux_tree_device(path) != LINUX_FREE ? -L_EPERM : -L_ENOENT;
    if (directory && !file->is_directory)
        return -L_ENOTDIR;
    if (!directory && file->is_directory)
        return -L_EISDIR;
    if (is_dir && !file->is_directory)
        return -L_ENOTDIR;
    if (is_busy(path))
        return -L_EBUSY;
    if (directory && !linux_tree_is_empty(table, path))
        return -L_ENOTEMPTY;
    linux_tree_forget(table, name);
    return 0;
}

int64_t linux_unlinkat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    int64_t error;

    if ((uint32_t)args[2] & ~(uint32_t)AT_REMOVEDIR_)
        return -L_EINVAL;
    error = linux_tree_resolve_at(table, args, path, &is_dir, LINUX_PARENT);
    return error ? error : remove_path(table, path, is_dir, (args[2] & AT_REMOVEDIR_) != 0);
}

int64_t linux_unlink(struct linux_table *table, const uint64_t *args)
{
    return linux_unlinkat(table, (const uint64_t[]){HERE, args[0], 0});
}

int64_t linux_rmdir(struct linux_table *table, const uint64_t *args)
{
    return linux_unlinkat(table, (const uint64_t[]){HERE, args[0], AT_REMOVEDIR_});
}

/* --- Making ----------------------------------------------------------------------------------- */

int64_t linux_mkdirat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = linux_tree_resolve_at(table, args, path, &is_dir, LINUX_PARENT);

    if (error)
        return error;
    if (linux_tree_find(table, path) || linux_tree_device(path) != LINUX_FREE)
        return -L_EEXIST;
    return linux_tree_make(table, path, (uint32_t)args[2], true) ? 0 : -L_ENOSPC;
}

int64_t linux_mkdir(struct linux_table *table, const uint64_t *args)
{
    return linux_mkdirat(table, (const uint64_t[]){HERE, args[0], args[1]});
}

/* --- Renaming --------------------------------------------------------------------------------- */

/* Is `path` beneath the directory `above`, however deep? */
static bool is_beneath(const char *path, const char *above)
{
    const size_t len = strlen(above);

    return strlen(path) > len && memcmp(path, above, len) == 0 && path[len] == '/';
}

/* Put `to` in place of the beginning `from`; false where there is no room, and nothing changed. */
static bool replace_start(char *path, size_t from_len, const char *to, bool for_real)
{
    const size_t rest = strlen(path) - from_len + 1, to_len = strlen(to);

    if (to_len + rest > LINUX_PATH_MAX)
        return false;
    if (for_real) {
        memmove(path + to_len, path + from_len, rest);
        memcpy(path, to, to_len);
    }
    return true;
}

/* All that is beneath it goes with a directory: first a look whether every name has room. */
static bool move_names(struct linux_table *table, const char *from, const char *to, bool for_real)
{
    const size_t len = strlen(from);

    for (uint32_t i = 0; i < LINUX_NAMES; i++) {
        struct linux_name *name = &table->names[i];

        if (name->file && is_beneath(name->path, from) &&
            !replace_start(name->path, len, to, for_real))
            return false;
    }
    if (is_beneath(table->folder, from) ||
        (strlen(table->folder) == len && memcmp(table->folder, from, len) == 0))
        return replace_start(table->folder, len, to, for_real);
    return true;
}

/* Why this must not be: 0 where it may. */
static int64_t check(struct linux_table *table, const struct linux_file *file, const char *from,
                     const struct linux_file *old, const char *to)
{
    if (is_beneath(to, from))
        return -L_EINVAL;
    if (is_beneath(from, to))
        return -L_ENOTEMPTY;
    if (linux_tree_device(to) != LINUX_FREE)
        return -L_EPERM;
    if (!old)
        return 0;
    if (file->is_directory && !old->is_directory)
        return -L_ENOTDIR;
    if (!file->is_directory && old->is_directory)
        return -L_EISDIR;
    return old->is_directory && !linux_tree_is_empty(table, to) ? -L_ENOTEMPTY : 0;
}

static int64_t rename_path(struct linux_table *table, const char *from, bool from_dir,
                           const char *to, bool to_dir, uint32_t flags)
{
    struct linux_name *name = linux_tree_entry(table, from), *taken = linux_tree_entry(table, to);
    struct linux_file *file = name ? name->file : NULL, *old = taken ? taken->file : NULL;
    int64_t error;

    if (is_busy(from) || is_busy(to))
        return -L_EBUSY;
    if (!file)
        return linux_tree_device(from) != LINUX_FREE ? -L_EPERM : -L_ENOENT;
    if ((flags & RENAME_NOREPLACE_) && (old || linux_tree_device(to) != LINUX_FREE))
        return -L_EEXIST;
    if (!file->is_directory && (from_dir || to_dir))
        return -L_ENOTDIR;
    if (old == file)
        return 0;
    error = check(table, file, from, old, to);
    if (error)
        return error;
    if (file->is_directory && !move_names(table, from, to, false))
        return -L_ENAMETOOLONG;
    if (taken)
        linux_tree_forget(table, taken);
    if (file->is_directory)
        (void)move_names(table, from, to, true);
    linux_tree_touch_folder(table, from);
    linux_tree_touch_folder(table, to);
    memcpy(name->path, to, strlen(to) + 1);
    file->changed_ns = linux_now(table);
    return 0;
}

int64_t linux_renameat2(struct linux_table *table, const uint64_t *args)
{
    char from[LINUX_PATH_MAX], to[LINUX_PATH_MAX];
    bool from_dir, to_dir;
    int64_t error;

    if ((uint32_t)args[4] & ~(uint32_t)RENAME_NOREPLACE_)
        return -L_EINVAL;
    error = linux_tree_resolve_at(table, args, from, &from_dir, LINUX_PARENT);
    if (!error)
        error = linux_tree_resolve_at(table, args + 2, to, &to_dir, LINUX_PARENT);
    return error ? error : rename_path(table, from, from_dir, to, to_dir, (uint32_t)args[4]);
}

int64_t linux_renameat(struct linux_table *table, const uint64_t *args)
{
    return linux_renameat2(table, (const uint64_t[]){args[0], args[1], args[2], args[3], 0});
}

int64_t linux_rename(struct linux_table *table, const uint64_t *args)
{
    return linux_renameat2(table, (const uint64_t[]){HERE, args[0], HERE, args[1], 0});
}
