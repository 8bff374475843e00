/*
 * Random system calls for memory, time, signals and streams, each made of the table and of Linux:
 * both say the same, and what they leave is the same. Files are compared by linux.c.
 */
#define _GNU_SOURCE
#include "linux_host.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGES 16u

/* --- Memory ----------------------------------------------------------------------------------- */

/* Two windows of so many pages, of the table's and of Linux; and a file of one byte with each. */
static uint64_t ours, theirs;
static int64_t our_file;
static int their_file = -1;

static int64_t map_ours(uint64_t at, uint64_t len, int prot, int flags)
{
    return linux_call(&table, SYS_mmap,
                      (const uint64_t[6]){at, len, (uint64_t)prot,
                                          (uint64_t)(MAP_PRIVATE | MAP_ANONYMOUS | flags),
                                          (uint64_t)-1, 0});
}

static int64_t map_theirs(uint64_t at, uint64_t len, int prot, int flags)
{
    return native(syscall(SYS_mmap, at, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0));
}

/* An address each, or the same error. */
static void same_place(const char *what, int64_t a, int64_t b)
{
    same(what, a < 0 ? a : 0, b < 0 ? b : 0);
}

/* Everything readable and writable, and zero. */
static void map_windows(void)
{
    const int prot = PROT_READ | PROT_WRITE;

    if (!theirs)
        theirs = (uint64_t)map_theirs(0, PAGES * LINUX_PAGE, prot, 0);
    else if (map_theirs(theirs, PAGES * LINUX_PAGE, prot, MAP_FIXED) != (int64_t)theirs)
        abort();
    ours = (uint64_t)map_ours(0, PAGES * LINUX_PAGE, prot, 0);
    if ((int64_t)ours < 0)
        abort();
}

static void map_again(uint64_t offset, uint64_t len)
{
    (void)map_ours(ours + offset, len, PROT_READ | PROT_WRITE, MAP_FIXED);
    (void)map_theirs(theirs + offset, len, PROT_READ | PROT_WRITE, MAP_FIXED);
}

/* A byte goes to a file and back: who may read here, who may write, and what there is. */
static void look_at(uint64_t offset)
{
    unsigned char a = 1, b = 1;
    const uint64_t spare = table.ranges[0].base;

    same("reading memory", call(SYS_pwrite64, (uint64_t)our_file, ours + offset, 1, 0),
         native(pwrite(their_file, (const void *)(uintptr_t)(theirs + offset), 1, 0)));
    *(unsigned char *)(uintptr_t)spare = 1;
    same("a byte", call(SYS_pread64, (uint64_t)our_file, spare, 1, 0),
         native(pread(their_file, &b, 1, 0)));
    a = *(const unsigned char *)(uintptr_t)spare;
    same("what memory holds", a, b);
    same("writing memory", call(SYS_pread64, (uint64_t)our_file, ours + offset, 1, 0),
         native(pread(their_file, (void *)(uintptr_t)(theirs + offset), 1, 0)));
}

/* Something that is not zero, where it may be written. */
static void mark(uint64_t offset, uint8_t value)
{
    const uint64_t spare = table.ranges[0].base;

    *(unsigned char *)(uintptr_t)spare = value;
    (void)call(SYS_pwrite64, (uint64_t)our_file, spare, 1, 0);
    (void)native(pwrite(their_file, &value, 1, 0));
    look_at(offset);
}

static void grow_and_shrink(uint64_t old, uint64_t new)
{
    const int prot = PROT_READ | PROT_WRITE;
    int64_t a = map_ours(0, old, prot, 0), b = map_theirs(0, old, prot, 0), c, d;
    uint64_t left_a = old, left_b = old;

    if (a < 0 || b < 0)
        abort();
    memset((void *)(uintptr_t)a, 'm', old);
    memset((void *)(uintptr_t)b, 'm', old);
    c = call(SYS_mremap, (uint64_t)a, old, new, MREMAP_MAYMOVE);
    d = native(syscall(SYS_mremap, b, old, new, MREMAP_MAYMOVE));
    same_place("mremap", c, d);
    if (c >= 0) {
        a = c;
        b = d;
        left_a = left_b = new;
        same("what moved",
             memcmp((const void *)(uintptr_t)a, (const void *)(uintptr_t)b, (size_t) new), 0);
    }
    same("munmap", call(SYS_munmap, (uint64_t)a, left_a, 0, 0),
         native(syscall(SYS_munmap, b, left_b)));
}

