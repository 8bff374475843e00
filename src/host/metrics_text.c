/* Numbers as text: see halo/metrics.h. The format is OpenMetrics, version 1.0. */
#include <halo/metrics.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

/* Numbers are printed as they are, or, of nanoseconds, as seconds. */
struct family {
    const char *name, *unit, *help; /* the unit stands at the end of the name, or "" */
    enum kind kind;
    size_t offset;
};

#define NUMBER(name, unit, kind, field, help)                        \
    {                                                                \
        name, unit, help, kind, offsetof(struct halo_metrics, field) \
    }

static const struct family families[] = {
    NUMBER("halo_sandboxes", "", GAUGE, sandboxes, "Sandboxes of which these numbers are."),
    NUMBER("halo_requests", "", COUNTER, requests, "Requests taken from the guest."),
    NUMBER("halo_exits", "", COUNTER, exits, "Times that the guest was left."),
    NUMBER("halo_kicks", "", COUNTER, kicks, "Times that it left to tell of requests."),
    NUMBER("halo_waits", "", COUNTER, waits, "Times that it left to wait."),
    NUMBER("halo_calls", "", COUNTER, calls, "Calls of the host's functions."),
    NUMBER("halo_calls_out", "", COUNTER, calls_out, "Calls of the guest's functions."),
    NUMBER("halo_calls_out_answered", "", COUNTER, calls_out_answered,
           "Calls of the guest's functions that came back."),
    NUMBER("halo_deferred", "", COUNTER, deferred,
           "Answers to calls for which the guest had too little room."),
    NUMBER("halo_discarded", "", COUNTER, discarded,
           "Of those, answers that were given up before they were fetched."),
    NUMBER("halo_deferred_out", "", COUNTER, deferred_out,
           "Calls of the guest's functions for which its buffers were too short."),
    NUMBER("halo_fetched_bytes", "bytes", COUNTER, fetched,
           "Bytes of such answers and calls that the guest fetched."),
    NUMBER("halo_spare_bytes", "bytes", COUNTER, spare, "Room for answers that they left over."),
    NUMBER("halo_spare_out_bytes", "bytes", COUNTER, spare_out,
           "Room in buffers that calls of the guest's functions left over."),
    NUMBER("halo_in_bytes", "bytes", COUNTER, bytes_in, "Bytes that the guest read from streams."),
    NUMBER("halo_out_bytes", "bytes", COUNTER, bytes_out, "Bytes that the guest wrote to streams."),
    NUMBER("halo_elapsed_seconds", "seconds", COUNTER, elapsed_ns,
           "Time inside the functions that run the guest."),
    NUMBER("halo_system_calls", "", COUNTER, system_calls,
           "System calls that the guest answered itself, as it says."),
    NUMBER("halo_restores", "", COUNTER, restores, "Times that a snapshot was restored."),
    NUMBER("halo_restored_pages", "", COUNTER, restored_pages,
           "Pages of memory that differed then."),
    NUMBER("halo_held_bytes", "bytes", GAUGE, held_bytes, "Bytes that the host holds for guests."),
    NUMBER("halo_ends", "", COUNTER, ends, "Guests that have ended."),
    NUMBER("halo_failures", "", COUNTER, failures, "Guests that have ended with an error."),
    NUMBER("halo_log_lines", "", COUNTER, log_lines, "Lines of the guest's log that were taken."),
    NUMBER("halo_log_dropped", "", COUNTER, log_dropped, "Lines of it that were dropped."),
    NUMBER("halo_sleeps", "", COUNTER, sleeps,
           "Times that the host slept beside a guest on a thread of its own."),
    NUMBER("halo_upcalls", "", COUNTER, upcalls,
           "Times that the guest was stopped to be called while it computed."),
    NUMBER("halo_batch", "", HISTOGRAM, batch, "Answers and calls that the guest got together."),
    NUMBER("halo_exits_per_call_out", "", HISTOGRAM, exits_out,
           "Exits that a call of a guest's function took."),
    NUMBER("halo_room_bytes", "bytes", HISTOGRAM, room,
           "Room for the answer that the guest brought with a call."),
    NUMBER("halo_room_out_bytes", "bytes", HISTOGRAM, room_out,
           "Length of the guest's buffers for calls of its functions."),
    NUMBER("halo_call_seconds", "seconds", HISTOGRAM, call_ns, "Time in a function of the host's."),
    NUMBER("halo_call_out_seconds", "seconds", HISTOGRAM, call_out_ns,
           "Time of a call of a guest's function."),
};

struct text {
    char *bytes;
    size_t size, len;
};

static void put(struct text *text, const char *bytes, size_t len)
{
    if (text->len < text->size) {
        const size_t room = text->size - text->len;

        memcpy(text->bytes + text->len, bytes, len < room ? len : room);
    }
    text->len += len;
}

