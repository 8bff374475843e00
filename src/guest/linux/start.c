/*
 * What the table of system calls needs, from the library of the guest.
 *
 * The program's calls come to `entry` in entry.c, on a stack of their own. They wait by the port
 * like everyone, and meanwhile no call of the host's is served: an exported function would need a
 * stack, and could make system calls itself. It is served when the program waits outside of them.
 */
#include "start.h"
#include "entry.h"
#include "linux.h"
#include "switch.h"
#include "vectors.h"
#include "../port.h"
#include "../stream/stream.h"

#define LIBRARY_HEAP_MAX                                                             \
    (4ull << 20)         /* of the library itself: an eighth of the heap, up to this \
                          */
#define SLOW_NS 20000000 /* output is not held back longer than this, if there is more */

/*
 * A short read, or what poll had to read because nobody can say whether there is something: what
 * came too much of standard input waits here.
 */
static struct {
    unsigned char bytes[sizeof(struct halo_stream_error)];
    uint32_t at, len;
    bool is_asked; /* future is in flight */
    struct halo_future future;
} ahead;

/* An input that is nobody else's is read ahead: the bytes that were not yet asked for. */
static struct {
    struct halo_reader reader;
    const unsigned char *bytes;
    size_t len;
    bool is_open, is_vain; /* there was no memory for it */
} own;

/*
 * Poll's question: whether a read would wait. A program that polls before each read has the next
 * one asked with the read, so that it costs no exit. Its answer says what held when the host last
 * let the guest run, and is used once, where the program cannot tell that this is not now: it has
 * neither left the guest since, nor heard of its host, nor asked for the time.
 */
static struct {
    struct halo_future future;
    unsigned char room[sizeof(struct halo_stream_error)];
    bool is_asked;    /* future is in flight, or is answered and was not used */
    bool is_vain;     /* the stream's end cannot say */
    bool was_polled;  /* since the last read */
    uint64_t counter; /* when its answer came, or 0 */
    uint64_t epoch;   /* of the boot page, when it was last asked */
    uint32_t came; /* halo__port_came at that time: a host beside the guest answers without that */
} question;

/* --- Time ------------------------------------------------------------------------------------- */

/* From the boot page, where they are for as long as the guest lives. */
static const struct halo_status *status;
static struct halo_save *save_page;

__extension__ typedef unsigned __int128 wide;

/* Nanoseconds since the host last let the guest run: by a product, for a division takes longer than
 * the rest of a call. The rate is known to parts in a million. */
static inline int64_t since(void)
{
    static uint64_t rate, factor; /* nanoseconds a tick, of 2^32 */
    const uint64_t ticks = __builtin_ia32_rdtsc() - save_page->counter;
    const uint64_t now = status->counter_rate;

    if (now != rate) {
        rate = now;
        factor = now ? (1000000000ull << 32) / now : 0;
    }
    return (int64_t)((wide)ticks * factor >> 32);
}

/* No clock goes back: the rate is only known to some parts in a million. */
static inline void look_at_clock(int64_t *monotonic_ns, int64_t *real_ns)
{
    static int64_t last;
    const int64_t ns = since(); /* the rest changes only while the guest stands still */
    const int64_t at = status->monotonic_ns + ns;

    *real_ns = status->real_ns + ns;
    last = at < last ? last : at;
    *monotonic_ns = last;
}

static void now(void *context, int64_t *monotonic_ns, int64_t *real_ns)
{
    (void)context;
    question.counter = 0;
    look_at_clock(monotonic_ns, real_ns);
}

static void sleep_(void *context, int64_t ns)
{
    int64_t from, at, real;

    (void)context;
    halo__linux_keep_vectors();
    look_at_clock(&from, &real);
    do {
        look_at_clock(&at, &real);
        if (at - from < ns && !linux_is_cut_short(&halo__linux))
            halo__port_sleep(ns - (at - from));
    } while (at - from < ns && !linux_is_cut_short(&halo__linux));
}