/* What brk gives is zero, each time. */
static void move_brk(uint64_t len)
{
    const uint64_t low = (uint64_t)call(SYS_brk, 0, 0, 0, 0);

    if ((uint64_t)call(SYS_brk, low + len, 0, 0, 0) != low + len)
        return;
    for (uint64_t i = 0; i < len; i++) {
        if (((const unsigned char *)(uintptr_t)low)[i])
            same("new memory of brk", 1, 0);
    }
    memset((void *)(uintptr_t)low, 'b', len);
    same("brk", call(SYS_brk, low, 0, 0, 0), (int64_t)low);
}

static void one_memory_call(void)
{
    static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_WRITE};
    const uint8_t what = pick() % 9;
    const uint64_t page = pick() % PAGES, count = 1 + pick() % (PAGES - page);
    const uint64_t offset = page * LINUX_PAGE, len = count * LINUX_PAGE;
    const uint8_t more = pick();
    const int prot = prots[more % 4];
    const uint64_t odd = more / 4 % 8 == 0 ? 1 : 0; /* an address that is none of a page */
    int64_t result;

    switch (what) {
    case 0:
        same_place("mmap", map_ours(ours + offset + odd, len, prot, MAP_FIXED),
                   map_theirs(theirs + offset + odd, len, prot, MAP_FIXED));
        break;
    case 1:
        same("munmap", call(SYS_munmap, ours + offset + odd, len, 0, 0),
             native(syscall(SYS_munmap, theirs + offset + odd, len)));
        break;
    case 2:
    case 3:
        result = call(SYS_mprotect, ours + offset + odd, len - more % 2, (uint64_t)prot, 0);
        same("mprotect", result,
             native(syscall(SYS_mprotect, theirs + offset + odd, len - more % 2, prot)));
        if (result == -ENOMEM) { /* Linux has changed what comes before the hole */
            (void)call(SYS_munmap, ours + offset, len, 0, 0);
            (void)syscall(SYS_munmap, theirs + offset, len);
        }
        break;
    case 4:
        result = call(SYS_madvise, ours + offset + odd, len, MADV_DONTNEED, 0);
        same("madvise", result,
             native(syscall(SYS_madvise, theirs + offset + odd, len, MADV_DONTNEED)));
        if (result == -ENOMEM) /* and has cleared what is on both sides of it */
            map_again(offset, len);
        break;
    case 5:
        same_place("mmap where nothing is", map_ours(ours + offset, len, prot, MAP_FIXED_NOREPLACE),
                   map_theirs(theirs + offset, len, prot, MAP_FIXED_NOREPLACE));
        break;
    case 6:
        mark(offset + more, more);
        break;
    case 7:
        grow_and_shrink(len, 1 + more % 24 * 1000u);
        break;
    default:
        move_brk(more * 100u);
    }
    look_at(page * LINUX_PAGE);
    look_at((page + count - 1) * LINUX_PAGE);
}

static void memory_calls(void)
{
    static const char path[] = "/tmp/byte";
    const uint64_t spare = table.ranges[0].base;

    if (their_file < 0)
        their_file = memfd_create("byte", MFD_CLOEXEC);
    if (their_file < 0 || ftruncate(their_file, 0))
        abort();
    memcpy((void *)(uintptr_t)spare, path, sizeof(path));
    our_file = call(SYS_open, spare, O_RDWR | O_CREAT, 0600, 0);
    if (call(SYS_pwrite64, (uint64_t)our_file, spare, 1, 0) != 1 ||
        pwrite(their_file, path, 1, 0) != 1)
        abort();
    map_windows();
    while (left > 0)
        one_memory_call();
}

/* --- Time ------------------------------------------------------------------------------------- */

