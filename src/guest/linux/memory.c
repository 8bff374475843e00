/*
 * The program's memory: which pages it has, and what it may do with them. A byte for each page of
 * the memory that can be had; brk grows from its lower end, mmap takes from the upper one.
 */
#include "memory.h"
#include <string.h>

enum {
    PROT_EXEC_ = 4,
    MAP_TYPE_ = 0xf,
    MAP_SHARED_ = 1,
    MAP_PRIVATE_ = 2,
    MAP_FIXED_ = 0x10,
    MAP_ANONYMOUS_ = 0x20,
    MAP_NORESERVE_ = 0x4000,
    MAP_FIXED_NOREPLACE_ = 0x100000,
    MREMAP_MAYMOVE_ = 1,
};

#define TASK_SIZE 0x7ffffffff000ull
#define PAGES_OF_UNIT (LINUX_UNIT / LINUX_PAGE)

/* On this processor what is writable can be read. */
static int prot_of(uint64_t arg)
{
    return (int)(arg & PAGE_WRITE ? PAGE_READ | PAGE_WRITE : arg & PAGE_READ);
}

void linux_memory_init(struct linux_table *table, void *base, uint64_t len)
{
    const uint64_t count = len / LINUX_PAGE, own = count_of(count);

    table->pages = base;
    table->page_count = count - own;
    table->base = (uint64_t)(uintptr_t)base + own * LINUX_PAGE;
    table->brk = table->base;
}

void linux_add_range(struct linux_table *table, uint64_t base, uint64_t len, bool is_writable)
{
    if (table->range_count < LINUX_RANGES_MAX)
        table->ranges[table->range_count++] =
            (struct linux_range){base, len, is_writable ? PAGE_READ | PAGE_WRITE : PAGE_READ};
}

/* --- Units of paging.c ------------------------------------------------------------------------ */

static uint64_t unit_of(const struct linux_table *table, uint64_t page)
{
    return linux_unit_of(table, table->base + page * LINUX_PAGE);
}

/* The program has it at another address. */
static bool is_lent(const struct linux_table *table, uint64_t page)
{
    return table->paging && linux_unit_is_lent(table, unit_of(table, page));
}

/* The pages of a unit, which is one of them. */
static uint64_t first_of(const struct linux_table *table, uint64_t unit)
{
    return (table->paging->first - table->base + unit * LINUX_UNIT) / LINUX_PAGE;
}

static uint64_t unit_count(const struct linux_table *table)
{
    return table->paging ? table->paging->unit_count : 0;
}

/* None of their units is to be had for other addresses, as long as one of its pages is in use. */
static void keep_units(struct linux_table *table, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; table->paging && i < page + count; i++) {
        const uint64_t unit = unit_of(table, i);

        if (unit == unit_count(table) || linux_unit_is_lent(table, unit))
            continue;
        for (uint64_t j = 0; table->units[unit] == LINUX_UNIT_USED && j < PAGES_OF_UNIT; j++)
            table->pages[first_of(table, unit) + j] |= PAGE_USED;
        table->units[unit] = LINUX_UNIT_KEPT;
    }
}

static void let_units(struct linux_table *table, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; table->paging && i < page + count; i++) {
        const uint64_t unit = unit_of(table, i);
        unsigned char state = 0;

        if (unit == unit_count(table) || table->units[unit] != LINUX_UNIT_KEPT)
            continue;
        for (uint64_t j = 0; j < PAGES_OF_UNIT; j++)
            state |= table->pages[first_of(table, unit) + j];
        if (!(state & PAGE_MAPPED))
            table->units[unit] = LINUX_UNIT_USED;
    }
}

void linux_add_far(struct linux_table *table, struct linux_paging *paging, uint64_t base,
                   uint64_t len)
{
    const uint64_t first = (table->base + LINUX_UNIT - 1) / LINUX_UNIT * LINUX_UNIT;
    const uint64_t end = table->base + table->page_count * LINUX_PAGE;
    const uint32_t count = first < end ? (uint32_t)((end - first) / LINUX_UNIT) : 0;
    uint32_t *units = linux_pages_take(table, count * sizeof(*units));

    if (!units || !table->host->release)
        return;
    table->units = units;
    table->far_base = base;
    table->far_len = len;
    *paging = (struct linux_paging){(uint64_t)(uintptr_t)table->areas, (uint64_t)(uintptr_t)units,
                                    first, 0, count};
    table->paging = paging;
    for (uint64_t page = 0; page < table->page_count; page++) {
        if (table->pages[page] & PAGE_MAPPED)
            keep_units(table, page, 1);
    }
}

