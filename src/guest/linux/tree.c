/*
 * Names of files in memory. One flat list of them; a directory is a name with others beneath it.
 */
#include "calls.h"
#include <string.h>

enum { NAME_MAX_ = 255 };

static bool is_same(const char *a, const char *b)
{
    const size_t len = strlen(a);

    return len == strlen(b) && memcmp(a, b, len) == 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

struct linux_file *linux_tree_find(struct linux_table *table, const char *path)
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

/* As linux_tree_resolve, of a name that is relative to this directory. */
static int64_t resolve(struct linux_table *table, const char *folder, uint64_t address, char *path,
                       bool *is_dir)
{
    char name[LINUX_PATH_MAX];
    const int64_t len = linux_take_string(table, address, name, sizeof(name));
    const char *at = name;

    *is_dir = false;
    if (len < 0)
        return len;
    if (len == 0)
        return -L_ENOENT;
    memcpy(path, name[0] == '/' ? "/" : folder, name[0] == '/' ? 2 : strlen(folder) + 1);
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
        here = linux_tree_find(table, path);
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

int64_t linux_tree_resolve(struct linux_table *table, uint64_t address, char *path, bool *is_dir)
{
    return resolve(table, table->folder, address, path, is_dir);
}

/* What a descriptor leads to, or NULL, is a directory that is still there: 0, or why not. */
static int64_t check_directory(const struct linux_open *open)
{
    if (!open)
        return -L_EBADF;
    if (open->kind != LINUX_FILE || !open->file->is_directory)
        return -L_ENOTDIR;
    return open->file->is_linked ? 0 : -L_ENOENT;
}

int64_t linux_tree_resolve_at(struct linux_table *table, const uint64_t *args, char *path,
                              bool *is_dir)
{
    const struct linux_open *open = linux_open_of(table, args[0]);
    int64_t error;

    if ((int32_t)args[0] == LINUX_AT_FDCWD ||
        (linux_may_read(table, args[1], 1) && *(const char *)(uintptr_t)args[1] == '/'))
        return linux_tree_resolve(table, args[1], path, is_dir);
    error = check_directory(open);
    if (error)
        return error;
    return resolve(table, open->file->path, args[1], path, is_dir);
}

void linux_tree_touch_folder(struct linux_table *table, const char *path)
{
    char folder[LINUX_PATH_MAX];
    struct linux_file *file;

    memcpy(folder, path, strlen(path) + 1);
    cut(folder);
    file = linux_tree_find(table, folder);
    if (file)
        file->changed_ns = file->modified_ns = linux_now(table);
}

struct linux_file *linux_tree_make(struct linux_table *table, const char *path, uint32_t mode,
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
        file->changed_ns = file->modified_ns = file->accessed_ns = linux_now(table);
        memcpy(file->path, path, strlen(path) + 1);
        linux_tree_touch_folder(table, path);
        return file;
    }
    return NULL;
}

void linux_tree_let_go(struct linux_table *table, struct linux_file *file)
{
    if (file->is_linked || file->opens > 0)
        return;
    if (file->bytes)
        linux_pages_give(table, file->bytes, file->room);
    file->bytes = NULL;
    file->is_used = false;
}

void linux_tree_init(struct linux_table *table)
{
    table->umask = 0;
    (void)linux_tree_make(table, "/", 0755, true);
    (void)linux_tree_make(table, "/tmp", 0777, true);
    (void)linux_tree_make(table, "/dev", 0755, true);
    table->umask = 022;
    memcpy(table->folder, "/", 2);
}

static const struct {
    const char *path;
    enum linux_kind kind;
} devices[] = {
    {"/dev/null", LINUX_NULL},
    {"/dev/zero", LINUX_ZERO},
    {"/dev/urandom", LINUX_RANDOM},
    {"/dev/random", LINUX_RANDOM},
};

#define DEVICES ((int64_t)(sizeof(devices) / sizeof(devices[0])))
#define DEVICES_AT ((int64_t)LINUX_FILES + 2) /* in a list of their directory */

enum linux_kind linux_tree_device(const char *path)
{
    for (int64_t i = 0; i < DEVICES; i++) {
        if (is_same(path, devices[i].path))
            return devices[i].kind;
    }
    return LINUX_FREE;
}

/* --- What is asked of a name ------------------------------------------------------------------ */

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
    const int64_t error = linux_tree_resolve_at(table, args, path, &is_dir);

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
    const int64_t error = linux_tree_resolve(table, args[0], path, &is_dir);
    const struct linux_file *file = error ? NULL : linux_tree_find(table, path);

    if (!file)
        return error ? error : linux_tree_device(path) ? -L_ENOTDIR : -L_ENOENT;
    if (!file->is_directory)
        return -L_ENOTDIR;
    memcpy(table->folder, path, strlen(path) + 1);
    return 0;
}