/* Times of the program's, and addresses where none is. */
static uint64_t time_of(uint8_t which, struct timespec *native_time)
{
    static const struct timespec times[] = {{0, 0},          {0, 1},  {0, 1000}, {-1, 0},
                                            {0, 1000000000}, {0, -1}, {-1, 1}};
    const uint64_t spare = table.ranges[0].base + 64;

    *native_time = times[which % 7];
    memcpy((void *)(uintptr_t)spare, native_time, sizeof(*native_time));
    return spare;
}

/* Again where the fuzzer's own alarm has interrupted it. */
#define UNDISTURBED(call_)                     \
    __extension__({                            \
        long result_;                          \
                                               \
        do                                     \
            result_ = (call_);                 \
        while (result_ < 0 && errno == EINTR); \
        result_;                               \
    })

static void one_time_call(void)
{
    const uint8_t what = pick() % 6, more = pick();
    const uint64_t clock = more % 16 < 8 ? more % 16 : more; /* of the rest Linux has some more */
    struct timespec time;
    const uint64_t at = more % 11 == 0 ? 0 : time_of(pick(), &time);
    struct timespec *const native_at = at ? &time : NULL;
    const bool is_clock = clock < 8;

    if (!is_clock && clock < 16)
        return;
    switch (what) {
    case 0:
        same("clock_gettime", call(SYS_clock_gettime, clock, at, 0, 0),
             native(syscall(SYS_clock_gettime, clock, native_at)));
        break;
    case 1:
        same("clock_getres", call(SYS_clock_getres, clock, at, 0, 0),
             native(syscall(SYS_clock_getres, clock, native_at)));
        break;
    case 2:
        same("nanosleep", call(SYS_nanosleep, at, 0, 0, 0),
             native(UNDISTURBED(syscall(SYS_nanosleep, native_at, NULL))));
        break;
    case 3: {
        const uint64_t is_absolute = more / 16 % 2;

        if (is_clock && clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)
            break; /* coarse ones cannot be slept by, which the table does not mind */
        same(
            "clock_nanosleep", call(SYS_clock_nanosleep, clock, is_absolute, at, 0),
            native(UNDISTURBED(syscall(SYS_clock_nanosleep, clock, is_absolute, native_at, NULL))));
        break;
    }
    case 4:
        same("gettimeofday", call(SYS_gettimeofday, at, 0, 0, 0),
             native(syscall(SYS_gettimeofday, native_at, NULL)));
        break;
    default: {
        static uint32_t word = 7;
        const uint64_t ours_at = table.ranges[0].base + 128, value = more % 2 ? 7 : 8;

        if (!at)
            break; /* for ever */
        memcpy((void *)(uintptr_t)ours_at, &word, sizeof(word));
        same("futex", call(SYS_futex, ours_at, more / 2 % 2 ? 0x80 : 0, value, at),
             native(syscall(SYS_futex, &word, more / 2 % 2 ? 0x80 : 0, value, native_at)));
    }
    }
}

/* --- Signals ---------------------------------------------------------------------------------- */

#define SET_OF(signal) (1ull << ((signal)-1))
#define MINE (SET_OF(SIGUSR1) | SET_OF(SIGUSR2) | SET_OF(SIGCHLD))

struct action {
    uint64_t handler, flags, restorer, mask;
};

static void end_signals(void)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGCHLD};
    const struct action ignore = {.handler = 1}, usual = {.handler = 0};
    const uint64_t none = 0;

    for (int i = 0; i < 3; i++)
        (void)syscall(SYS_rt_sigaction, signals[i], &ignore, NULL, 8);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
    for (int i = 0; i < 3; i++)
        (void)syscall(SYS_rt_sigaction, signals[i], &usual, NULL, 8);
}

/* Would this mask let something go that ends the program? */
static bool end_of(uint64_t set, int how)
{
    const uint64_t after = how == SIG_BLOCK     ? table.blocked | set
                           : how == SIG_UNBLOCK ? table.blocked & ~set
                           : how == SIG_SETMASK ? set
                                                : table.blocked;
    const uint64_t due = table.pending & ~after;

    return (due & SET_OF(SIGUSR1) && table.actions[SIGUSR1].handler == 0) ||
           (due & SET_OF(SIGUSR2) && table.actions[SIGUSR2].handler == 0);
}