/* --- Pages ------------------------------------------------------------------------------------ */

/*
 * Have the processor enforce it, where it has been told otherwise or will be. Pages that are not
 * mapped are readable and writable for the processor, so that they can be cleared.
 */
static int64_t enforce(struct linux_table *table, uint64_t page, uint64_t count, int prot)
{
    const struct linux_host *host = table->host;

    if (!host->protect)
        return -L_ENOSYS;
    return host->protect(host->context, table->base + page * LINUX_PAGE, count * LINUX_PAGE, prot);
}

static bool is_plain(const struct linux_table *table, uint64_t page)
{
    const unsigned state = table->pages[page];

    return !(state & PAGE_MAPPED) || (state & (PAGE_READ | PAGE_WRITE)) == (PAGE_READ | PAGE_WRITE);
}

/* Have the processor allow everything where it does not: what is there is given up, or cleared. */
static int64_t relax(struct linux_table *table, uint64_t page, uint64_t count)
{
    const uint64_t end = page + count;

    for (uint64_t next; page < end; page = next) {
        int64_t error;

        for (next = page; next < end && !is_plain(table, next);)
            next++;
        if (next == page) {
            next++;
            continue;
        }
        error = enforce(table, page, next - page, PAGE_READ | PAGE_WRITE);
        if (error)
            return error;
        for (uint64_t i = page; i < next; i++)
            table->pages[i] |= PAGE_READ | PAGE_WRITE;
    }
    return 0;
}

static int64_t give_out(struct linux_table *table, uint64_t page, uint64_t count, int prot)
{
    int64_t error = relax(table, page, count);

    if (error)
        return error;
    keep_units(table, page, count);
    for (uint64_t i = page; i < page + count; i++) {
        if (table->pages[i] & PAGE_USED)
            memset(address_of(table, i), 0, LINUX_PAGE);
        table->pages[i] = PAGE_MAPPED | PAGE_READ | PAGE_WRITE | PAGE_USED;
    }
    if (prot == (PAGE_READ | PAGE_WRITE))
        return 0;
    error = enforce(table, page, count, prot);
    for (uint64_t i = page; i < page + count; i++)
        table->pages[i] = (unsigned char)(error ? PAGE_USED : PAGE_MAPPED | PAGE_USED | prot);
    if (error)
        let_units(table, page, count);
    return error ? -L_ENOMEM : 0;
}

/* Pages of the table's own, which an address of the program's may lie among, stay. */
static int64_t take_back(struct linux_table *table, uint64_t page, uint64_t count)
{
    const int64_t error = relax(table, page, count);

    for (uint64_t i = page; i < page + count && !error; i++) {
        if (!(table->pages[i] & PAGE_OWN))
            table->pages[i] &= PAGE_USED;
    }
    let_units(table, page, count);
    return error;
}

static bool is_taken(const struct linux_table *table, uint64_t page)
{
    return (table->pages[page] & PAGE_MAPPED) || is_lent(table, page);
}

/* So many pages in a row that are free, the highest; page_count where there are none. */
static uint64_t find_pages(const struct linux_table *table, uint64_t count)
{
    uint64_t found = 0;

    for (uint64_t page = table->page_count; count > 0 && page-- > 0;) {
        found = is_taken(table, page) ? 0 : found + 1;
        if (found == count)
            return page;
    }
    return table->page_count;
}

/* The same, with what other addresses have and do not use. */
static uint64_t find(struct linux_table *table, uint64_t count)
{
    const uint64_t page = find_pages(table, count);

    return page == table->page_count && linux_far_reclaim(table) ? find_pages(table, count) : page;
}

/* By the program, all of them. */
static bool all_mapped(const struct linux_table *table, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; i < page + count; i++) {
        if ((table->pages[i] & (PAGE_MAPPED | PAGE_OWN)) != PAGE_MAPPED)
            return false;
    }
    return true;
}

static bool any_own(const struct linux_table *table, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; i < page + count; i++) {
        if ((table->pages[i] & PAGE_OWN) || is_lent(table, i))
            return true;
    }
    return false;
}