/* --- Streams ---------------------------------------------------------------------------------- */

static int64_t result(int error, int32_t os_error)
{
    enum { EIO_ = 5 };

    return error ? -(int64_t)(os_error > 0 ? os_error : EIO_) : 0;
}

/* Ask for so few bytes that there has to be more room than that. */
static void ask_ahead(uint32_t handle, size_t len)
{
    (void)halo__stream_read_few(&ahead.future, handle, ahead.bytes, (uint32_t)len);
    ahead.is_asked = true;
}

/* What came of it waits in `ahead`. */
static int64_t take_ahead(void)
{
    const int error = halo_wait(&ahead.future);

    ahead.is_asked = false;
    ahead.at = 0;
    ahead.len = error ? 0 : (uint32_t)ahead.future.result.len;
    return result(error, ahead.future.code);
}

static int64_t give_ahead(void *to, size_t len)
{
    const uint32_t left = ahead.len - ahead.at, part = len < left ? (uint32_t)len : left;

    memcpy(to, ahead.bytes + ahead.at, part);
    ahead.at += part;
    return part;
}

/* Ask whether there is something to read, and take nothing; or, where nobody can say, a byte. */
static void ask(uint32_t handle)
{
    const uint64_t epoch = halo_boot_page()->epoch;

    if (epoch != question.epoch) { /* it goes on elsewhere, where another end may be able to say */
        question.epoch = epoch;
        question.is_vain = false;
    }
    if (!question.is_vain && halo__stream_can_ask()) {
        (void)halo__stream_read_few(&question.future, handle, question.room, 0);
        question.is_asked = true;
        question.counter = 0;
    } else {
        ask_ahead(handle, 1);
    }
}

/* For the next poll, with a read that was started, and before it is waited for. */
static bool ask_behind(uint32_t handle)
{
    const bool asks =
        question.was_polled && !question.is_asked && !question.is_vain && halo__stream_can_ask();

    question.was_polled = false;
    if (asks)
        ask(handle);
    return asks;
}

/* That read has come back. An answer from before it says nothing about what it has left. */
static void keep_answer(bool is_behind)
{
    if (!question.is_asked || !question.future.done)
        return;
    question.is_asked = is_behind;
    question.counter = save_page->counter;
    question.came = halo__port_came;
}

/* Up to 3 bytes. */
static int64_t read_few(uint32_t handle, void *to, size_t len)
{
    bool is_behind;
    int64_t got;

    ask_ahead(handle, len);
    is_behind = ask_behind(handle);
    got = take_ahead();
    keep_answer(is_behind);
    return got < 0 ? got : give_ahead(to, len);
}

static bool has_own(uint32_t handle)
{
    if (own.is_open || own.is_vain || handle != 0 || !halo_boot_page()->own_input)
        return own.is_open && handle == 0;
    own.is_open = halo_reader_open(&own.reader, handle) == 0;
    own.is_vain = !own.is_open;
    return own.is_open;
}

static int64_t read_own(void *to, size_t len)
{
    const void *bytes;
    int64_t got;

    if (own.len == 0) {
        got = halo_reader_next(&own.reader, &bytes);
        if (got <= 0)
            return got ? result((int)got, own.reader.os_error) : 0;
        own.bytes = bytes;
        own.len = (size_t)got;
    }
    if (len > own.len)
        len = own.len;
    memcpy(to, own.bytes, len);
    own.bytes += len;
    own.len -= len;
    return (int64_t)len;
}

/* By way of a buffer of the library's: a program's memory may lie in several pieces of the host's.
 */