static void one_signal_call(void)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGCHLD, SIGKILL, SIGSTOP, 0, 65, 200};
    const uint8_t what = pick() % 4, more = pick();
    const int number = signals[pick() % 8];
    const uint64_t a = table.ranges[0].base + 256, b = a + 64, size = more % 13 == 0 ? 4 : 8;
    struct action new = {.handler = more % 2}, old = {.handler = 0};
    uint64_t set = 0, before = 0, mine = 0;

    switch (what) {
    case 0:
        memcpy((void *)(uintptr_t)a, &new, sizeof(new));
        memset((void *)(uintptr_t)b, 0, sizeof(old));
        same("rt_sigaction", call(SYS_rt_sigaction, (uint64_t)number, more % 3 ? a : 0, b, size),
             native(syscall(SYS_rt_sigaction, number, more % 3 ? &new : NULL, &old, size)));
        same("an old handler", *(const int64_t *)(uintptr_t)b, (int64_t)old.handler);
        break;
    case 1:
        set = (more & 1 ? SET_OF(SIGUSR1) : 0) | (more & 2 ? SET_OF(SIGUSR2) : 0) |
              (more & 4 ? SET_OF(SIGCHLD) : 0) | (more & 8 ? SET_OF(SIGKILL) : 0);
        /* What becomes free and would end the program is no matter of answers. */
        if (end_of(set, more / 16 % 4))
            break;
        memcpy((void *)(uintptr_t)a, &set, sizeof(set));
        memset((void *)(uintptr_t)b, 0, sizeof(before));
        same("rt_sigprocmask", call(SYS_rt_sigprocmask, more / 16 % 4, a, b, size),
             native(syscall(SYS_rt_sigprocmask, more / 16 % 4, &set, &before, size)));
        memcpy(&mine, (const void *)(uintptr_t)b, sizeof(mine));
        same("an old mask", (int64_t)(mine & MINE), (int64_t)(before & MINE));
        break;
    case 2:
        if (number < 1 || number > 64 || (SET_OF(number) & MINE) == 0 ||
            (table.actions[number].handler == 0 && number != SIGCHLD &&
             !(table.blocked & SET_OF(number))))
            break; /* it would be the end */
        same("tkill", call(SYS_tkill, 1000, (uint64_t)number, 0, 0),
             native(syscall(SYS_tkill, syscall(SYS_gettid), number)));
        break;
    default:
        memset((void *)(uintptr_t)b, 0, sizeof(before));
        same("rt_sigpending", call(SYS_rt_sigpending, b, size, 0, 0),
             native(syscall(SYS_rt_sigpending, &before, size)));
        memcpy(&mine, (const void *)(uintptr_t)b, sizeof(mine));
        same("what is pending", (int64_t)(mine & MINE), (int64_t)(before & MINE));
    }
}

/* --- Streams ---------------------------------------------------------------------------------- */

static unsigned char bytes[2048];

/* A pipe from which all that there is can be read, and a file for what is written. */
static void make_streams(int *from, int *to, size_t len)
{
    int ends[2];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    if (pipe2(ends, O_CLOEXEC) || write(ends[1], bytes, len) != (ssize_t)len || close(ends[1]))
        abort();
    *from = ends[0];
    *to = memfd_create("output", MFD_CLOEXEC);
    input = bytes;
    input_len = len;
    if (*to < 0)
        abort();
}