static bool any_mapped(const struct linux_table *table, uint64_t page, uint64_t count)
{
    for (uint64_t i = page; i < page + count; i++) {
        if (is_taken(table, i))
            return true;
    }
    return false;
}

void *linux_memory_take(struct linux_table *table, uint64_t len)
{
    const uint64_t count = count_of(len), page = find(table, count);

    if (page == table->page_count || give_out(table, page, count, PAGE_READ | PAGE_WRITE))
        return NULL;
    return address_of(table, page);
}

void linux_memory_give(struct linux_table *table, void *base, uint64_t len)
{
    (void)take_back(table, page_of(table, (uint64_t)(uintptr_t)base), count_of(len));
}

void *linux_pages_take(struct linux_table *table, uint64_t len)
{
    void *pages = linux_memory_take(table, len);
    const uint64_t page = pages ? page_of(table, (uint64_t)(uintptr_t)pages) : 0;

    for (uint64_t i = page; pages && i < page + count_of(len); i++)
        table->pages[i] |= PAGE_OWN;
    return pages;
}

void linux_pages_give(struct linux_table *table, void *base, uint64_t len)
{
    const uint64_t page = page_of(table, (uint64_t)(uintptr_t)base);

    for (uint64_t i = page; i < page + count_of(len); i++)
        table->pages[i] = PAGE_USED;
    let_units(table, page, count_of(len));
}

/* --- Calls ------------------------------------------------------------------------------------ */

int64_t linux_brk(struct linux_table *table, const uint64_t *args)
{
    const uint64_t want = args[0], len = table->page_count * LINUX_PAGE;
    const uint64_t old = count_of(table->brk - table->base);
    uint64_t new;

    if (want < table->base || want - table->base > len)
        return (int64_t)table->brk;
    new = count_of(want - table->base);
    if (new > old && any_mapped(table, old, new - old))
        (void)linux_far_reclaim(table);
    if (new > old && (any_mapped(table, old, new - old) ||
                      give_out(table, old, new - old, PAGE_READ | PAGE_WRITE)))
        return (int64_t)table->brk;
    if (new < old && take_back(table, new, old - new))
        return (int64_t)table->brk;
    table->brk = want;
    return (int64_t)want;
}

/* A fixed address of the table's pages: the first page, or a negative errno. */
static int64_t fixed_page(const struct linux_table *table, uint64_t base, uint64_t count,
                          uint64_t flags)
{
    uint64_t page;

    if (!is_ours(table, base, count))
        return -L_ENOMEM;
    page = page_of(table, base);
    if ((flags & MAP_FIXED_NOREPLACE_) && any_mapped(table, page, count))
        return -L_EEXIST;
    return any_own(table, page, count) ? -L_ENOMEM : (int64_t)page;
}

/*
 * Addresses that are to have memory when they are used: what may not be written, what is said to
 * be a reservation, and more than an eighth of all memory.
 */
static bool is_far_map(const struct linux_table *table, uint64_t count, uint64_t flags, int prot)
{
    return table->paging && (prot != (PAGE_READ | PAGE_WRITE) || (flags & MAP_NORESERVE_) ||
                             count > table->page_count / 8);
}

static int64_t map_anywhere(struct linux_table *table, uint64_t hint, uint64_t count,
                            uint64_t flags, int prot)
{
    const uint64_t page =
        is_far_map(table, count, flags, prot) ? table->page_count : find(table, count);
    int64_t error;

    if (page == table->page_count && table->paging &&
        (prot != (PAGE_READ | PAGE_WRITE) || (flags & MAP_NORESERVE_) ||
         linux_far_fits(table, count * LINUX_PAGE)))
        return linux_far_find(table, hint, count * LINUX_PAGE, prot);
    if (page == table->page_count)
        return -L_ENOMEM;
    error = give_out(table, page, count, prot);
    return error ? error : (int64_t)(table->base + page * LINUX_PAGE);
}