static int64_t read_stream(void *context, uint32_t handle, void *to, size_t len)
{
    struct halo_future future;
    bool is_behind;
    void *buf;
    int64_t got;

    (void)context;
    halo__linux_keep_vectors();
    if (ahead.is_asked || ahead.at < ahead.len) {
        got = ahead.is_asked ? take_ahead() : 0;
        return got < 0 ? got : give_ahead(to, len);
    }
    if (has_own(handle))
        return read_own(to, len);
    if (len < sizeof(ahead.bytes))
        return read_few(handle, to, len);
    if (len > HALO_STREAM_BUF)
        len = HALO_STREAM_BUF;
    while (!(buf = halo__buf_alloc(HALO_STREAM_BUF)))
        halo__port_wait(); /* output gives some back */
    (void)halo_stream_read_start(&future, handle, buf, len);
    is_behind = ask_behind(handle);
    got = result(halo_wait(&future), future.code);
    keep_answer(is_behind);
    if (!got) {
        got = (int64_t)future.result.len;
        memcpy(to, buf, (size_t)got);
    }
    halo__buf_free(buf);
    return got;
}

/* Output goes out at the latest when the program has worked on it for so long. */
static int64_t write_stream(void *context, uint32_t handle, const void *from, size_t len)
{
    int error;

    (void)context;
    halo__linux_keep_vectors();
    error = halo_write(handle, from, len);
    if (!error && since() > SLOW_NS)
        (void)halo_flush();
    return error ? result(error, halo_write_error(handle)) : (int64_t)len;
}

/* Whether the answer that poll waits for has come. */
static bool is_answered(uint32_t handle, bool *was_asked)
{
    enum { EOPNOTSUPP_ = 95 };

    if (ahead.is_asked)
        return halo_ready(&ahead.future);
    if (!halo_ready(&question.future))
        return false;
    question.is_asked = false;
    if (question.future.code != EOPNOTSUPP_)
        return true;
    question.is_vain = true;
    ask_ahead(handle, 1);
    *was_asked = false;
    return false;
}

static bool readable(void *context, uint32_t handle, int64_t wait_ns)
{
    int64_t from, at, real, left;
    bool was_asked = false; /* the host has seen the request */

    (void)context;
    halo__linux_keep_vectors();
    question.was_polled = true;
    if (ahead.at < ahead.len || has_own(handle)) /* a file has something, or its end */
        return true;
    if (question.is_asked && halo_ready(&question.future)) {
        question.is_asked = false;
        if (question.counter == save_page->counter && question.came == halo__port_came)
            return true;
    }
    if (!question.is_asked && !ahead.is_asked)
        ask(handle);
    look_at_clock(&from, &real);
    for (;; was_asked = true) {
        if (is_answered(handle, &was_asked))
            return true;
        look_at_clock(&at, &real);
        left = wait_ns - (at - from);
        if ((left <= 0 || linux_is_cut_short(&halo__linux)) && was_asked)
            return false;
        halo__port_sleep(left > 0 ? left : 1);
    }
}

/* --- The table's host ------------------------------------------------------------------------- */

static void set_fs(void *context, uint64_t base)
{
    (void)context;
    __asm__ volatile("wrfsbase %0" : : "r"(base));
}

static void halt(void *context, int code)
{
    enum { BY_SIGPIPE = 128 + 13 };
    uint32_t handle;

    (void)context;
    halo__linux_keep_vectors();
    if (code == BY_SIGPIPE && halo__write_failed(&handle))
        halo__end_unwritten(handle);
    halo_exit(code);
}

static void stuck(void *context, const char *words, size_t len)
{
    (void)context;
    halo__linux_keep_vectors();
    (void)halo_flush();
    for (;;)
        halo__doorbell(HALO_DOORBELL_PANIC, (uintptr_t)words, len);
}

static void say(void *context, const char *words)
{
    (void)context;
    halo__linux_keep_vectors();
    halo_log_text(HALO_LOG_WARN, words, strlen(words));
}