__attribute__((format(printf, 2, 3))) static void print(struct text *text, const char *format, ...)
{
    char line[320];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len > 0)
        put(text, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

/* Bytes of the character that begins here, as UTF-8 has it; 0 where there is none. */
static size_t character_len(const char *text, size_t left)
{
    const unsigned char *at = (const unsigned char *)text;
    const size_t len = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (len == 1)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if (at[i] >> 6 != 2)
            return 0;
    }
    /* Longer than it has to be, half of a pair of UTF-16's, or above all characters. */
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

/*
 * A label's value: a backslash, a quote and the end of a line have to be escaped. A byte that is no
 * UTF-8 would cost its reader all of the text: it becomes '?'. No character is cut in two.
 */
static void put_name(struct text *text, const char *name)
{
    const size_t all = strnlen(name, HALO_METRICS_NAME_MAX + 3);

    for (size_t i = 0, len; i < all; i += len) {
        const size_t known = character_len(&name[i], all - i);

        len = known ? known : 1;
        if (i + len > HALO_METRICS_NAME_MAX)
            break;
        if (name[i] == '\n')
            put(text, "\\n", 2);
        else if (name[i] == '\\' || name[i] == '"')
            put(text, (const char[]){'\\', name[i]}, 2);
        else
            put(text, known ? &name[i] : "?", len);
    }
}

/* {sandbox="…",le="…"}, as far as there are such. */
static void put_labels(struct text *text, const char *name, const char *bound)
{
    if (!name && !bound)
        return;
    put(text, "{", 1);
    if (name) {
        print(text, "sandbox=\"");
        put_name(text, name);
        put(text, "\"", 1);
    }
    if (bound)
        print(text, "%sle=\"%s\"", name ? "," : "", bound);
    put(text, "}", 1);
}

#define VALUE_MAX 32u

/* A number as text; `value` has VALUE_MAX bytes and is returned. */
static const char *as_value(char *value, const struct family *family, uint64_t number)
{
    if (strcmp(family->unit, "seconds") == 0)
        (void)snprintf(value, VALUE_MAX, "%" PRIu64 ".%09u", number / 1000000000,
                       (unsigned)(number % 1000000000));
    else
        (void)snprintf(value, VALUE_MAX, "%" PRIu64, number);
    return value;
}

/* Bounds are written as floating-point numbers, as the format wants them. */
static const char *as_bound(char *value, const struct family *family, uint32_t bucket)
{
    (void)as_value(value, family, (UINT64_C(2) << bucket) - 1);
    if (strcmp(family->unit, "seconds") != 0)
        (void)strcat(value, ".0");
    return value;
}

static void put_sample(struct text *text, const struct family *family, const char *suffix,
                       const char *name, const char *bound, const char *value)
{
    print(text, "%s%s", family->name, suffix);
    put_labels(text, name, bound);
    print(text, " %s\n", value);
}

static void put_histogram(struct text *text, const struct family *family, const char *name,
                          const struct halo_histogram *histogram)
{
    char value[VALUE_MAX], bound[VALUE_MAX + 2], count[VALUE_MAX];
    uint64_t so_far = 0;

    for (uint32_t i = 0; i < HALO_BUCKETS; i++) {
        so_far += histogram->buckets[i];
        (void)snprintf(count, sizeof(count), "%" PRIu64, so_far);
        put_sample(text, family, "_bucket", name,
                   i + 1 < HALO_BUCKETS ? as_bound(bound, family, i) : "+Inf", count);
    }
    put_sample(text, family, "_count", name, NULL, count);
    put_sample(text, family, "_sum", name, NULL, as_value(value, family, histogram->sum));
}

static void put_family(struct text *text, const struct family *family,
                       const struct halo_named_metrics *metrics, size_t count)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    char value[VALUE_MAX];

    print(text, "# TYPE %s %s\n", family->name, kinds[family->kind]);
    if (*family->unit)
        print(text, "# UNIT %s %s\n", family->name, family->unit);
    print(text, "# HELP %s %s\n", family->name, family->help);
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)metrics[i].metrics + family->offset;

        if (family->kind == HISTOGRAM)
            put_histogram(text, family, metrics[i].name, at);
        else
            put_sample(text, family, family->kind == COUNTER ? "_total" : "", metrics[i].name, NULL,
                       as_value(value, family, *(const uint64_t *)at));
    }
}

size_t halo_metrics_text(char *text, size_t size, const struct halo_named_metrics *metrics,
                         size_t count)
{
    struct text all = {.bytes = text, .size = size > 0 ? size - 1 : 0};

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        put_family(&all, &families[i], metrics, count);
    print(&all, "# EOF\n");
    if (size > 0)
        text[all.len < all.size ? all.len : all.size] = '\0';
    return all.len;
}