int64_t linux_mmap(struct linux_table *table, const uint64_t *args)
{
    const uint64_t base = args[0], len = args[1], flags = args[3];
    const uint64_t count = count_of(len), type = flags & MAP_TYPE_;
    const int prot = prot_of(args[2]);
    int64_t page, error;

    if (args[5] % LINUX_PAGE)
        return -L_EINVAL;
    if (!(flags & MAP_ANONYMOUS_))
        return linux_open_of(table, args[4]) ? -L_ENODEV : -L_EBADF;
    if (len == 0 || (type != MAP_PRIVATE_ && type != MAP_SHARED_))
        return -L_EINVAL;
    if (len > TASK_SIZE)
        return -L_ENOMEM;
    if (args[2] & PROT_EXEC_) /* W^X: what is executable came with the program */
        return -L_EPERM;
    if (prot != (PAGE_READ | PAGE_WRITE) && !table->host->protect)
        return -L_ENOMEM; /* rather than memory that is not protected; and what is there stays */
    if (!(flags & (MAP_FIXED_ | MAP_FIXED_NOREPLACE_)))
        return map_anywhere(table, base, count, flags, prot);
    if (base % LINUX_PAGE)
        return -L_EINVAL;
    if (linux_is_far(table, base)) {
        if ((flags & MAP_FIXED_NOREPLACE_) && linux_far_has_any(table, base, count * LINUX_PAGE))
            return -L_EEXIST;
        return linux_far_map(table, base, count * LINUX_PAGE, prot);
    }
    page = fixed_page(table, base, count, flags);
    if (page < 0)
        return page;
    error = give_out(table, (uint64_t)page, count, prot);
    return error ? error : (int64_t)base;
}

int64_t linux_munmap(struct linux_table *table, const uint64_t *args)
{
    const uint64_t base = args[0], len = args[1], count = count_of(len);

    if (base % LINUX_PAGE || len == 0 || len > TASK_SIZE || base > TASK_SIZE - len)
        return -L_EINVAL;
    if (linux_is_far(table, base))
        return linux_far_unmap(table, base, count * LINUX_PAGE);
    if (!is_ours(table, base, count))
        return -L_ENOMEM; /* the program and its stack stay */
    return take_back(table, page_of(table, base), count);
}

/* Where there is no room beside it, and none in a row, it gets other addresses. */
static int64_t remap_elsewhere(struct linux_table *table, uint64_t page, uint64_t old, uint64_t new)
{
    const int64_t to =
        map_anywhere(table, 0, new, 0, PAGE_READ | PAGE_WRITE); /* nothing is there yet */

    if (to < 0)
        return -L_ENOMEM;
    memcpy((void *)(uintptr_t)to, address_of(table, page), old * LINUX_PAGE);
    (void)take_back(table, page, old); /* it is writable, as was looked at */
    return to;
}

/* Of addresses that are no memory's own. */
static int64_t remap_far(struct linux_table *table, const uint64_t *args)
{
    const uint64_t old_len = count_of(args[1]) * LINUX_PAGE;
    const uint64_t len = count_of(args[2]) * LINUX_PAGE;

    if (len > old_len && linux_may_write(table, args[0], LINUX_PAGE) &&
        !linux_far_fits(table, len - old_len))
        return -L_ENOMEM;
    return linux_far_move(table, args[0], old_len, len, args[3] & MREMAP_MAYMOVE_);
}

int64_t linux_mremap(struct linux_table *table, const uint64_t *args)
{
    const uint64_t base = args[0], old = count_of(args[1]), new = count_of(args[2]);
    uint64_t page;

    if ((args[3] & ~(uint64_t)MREMAP_MAYMOVE_) || base % LINUX_PAGE || new == 0 || old == 0)
        return -L_EINVAL;
    if (args[2] > TASK_SIZE)
        return -L_ENOMEM;
    if (args[1] <= TASK_SIZE && linux_is_far(table, base))
        return remap_far(table, args);
    if (args[1] > TASK_SIZE || !is_ours(table, base, old))
        return -L_EFAULT;
    page = page_of(table, base);
    if (!all_mapped(table, page, old) || !linux_may_write(table, base, old * LINUX_PAGE))
        return -L_EFAULT;
    if (new <= old) {
        const int64_t error = take_back(table, page + new, old - new);

        return error ? error : (int64_t)base;
    }
    if (new <= table->page_count - page && !any_mapped(table, page + old, new - old))
        return give_out(table, page + old, new - old, PAGE_READ | PAGE_WRITE) ? -L_ENOMEM
                                                                              : (int64_t)base;
    return args[3] & MREMAP_MAYMOVE_ ? remap_elsewhere(table, page, old, new) : -L_ENOMEM;
}