/* There are no links. */
int64_t linux_readlink(struct linux_table *table, const uint64_t *args)
{
    char path[LINUX_PATH_MAX];
    const struct linux_file *file;
    bool is_dir;
    int64_t error;

    if ((int32_t)args[2] <= 0)
        return -L_EINVAL;
    error = linux_tree_resolve(table, args[0], path, &is_dir);
    if (error)
        return error;
    file = linux_tree_find(table, path);
    if (!file)
        return linux_tree_device(path) && !is_dir ? -L_EINVAL : -L_ENOENT;
    return is_dir && !file->is_directory ? -L_ENOTDIR : -L_EINVAL;
}

int64_t linux_umask(struct linux_table *table, const uint64_t *args)
{
    const uint32_t before = table->umask;

    table->umask = args[0] & 0777;
    return before;
}

/* --- Directories ------------------------------------------------------------------------------ */

/* The name of a file that lies in this directory, however deep, seen from there; or NULL. */
static const char *beneath(const struct linux_file *file, const char *directory)
{
    const size_t len = strlen(directory) > 1 ? strlen(directory) : 0;

    if (!file->is_linked || strlen(file->path) <= len + 1 ||
        memcmp(file->path, directory, len) != 0 || file->path[len] != '/')
        return NULL;
    return file->path + len + 1;
}

bool linux_tree_is_empty(const struct linux_table *table, const char *path)
{
    for (uint32_t i = 0; i < LINUX_FILES; i++) {
        if (beneath(&table->files[i], path))
            return false;
    }
    return true;
}

/* What stands at this place of a directory: itself, its parent, its files, devices. NULL: nothing.
 */
static const char *name_at(const struct linux_table *table, const struct linux_file *directory,
                           int64_t at)
{
    const char *name;

    if (at < 2)
        return at == 0 ? "." : "..";
    if (at >= DEVICES_AT)
        return is_same(directory->path, "/dev") ? devices[at - DEVICES_AT].path + 5 : NULL;
    name = beneath(&table->files[at - 2], directory->path);
    for (const char *c = name; c && *c; c++) {
        if (*c == '/')
            return NULL;
    }
    return name;
}

uint64_t linux_tree_folders(const struct linux_table *table, const struct linux_file *directory)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < LINUX_FILES; i++)
        count += table->files[i].is_directory && name_at(table, directory, i + 2);
    return count;
}

int64_t linux_getdents(struct linux_table *table, const uint64_t *args)
{
    enum { DEVICE = 2, DIRECTORY = 4, REGULAR = 8, NAME = 19 };
    struct linux_open *open = linux_open_of(table, args[0]);
    const int64_t error = check_directory(open);
    uint64_t done = 0;

    if (error)
        return error;
    for (; open->offset < DEVICES_AT + DEVICES; open->offset++) {
        const bool is_device = open->offset >= DEVICES_AT;
        const struct linux_file *file =
            open->offset < 2 || is_device ? open->file : &table->files[open->offset - 2];
        const char *name = name_at(table, open->file, open->offset);
        const size_t len = name ? (NAME + strlen(name) + 1 + 7) / 8 * 8 : 0;
        struct {
            uint64_t ino;
            int64_t next;
            uint16_t len;
            unsigned char kind;
            char name[LINUX_PATH_MAX];
        } entry = {(uint64_t)(file - table->files) + 2, open->offset + 1, (uint16_t)len,
                   is_device            ? DEVICE
                   : file->is_directory ? DIRECTORY
                                        : REGULAR,
                   ""};

        if (!name)
            continue;
        if (len > (uint32_t)args[2] - done)
            return done ? (int64_t)done : -L_EINVAL;
        memcpy(entry.name, name, strlen(name) + 1);
        if (linux_give(table, args[1] + done, &entry, len))
            return done ? (int64_t)done : -L_EFAULT;
        done += len;
    }
    return (int64_t)done;
}
