/* Who the program is, how it ends, and its limits. */
#include "calls.h"
#include <string.h>

enum { PID = LINUX_PID, UID = LINUX_UID };

int64_t linux_exit_group(struct linux_table *table, const uint64_t *args)
{
    table->host->halt(table->host->context, (int)(args[0] & 0xff));
    return 0;
}

int64_t linux_getpid(struct linux_table *table, const uint64_t *args)
{
    (void)table;
    (void)args;
    return PID;
}

int64_t linux_getppid(struct linux_table *table, const uint64_t *args)
{
    (void)table;
    (void)args;
    return 1;
}

int64_t linux_getuid(struct linux_table *table, const uint64_t *args)
{
    (void)table;
    (void)args;
    return UID;
}

/* uprobe: newer kernels let it past all filters and refuse it so, and it is the same everywhere. */
int64_t linux_uprobe(struct linux_table *table, const uint64_t *args)
{
    (void)table;
    (void)args;
    return -L_ENXIO;
}

int64_t linux_uname(struct linux_table *table, const uint64_t *args)
{
    static const char *const words[] = {"Linux", "halo", "6.1.0-halo", "#1", "x86_64", "(none)"};
    char names[6][65] = {{0}};

    for (int i = 0; i < 6; i++)
        memcpy(names[i], words[i], strlen(words[i]) + 1);
    return linux_give(table, args[0], names, sizeof(names));
}

/* The limits that there are; none of them can be changed. */
static int64_t limit(struct linux_table *table, uint32_t resource, uint64_t limits[2])
{
    enum { DATA = 2, STACK = 3, CORE = 4, NOFILE = 7, AS = 9, COUNT = 16 };

    limits[0] = UINT64_MAX;
    if (resource >= COUNT)
        return -L_EINVAL;
    if (resource == STACK)
        limits[0] = table->stack_len;
    else if (resource == NOFILE)
        limits[0] = LINUX_DESCRIPTORS;
    else if (resource == DATA || resource == AS)
        limits[0] = table->page_count * LINUX_PAGE;
    else if (resource == CORE)
        limits[0] = 0;
    limits[1] = limits[0];
    return 0;
}

int64_t linux_prlimit(struct linux_table *table, const uint64_t *args)
{
    uint64_t limits[2], wanted[2];
    const int64_t error = limit(table, (uint32_t)args[1], limits);

    if ((uint32_t)args[0] != 0 && (uint32_t)args[0] != PID)
        return -L_ESRCH;
    if (error)
        return error;
    if (args[2]) {
        if (linux_take(table, args[2], wanted, sizeof(wanted)))
            return -L_EFAULT;
        if (wanted[0] > wanted[1])
            return -L_EINVAL;
        if (memcmp(wanted, limits, sizeof(limits)) != 0)
            return -L_EPERM;
    }
    return args[3] ? linux_give(table, args[3], limits, sizeof(limits)) : 0;
}

int64_t linux_getrlimit(struct linux_table *table, const uint64_t *args)
{
    uint64_t limits[2];
    const int64_t error = limit(table, (uint32_t)args[0], limits);

    return error ? error : linux_give(table, args[1], limits, sizeof(limits));
}

int64_t linux_arch_prctl(struct linux_table *table, const uint64_t *args)
{
    enum { SET_FS = 0x1002, GET_FS = 0x1003 };

    switch ((uint32_t)args[0]) {
    case SET_FS:
        if (args[1] >= 0x7ffffffff000)
            return -L_EPERM;
        table->fs = args[1];
        table->host->set_fs(table->host->context, args[1]);
        return 0;
    case GET_FS:
        return linux_give(table, args[1], &table->fs, sizeof(table->fs));
    default:
        return -L_EINVAL;
    }
}

int64_t linux_prctl(struct linux_table *table, const uint64_t *args)
{
    enum { SET_NAME = 15, GET_NAME = 16 };

    if ((uint32_t)args[0] == GET_NAME)
        return linux_give(table, args[1], table->name, sizeof(table->name));
    if ((uint32_t)args[0] != SET_NAME)
        return -L_EINVAL;
    for (size_t i = 0; i < sizeof(table->name) - 1; i++) {
        if (linux_take(table, args[1] + i, &table->name[i], 1))
            return -L_EFAULT;
        if (!table->name[i])
            break;
    }
    return 0;
}

int64_t linux_sched_getaffinity(struct linux_table *table, const uint64_t *args)
{
    const uint64_t one = 1;

    if (args[1] < sizeof(one) || args[1] % sizeof(one))
        return -L_EINVAL;
    return linux_give(table, args[2], &one, sizeof(one)) ? -L_EFAULT : (int64_t)sizeof(one);
}

int64_t linux_getcpu(struct linux_table *table, const uint64_t *args)
{
    const uint32_t first = 0;

    for (int i = 0; i < 2; i++) { /* and its node */
        if (args[i] && linux_give(table, args[i], &first, sizeof(first)))
            return -L_EFAULT;
    }
    return 0;
}

int64_t linux_sysinfo(struct linux_table *table, const uint64_t *args)
{
    struct {
        int64_t uptime;
        uint64_t loads[3], total, free, shared, buffers, total_swap, free_swap;
        uint16_t processes, pad;
        uint32_t pad2;
        uint64_t total_high, free_high;
        uint32_t unit;
        uint32_t pad3;
    } info = {.total = table->page_count * LINUX_PAGE, .processes = 1, .unit = 1};
    int64_t now, real;

    _Static_assert(sizeof(info) == 112, "struct sysinfo of x86-64");
    table->host->now(table->host->context, &now, &real);
    info.uptime = now / 1000000000;
    for (uint64_t i = 0; i < table->page_count; i++)
        info.free += table->pages[i] & 4 ? 0 : LINUX_PAGE;
    return linux_give(table, args[0], &info, sizeof(info));
}

int64_t linux_getrusage(struct linux_table *table, const uint64_t *args)
{
    int64_t usage[18] = {0}, now, real; /* struct rusage: first the time it has run */

    if ((int32_t)args[0] > 1 || (int32_t)args[0] < -1)
        return -L_EINVAL;
    table->host->now(table->host->context, &now, &real);
    if ((int32_t)args[0] >= 0) {
        usage[0] = (now - table->start_ns) / 1000000000;
        usage[1] = (now - table->start_ns) % 1000000000 / 1000;
    }
    return linux_give(table, args[1], usage, sizeof(usage));
}
