/* What is asked of a name: whether it can be used, and where the program is. */
#include "calls.h"
#include <string.h>

static int64_t access_path(struct linux_table *table, const char *path, bool is_dir, uint64_t mode)
{
    const struct linux_file *file = linux_tree_find(table, path);

    if (mode & ~7ull)
        return -L_EINVAL;
    if (linux_tree_device(path) != LINUX_FREE)
        return is_dir ? -L_ENOTDIR : mode & 1 ? -L_EACCES : 0;
    if (!file)
        return -L_ENOENT;
    if (is_dir && !file->is_directory)
        return -L_ENOTDIR;
    return (mode & 1) && !file->is_directory && !(file->mode & 0111) ? -L_EACCES : 0;
}

int64_t linux_faccessat(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = linux_tree_resolve_at(table, args, path, &is_dir, LINUX_FOLLOW);

    return error ? error : access_path(table, path, is_dir, args[2]);
}

/* With flags: who asks is the same as who would use it, and a link can be meant itself. */
int64_t linux_faccessat2(struct linux_table *table, const uint64_t *args)
{
    enum { NOFOLLOW = 0x100, EACCESS = 0x200 };
    char path[LINUX_PATH_MAX];
    bool is_dir;
    int64_t error;

    if ((uint32_t)args[3] & ~(uint32_t)(NOFOLLOW | EACCESS))
        return -L_EINVAL;
    error = linux_tree_resolve_at(table, args, path, &is_dir,
                                  args[3] & NOFOLLOW ? LINUX_KEEP : LINUX_FOLLOW);
    return error ? error : access_path(table, path, is_dir, args[2]);
}

int64_t linux_access(struct linux_table *table, const uint64_t *args)
{
    const uint64_t at[] = {(uint64_t)LINUX_AT_FDCWD, args[0], args[1]};

    return linux_faccessat(table, at);
}

int64_t linux_getcwd(struct linux_table *table, const uint64_t *args)
{
    const size_t len = strlen(table->folder) + 1;

    if (!linux_tree_find(table, table->folder))
        return -L_ENOENT;
    if (args[1] < len)
        return -L_ERANGE;
    return linux_give(table, args[0], table->folder, len) ? -L_EFAULT : (int64_t)len;
}

int64_t linux_chdir(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    bool is_dir;
    const int64_t error = linux_tree_resolve(table, args[0], path, &is_dir, LINUX_FOLLOW);
    const struct linux_file *file = error ? NULL : linux_tree_find(table, path);

    if (!file)
        return error ? error : linux_tree_device(path) ? -L_ENOTDIR : -L_ENOENT;
    if (!file->is_directory)
        return -L_ENOTDIR;
    memcpy(table->folder, path, strlen(path) + 1);
    return 0;
}

int64_t linux_fchdir(struct linux_table *table, const uint64_t *args)
{
    const struct linux_open *open = linux_open_of(table, args[0]);
    const int64_t error = linux_tree_check_directory(open);
    const char *path = error ? NULL : linux_tree_path(table, open->file);

    if (error)
        return error;
    memcpy(table->folder, path, strlen(path) + 1);
    return 0;
}

int64_t linux_umask(struct linux_table *table, const uint64_t *args)
{
    const uint32_t before = table->umask;

    table->umask = args[0] & 0777;
    return before;
}
