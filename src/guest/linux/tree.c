/*
 * Names of files in memory. One flat list of them; a directory is a name with others beneath it.
 */
#include "calls.h"
#include <string.h>

static bool is_same(const char *a, const char *b)
{
    const size_t len = strlen(a);

    return len == strlen(b) && memcmp(a, b, len) == 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

struct linux_name *linux_tree_entry(struct linux_table *table, const char *path)
{
    for (uint32_t i = 0; i < LINUX_NAMES; i++) {
        if (table->names[i].file && is_same(table->names[i].path, path))
            return &table->names[i];
    }
    return NULL;
}

struct linux_file *linux_tree_find(struct linux_table *table, const char *path)
{
    const struct linux_name *name = linux_tree_entry(table, path);

    return name ? name->file : NULL;
}

const char *linux_tree_path(const struct linux_table *table, const struct linux_file *file)
{
    for (uint32_t i = 0; i < LINUX_NAMES; i++) {
        if (table->names[i].file == file)
            return table->names[i].path;
    }
    return NULL;
}

void linux_tree_cut(char *path)
{
    size_t len = strlen(path);

    while (len > 1 && path[len - 1] != '/')
        len--;
    path[len > 1 ? len - 1 : 1] = '\0';
}

void linux_tree_touch_folder(struct linux_table *table, const char *path)
{
    char folder[LINUX_PATH_MAX];
    struct linux_file *file;

    memcpy(folder, path, strlen(path) + 1);
    linux_tree_cut(folder);
    file = linux_tree_find(table, folder);
    if (file)
        file->changed_ns = file->modified_ns = linux_now(table);
}

bool linux_tree_name(struct linux_table *table, const char *path, struct linux_file *file)
{
    for (uint32_t i = 0; i < LINUX_NAMES; i++) {
        if (table->names[i].file)
            continue;
        table->names[i].file = file;
        memcpy(table->names[i].path, path, strlen(path) + 1);
        file->links++;
        linux_tree_touch_folder(table, path);
        return true;
    }
    return false;
}

void linux_tree_forget(struct linux_table *table, struct linux_name *name)
{
    struct linux_file *file = name->file;

    name->file = NULL;
    file->links--;
    file->changed_ns = linux_now(table);
    linux_tree_touch_folder(table, name->path);
    linux_tree_let_go(table, file);
}

struct linux_file *linux_tree_make(struct linux_table *table, const char *path, uint32_t mode,
                                   bool is_directory)
{
    for (uint32_t i = 0; i < LINUX_FILES; i++) {
        struct linux_file *file = &table->files[i];

        if (file->is_used)
            continue;
        memset(file, 0, sizeof(*file));
        if (!linux_tree_name(table, path, file))
            return NULL;
        file->is_used = true;
        file->is_directory = is_directory;
        file->mode = mode & ~table->umask & 0777;
        file->changed_ns = file->modified_ns = file->accessed_ns = linux_now(table);
        return file;
    }
    return NULL;
}

void linux_tree_let_go(struct linux_table *table, struct linux_file *file)
{
    if (file->links > 0 || file->opens > 0)
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
#define DEVICES_AT ((int64_t)LINUX_NAMES + 2) /* in a list of their directory */

enum linux_kind linux_tree_device(const char *path)
{
    for (int64_t i = 0; i < DEVICES; i++) {
        if (is_same(path, devices[i].path))
            return devices[i].kind;
    }
    return LINUX_FREE;
}

/* --- Directories ------------------------------------------------------------------------------ */

/* A name that lies in this directory, however deep, seen from there; or NULL. */
static const char *beneath(const struct linux_name *name, const char *directory)
{
    const size_t len = strlen(directory) > 1 ? strlen(directory) : 0;

    if (!name->file || strlen(name->path) <= len + 1 || memcmp(name->path, directory, len) != 0 ||
        name->path[len] != '/')
        return NULL;
    return name->path + len + 1;
}

bool linux_tree_is_empty(const struct linux_table *table, const char *path)
{
    for (uint32_t i = 0; i < LINUX_NAMES; i++) {
        if (beneath(&table->names[i], path))
            return false;
    }
    return true;
}

/* What stands at this place of a directory: itself, its parent, its files, devices. NULL: nothing.
 */
static const char *name_at(const struct linux_table *table, const char *directory, int64_t at)
{
    const char *name;

    if (at < 2)
        return at == 0 ? "." : "..";
    if (at >= DEVICES_AT)
        return is_same(directory, "/dev") ? devices[at - DEVICES_AT].path + 5 : NULL;
    name = beneath(&table->names[at - 2], directory);
    for (const char *c = name; c && *c; c++) {
        if (*c == '/')
            return NULL;
    }
    return name;
}

uint64_t linux_tree_folders(const struct linux_table *table, const struct linux_file *directory)
{
    const char *path = linux_tree_path(table, directory);
    uint64_t count = 0;

    for (uint32_t i = 0; i < LINUX_NAMES && path; i++)
        count += table->names[i].file && table->names[i].file->is_directory &&
                 name_at(table, path, i + 2);
    return count;
}

int64_t linux_tree_check_directory(const struct linux_open *open)
{
    if (!open)
        return -L_EBADF;
    if (open->kind != LINUX_FILE || !open->file->is_directory)
        return -L_ENOTDIR;
    return open->file->links > 0 ? 0 : -L_ENOENT;
}

int64_t linux_getdents(struct linux_table *table, const uint64_t *args)
{
    enum { DEVICE = 2, DIRECTORY = 4, REGULAR = 8, LINK = 10, NAME = 19 };
    struct linux_open *open = linux_open_of(table, args[0]);
    const int64_t error = linux_tree_check_directory(open);
    const char *path = error ? NULL : linux_tree_path(table, open->file);
    uint64_t done = 0;

    if (error)
        return error;
    for (; open->offset < DEVICES_AT + DEVICES; open->offset++) {
        const bool is_device = open->offset >= DEVICES_AT;
        const char *name = name_at(table, path, open->offset);
        const struct linux_file *file =
            open->offset < 2 || is_device ? open->file : table->names[open->offset - 2].file;
        const size_t len = name ? (NAME + strlen(name) + 1 + 7) / 8 * 8 : 0;
        struct {
            uint64_t ino;
            int64_t next;
            uint16_t len;
            unsigned char kind;
            char name[LINUX_PATH_MAX];
        } entry;

        if (!name)
            continue;
        if (len > (uint32_t)args[2] - done)
            return done ? (int64_t)done : -L_EINVAL;
        memset(&entry, 0, sizeof(entry));
        entry.ino = (uint64_t)(file - table->files) + 2;
        entry.next = open->offset + 1;
        entry.len = (uint16_t)len;
        entry.kind = is_device            ? DEVICE
                     : file->is_directory ? DIRECTORY
                     : file->is_link      ? LINK
                                          : REGULAR;
        memcpy(entry.name, name, strlen(name) + 1);
        if (linux_give(table, args[1] + done, &entry, len))
            return done ? (int64_t)done : -L_EFAULT;
        done += len;
    }
    return (int64_t)done;
}