int64_t linux_madvise(struct linux_table *table, const uint64_t *args)
{
    enum { NORMAL = 0, WILLNEED = 3, DONTNEED = 4, FREE = 8, HUGEPAGE = 14, NOHUGEPAGE = 15 };
    const uint64_t base = args[0], count = count_of(args[1]);
    const uint32_t what = (uint32_t)args[2];
    const bool is_clear = what == DONTNEED || what == FREE;

    if (base % LINUX_PAGE ||
        (what > WILLNEED && !is_clear && what != HUGEPAGE && what != NOHUGEPAGE))
        return -L_EINVAL;
    if (args[1] > TASK_SIZE)
        return -L_EINVAL;
    if (count == 0)
        return 0;
    if (linux_is_far(table, base) && is_clear)
        return linux_far_clear(table, base, count * LINUX_PAGE);
    if (linux_is_far(table, base))
        return linux_far_covers(table, base, count * LINUX_PAGE) ? 0 : -L_ENOMEM;
    if (!is_ours(table, base, count) || !all_mapped(table, page_of(table, base), count))
        return -L_ENOMEM;
    if (is_clear && linux_may_write(table, base, count * LINUX_PAGE))
        memset((void *)(uintptr_t)base, 0, count * LINUX_PAGE);
    return 0;
}

/* Have a range begin at this address, where one holds it: false where there is no room for it. */
static bool cut(struct linux_table *table, uint64_t at)
{
    for (uint32_t i = 0; i < table->range_count; i++) {
        struct linux_range *range = &table->ranges[i];

        if (at <= range->base || at - range->base >= range->len)
            continue;
        if (table->range_count == LINUX_RANGES_MAX)
            return false;
        table->ranges[table->range_count++] =
            (struct linux_range){at, range->len - (at - range->base), range->prot};
        range->len = at - range->base;
        return true;
    }
    return true;
}

/* Memory that was not given out by the table: the host knows whose it is, and what it may become.
 */
static int64_t protect_ranges(struct linux_table *table, uint64_t base, uint64_t len, uint64_t prot)
{
    const struct linux_host *host = table->host;
    int64_t error;

    if (!linux_has(table, base, len))
        return -L_ENOMEM;
    if (!host->protect)
        return -L_ENOSYS;
    if (!cut(table, base) || !cut(table, base + len))
        return -L_ENOMEM;
    error = host->protect(host->context, base, len, (int)prot);
    for (uint32_t i = 0; i < table->range_count && !error; i++) {
        struct linux_range *range = &table->ranges[i];

        if (range->base >= base && range->base - base < len)
            range->prot = (unsigned)prot_of(prot);
    }
    return error;
}

int64_t linux_mprotect(struct linux_table *table, const uint64_t *args)
{
    const uint64_t base = args[0], count = count_of(args[1]);
    const int prot = prot_of(args[2]);
    bool is_so = true;
    uint64_t page;
    int64_t error;

    if (base % LINUX_PAGE)
        return -L_EINVAL;
    if (args[1] == 0)
        return 0;
    if (args[1] > TASK_SIZE || base > TASK_SIZE)
        return -L_ENOMEM;
    if (args[2] & ~7ull)
        return -L_EINVAL;
    if (linux_is_far(table, base))
        return args[2] & PROT_EXEC_ && linux_far_covers(table, base, count * LINUX_PAGE)
                   ? -L_EACCES
                   : linux_far_protect(table, base, count * LINUX_PAGE, prot);
    if (!is_ours(table, base, count))
        return protect_ranges(table, base, count * LINUX_PAGE, args[2]);
    if (!all_mapped(table, page_of(table, base), count))
        return -L_ENOMEM;
    if (args[2] & PROT_EXEC_)
        return -L_EACCES;
    page = page_of(table, base);
    for (uint64_t i = page; i < page + count; i++)
        is_so &= (table->pages[i] & (PAGE_READ | PAGE_WRITE)) == (unsigned)prot;
    if (is_so)
        return 0;
    error = enforce(table, page, count, prot);
    for (uint64_t i = page; i < page + count && !error; i++)
        table->pages[i] = (unsigned char)(PAGE_MAPPED | PAGE_USED | prot);
    return error;
}