/* By code of the host's: HALO_PROTECT_OFFSET. */
static int64_t protect(void *context, uint64_t base, uint64_t len, int prot)
{
    int64_t (*code)(uint64_t, uint64_t, uint64_t) =
        (int64_t(*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->protect;

    (void)context;
    return code(base, len, (uint64_t)prot);
}

/* And of what is at other addresses: HALO_RELEASE_OFFSET. */
static int64_t release(void *context, uint64_t base, uint64_t len)
{
    int64_t (*code)(uint64_t, uint64_t) =
        (int64_t(*)(uint64_t, uint64_t))(uintptr_t)halo_boot_page()->release;

    (void)context;
    return code(base, len);
}

static struct linux_host host = {
    .read = read_stream,
    .write = write_stream,
    .readable = readable,
    .now = now,
    .sleep = sleep_,
    .set_fs = set_fs,
    .halt = halt,
    .spawn = halo__linux_spawn,
    .change = halo__linux_change,
    .ticks = halo__linux_ticks,
    .stuck = stuck,
    .say = say,
};

/* --- Start ------------------------------------------------------------------------------------ */

void halo__linux_begin(const struct halo_boot *boot)
{
    const uint64_t eighth = boot->heap_len / 8;

    if (!boot->save || !boot->status)
        halo_panic("this host answers no system calls");
    status = (const struct halo_status *)(uintptr_t)boot->status;
    save_page = (struct halo_save *)(uintptr_t)boot->save;
    if (save_page->counter == 0) /* nothing has come back by the doorbell yet */
        save_page->counter = __builtin_ia32_rdtsc();
    halo__heap_limit((eighth < LIBRARY_HEAP_MAX ? eighth : LIBRARY_HEAP_MAX) / HALO_PAGE *
                     HALO_PAGE);
}

/* Arguments and results of calls may be longer than what the library keeps. */
static void *take_memory(uint64_t len)
{
    return linux_memory_take(&halo__linux, len);
}

static void give_memory(void *memory, uint64_t len)
{
    linux_memory_give(&halo__linux, memory, len);
}

void halo__linux_table(const struct halo_boot *boot)
{
    const uint64_t kept = halo__heap_limit(0);
    const uint64_t args = boot->args / HALO_PAGE * HALO_PAGE;
    uint64_t seed[4];

    if (boot->protect)
        host.protect = protect;
    if (boot->release)
        host.release = release;
    memcpy(seed, boot->seed, sizeof(seed));
    linux_init(&halo__linux, &host, (void *)(uintptr_t)(boot->heap_base + kept),
               boot->heap_len - kept, seed);
    _Static_assert(LINUX_CALLS == HALO_CALLS_COUNT, "the same numbers");
    halo__linux.unknown = save_page->unknown;
    halo__heap_more = (struct halo__heap_more){take_memory, give_memory};
    if (boot->signals)
        halo__linux.outside = (struct linux_outside *)&save_page->tick.raised;
    halo__linux.stack_len = boot->stack_len;
    linux_add_range(&halo__linux, boot->heap_base, kept, true);
    linux_add_range(&halo__linux, boot->stack_low, boot->stack_len, true);
    linux_add_range(&halo__linux, boot->pool_base, boot->pool_len, true);
    linux_add_range(&halo__linux, args, boot->args_len + (boot->args - args), false);
    _Static_assert(sizeof(struct linux_paging) == sizeof(struct halo_paging) &&
                       sizeof(struct linux_area) == sizeof(struct halo_area) &&
                       LINUX_UNIT == HALO_UNIT_LEN && LINUX_AREAS_MAX == HALO_AREAS_MAX &&
                       LINUX_UNIT_KEPT == HALO_UNIT_KEPT && LINUX_UNIT_USED == HALO_UNIT_USED,
                   "what the host reads");
    if (boot->release)
        linux_add_far(&halo__linux, (struct linux_paging *)&save_page->paging, HALO_PAGING_BASE,
                      HALO_PAGING_LEN);
    halo__linux_keep();
}