static void move_vectors(bool writes, int fd)
{
    static unsigned char native_bytes[4096];
    unsigned char *const own = (unsigned char *)(uintptr_t)(table.ranges[0].base + LINUX_PAGE);
    const uint64_t at = table.ranges[0].base + 512;
    struct iovec a[8], b[8];
    const uint64_t count = pick() % 9;
    const uint8_t how = pick();
    size_t used = 0;

    for (size_t i = 0; i < 4096; i++)
        native_bytes[i] = own[i] = writes ? (unsigned char)(i + how) : 0;
    for (uint64_t i = 0; i < count && i < 8; i++) {
        const size_t len = (size_t)pick() * 2;

        a[i] = (struct iovec){own + used, len};
        b[i] = (struct iovec){native_bytes + used, len};
        used += len;
    }
    if (how % 16 == 0 && count > 0)
        a[0].iov_len = b[0].iov_len = SIZE_MAX / 2 + 1;
    memcpy((void *)(uintptr_t)at, a, sizeof(a));
    same("vectors",
         call(writes ? SYS_writev : SYS_readv, writes, at,
              how % 16 == 1 ? 1025
              : count > 8   ? 8
                            : count,
              0),
         native(syscall(writes ? SYS_writev : SYS_readv, fd, b,
                        how % 16 == 1 ? 1025
                        : count > 8   ? 8
                                      : count)));
    same("the bytes of vectors", memcmp(own, native_bytes, 4096), 0);
}

static void one_stream_call(int from, int to)
{
    const uint64_t at = table.ranges[0].base + LINUX_PAGE;
    static unsigned char native_bytes[512];
    const uint8_t what = pick() % 7;
    const uint64_t len = pick();

    switch (what) {
    case 0:
        memset((void *)(uintptr_t)at, 0, 256);
        memset(native_bytes, 0, 256);
        same("read", call(SYS_read, 0, at, len, 0), native(read(from, native_bytes, len)));
        same("the bytes of a read", memcmp((const void *)(uintptr_t)at, native_bytes, 256), 0);
        break;
    case 1:
    case 2:
        move_vectors(what == 2, what == 2 ? to : from);
        break;
    case 3: {
        struct pollfd native_poll[2] = {{from, (short)(len % 2), 0}, {-1, POLLIN, 0}};
        const struct pollfd polled[2] = {{0, (short)(len % 2), 0}, {-1, POLLIN, 0}};
        int64_t ready = poll(native_poll, 2, 0);

        memcpy((void *)(uintptr_t)at, polled, sizeof(polled));
        /* That the other end is gone is told of a pipe, and not of a guest's stream. */
        if (!(len % 2))
            ready = 0;
        same("poll", call(SYS_poll, at, 2, 0, 0), ready);
        break;
    }
    case 4:
        same("lseek", call(SYS_lseek, 0, len, len % 3, 0),
             native(lseek(from, (off_t)len, (int)(len % 3))));
        same("pread", call(SYS_pread64, 0, at, len, 0), native(pread(from, native_bytes, len, 0)));
        break;
    case 5:
        same("ftruncate", call(SYS_ftruncate, 0, len, 0, 0), native(ftruncate(from, (off_t)len)));
        same("fsync", call(SYS_fsync, 0, 0, 0, 0), native(fsync(from)));
        break;
    default:
        same("ioctl", call(SYS_ioctl, 0, 0x5401 /* TCGETS */, at, 0),
             native(syscall(SYS_ioctl, from, 0x5401, native_bytes)));
        same("a write to what is read", call(SYS_write, 0, at, len, 0),
             native(write(from, native_bytes, len)));
    }
}

static void stream_calls(void)
{
    unsigned char written[sizeof(output)];
    int from, to;

    make_streams(&from, &to, (size_t)pick() * 8);
    while (left > 0 && output_len < 4096)
        one_stream_call(from, to);
    same("how much was written", (int64_t)output_len, lseek(to, 0, SEEK_END));
    same("what was written", pread(to, written, output_len, 0), (int64_t)output_len);
    same("what was written", memcmp(written, output, output_len), 0);
    (void)close(from);
    (void)close(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    at = data;
    left = len;
    begin();
    switch (pick() % 4) {
    case 0:
        memory_calls();
        break;
    case 1:
        while (left > 0)
            one_time_call();
        break;
    case 2:
        end_signals();
        while (left > 0)
            one_signal_call();
        end_signals();
        break;
    default:
        stream_calls();
    }
    return 0;
}
