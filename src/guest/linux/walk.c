/* From a name of the program's to the place that it names: through directories and symbolic links.
 */
#include "calls.h"
#include <string.h>

enum {
    NAME_MAX_ = 255,
    LINKS_MAX = 40, /* that one name may lead through, as on Linux */
    WALK_MAX = 1024 /* what is still to go, with the links' own text */
};

/* Of a walk: where it is, and the names still before it. */
struct walk {
    const char *rest; /* in names */
    uint32_t links;
    char names[WALK_MAX];
};

/* One component, of `part` bytes, from the directory `path` on. */
static int64_t step(struct linux_table *table, char *path, const char *name, size_t part)
{
    const struct linux_file *here = linux_tree_find(table, path);
    size_t end = strlen(path);

    if (!here)
        return linux_tree_device(path) != LINUX_FREE ? -L_ENOTDIR : -L_ENOENT;
    if (!here->is_directory)
        return -L_ENOTDIR;
    if (part == 1 && name[0] == '.')
        return 0;
    if (part == 2 && name[0] == '.' && name[1] == '.') {
        linux_tree_cut(path);
        return 0;
    }
    if (part > NAME_MAX_ || end + 1 + part >= LINUX_PATH_MAX)
        return -L_ENAMETOOLONG;
    if (end > 1)
        path[end++] = '/';
    memcpy(path + end, name, part);
    path[end + part] = '\0';
    return 0;
}

/* Is a link that stands here followed? On the way always; at the end as it is asked for. */
static bool is_followed(const char *rest, enum linux_last last)
{
    const bool has_slash = *rest == '/';

    while (*rest == '/')
        rest++;
    return *rest || last == LINUX_FOLLOW || last == (has_slash ? LINUX_KEEP : LINUX_MAKE);
}

/* The link's text, and behind it what was still to go. */
static int64_t follow(struct walk *walk, const struct linux_file *link, char *path)
{
    const size_t len = strlen(link->target), rest = strlen(walk->rest) + 1;

    if (++walk->links > LINKS_MAX)
        return -L_ELOOP;
    if (len + rest > sizeof(walk->names))
        return -L_ENAMETOOLONG;
    memmove(walk->names + len, walk->rest, rest);
    memcpy(walk->names, link->target, len);
    walk->rest = walk->names;
    if (link->target[0] == '/')
        memcpy(path, "/", 2);
    else
        linux_tree_cut(path);
    return 0;
}

/* As linux_tree_resolve, of a name that is relative to this directory. */
static int64_t resolve(struct linux_table *table, const char *folder, uint64_t address, char *path,
                       bool *is_dir, enum linux_last last)
{
    struct walk walk;
    const int64_t len = linux_take_string(table, address, walk.names, LINUX_PATH_MAX);

    *is_dir = false;
    if (len < 0)
        return len;
    if (len == 0)
        return -L_ENOENT;
    walk.rest = walk.names;
    walk.links = 0;
    folder = walk.names[0] == '/' ? "/" : folder;
    memcpy(path, folder, strlen(folder) + 1);
    for (;;) {
        const struct linux_file *file;
        size_t part = 0;
        int64_t error;

        for (; *walk.rest == '/'; walk.rest++)
            *is_dir = true;
        if (!*walk.rest)
            return 0;
        while (walk.rest[part] && walk.rest[part] != '/')
            part++;
        error = step(table, path, walk.rest, part);
        if (error)
            return error;
        *is_dir = false;
        walk.rest += part;
        file = linux_tree_find(table, path);
        if (!file || !file->is_link || !is_followed(walk.rest, last))
            continue;
        error = follow(&walk, file, path);
        if (error)
            return error;
    }
}

int64_t linux_tree_resolve(struct linux_table *table, uint64_t address, char *path, bool *is_dir,
                           enum linux_last last)
{
    return resolve(table, table->folder, address, path, is_dir, last);
}

int64_t linux_tree_resolve_at(struct linux_table *table, const uint64_t *args, char *path,
                              bool *is_dir, enum linux_last last)
{
    const struct linux_open *open = linux_open_of(table, args[0]);
    int64_t error;

    if ((int32_t)args[0] == LINUX_AT_FDCWD ||
        (linux_may_read(table, args[1], 1) && *(const char *)(uintptr_t)args[1] == '/'))
        return linux_tree_resolve(table, args[1], path, is_dir, last);
    error = linux_tree_check_directory(open);
    if (error)
        return error;
    return resolve(table, linux_tree_path(table, open->file), args[1], path, is_dir, last);
}
