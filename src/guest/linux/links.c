/* Names that lead to a file which has others, or to a name: hard and symbolic links. */
#include "calls.h"
#include <string.h>

enum { SYMLINK_FOLLOW = 0x400, EMPTY_PATH = 0x1000 };

#define HERE ((uint64_t)LINUX_AT_FDCWD)

/* May something new be made there, which is no directory? */
static int64_t check_new(struct linux_table *table, const char *path, bool is_dir)
{
    if (linux_tree_find(table, path) || linux_tree_device(path) != LINUX_FREE)
        return -L_EEXIST;
    return is_dir ? -L_ENOENT : 0;
}

int64_t linux_symlinkat(struct linux_table *table, const uint64_t *args)
{
    char target[LINUX_PATH_MAX], path[LINUX_PATH_MAX];
    const int64_t len = linux_take_string(table, args[0], target, sizeof(target));
    struct linux_file *file;
    bool is_dir;
    int64_t error;

    if (len <= 0)
        return len ? len : -L_ENOENT;
    error = linux_tree_resolve_at(table, args + 1, path, &is_dir, LINUX_PARENT);
    if (!error)
        error = check_new(table, path, is_dir);
    if (error)
        return error;
    file = linux_tree_make(table, path, 0, false);
    if (!file)
        return -L_ENOSPC;
    file->is_link = true;
    file->mode = 0777;
    file->len = (uint64_t)len;
    memcpy(file->target, target, (size_t)len + 1);
    return 0;
}

int64_t linux_symlink(struct linux_table *table, const uint64_t *args)
{
    return linux_symlinkat(table, (const uint64_t[]){args[0], HERE, args[1]});
}

int64_t linux_linkat(struct linux_table *table, const uint64_t *args)
{
    char from[LINUX_PATH_MAX], to[LINUX_PATH_MAX];
    const uint32_t flags = (uint32_t)args[4];
    struct linux_file *file;
    bool from_dir, to_dir;
    int64_t error;

    if (flags & ~(uint32_t)(SYMLINK_FOLLOW | EMPTY_PATH))
        return -L_EINVAL;
    error = linux_tree_resolve_at(table, args, from, &from_dir,
                                  flags & SYMLINK_FOLLOW ? LINUX_FOLLOW : LINUX_KEEP);
    if (error)
        return error;
    file = linux_tree_find(table, from);
    if (!file && linux_tree_device(from) == LINUX_FREE)
        return -L_ENOENT;
    if (from_dir && !(file && file->is_directory))
        return -L_ENOTDIR;
    error = linux_tree_resolve_at(table, args + 2, to, &to_dir, LINUX_PARENT);
    if (!error)
        error = check_new(table, to, to_dir);
    if (error)
        return error;
    if (!file || file->is_directory)
        return file ? -L_EPERM : -L_EXDEV;
    if (!linux_tree_name(table, to, file))
        return -L_ENOSPC;
    file->changed_ns = linux_now(table);
    return 0;
}

int64_t linux_link(struct linux_table *table, const uint64_t *args)
{
    return linux_linkat(table, (const uint64_t[]){HERE, args[0], HERE, args[1], 0});
}

int64_t linux_readlinkat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    const struct linux_file *file;
    size_t len;
    bool is_dir;
    int64_t error;

    if ((int32_t)args[3] <= 0)
        return -L_EINVAL;
    error = linux_tree_resolve_at(table, args, path, &is_dir, LINUX_KEEP);
    if (error)
        return error;
    file = linux_tree_find(table, path);
    if (!file && linux_tree_device(path) == LINUX_FREE)
        return -L_ENOENT;
    if (is_dir && !(file && file->is_directory))
        return -L_ENOTDIR;
    if (!file || !file->is_link)
        return -L_EINVAL;
    len = strlen(file->target);
    if (len > (uint32_t)args[3])
        len = (uint32_t)args[3];
    return linux_give(table, args[2], file->target, len) ? -L_EFAULT : (int64_t)len;
}

int64_t linux_readlink(struct linux_table *table, const uint64_t *args)
{
    return linux_readlinkat(table, (const uint64_t[]){HERE, args[0], args[1], args[2]});
}
