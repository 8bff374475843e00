/*
 * Any bytes as what a guest has recorded of itself, beside any events of the host's: what is judged
 * is of the trace, in order and in its time; and the file that is made of all is JSON in which each
 * flow that begins ends.
 */
#include "../../src/host/trace_judge.h"
#include "../../src/host/trace_read.h"
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define TRACE 7u
#define BEGUN 1000u
#define NOW 100000u
#define SHORT 12u /* bytes of the input for an event */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct {
    char bytes[1 << 20];
    size_t len;
} file;

static int put(void *context, const char *bytes, size_t len)
{
    (void)context;
    EXPECT(len <= sizeof(file.bytes) - file.len);
    memcpy(file.bytes + file.len, bytes, len);
    file.len += len;
    return 0;
}

static const char *name_of(const void *context, bool is_guests, uint32_t index)
{
    (void)is_guests;
    return index == 3 ? NULL : context;
}

static uint32_t many(const char *what)
{
    uint32_t n = 0;

    for (const char *at = file.bytes; (at = strstr(at, what)); at++)
        n++;
    return n;
}

/* Plain ASCII, strings that end, brackets that close in their order. */
static void check_file(void)
{
    char open[64];
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < file.len; i++) {
        const char byte = file.bytes[i];

        EXPECT(byte == '\n' || (byte >= ' ' && byte <= '~'));
        EXPECT(!in_string || byte != '\n');
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '['))
            EXPECT(depth < sizeof(open)), open[depth++] = byte;
        else if (!in_string && (byte == '}' || byte == ']'))
            EXPECT(depth > 0 && open[--depth] == (byte == '}' ? '{' : '['));
    }
    EXPECT(depth == 0 && !in_string);
    EXPECT(!strstr(file.bytes, ":-")); /* neither a time nor a length is negative */
    EXPECT(many("\"ph\":\"s\"") == many("\"ph\":\"f\""));
}

static void judge(const struct halo_record *records, struct halo_record *to, uint32_t *count)
{
    const struct halo_trace_span span = {.trace = TRACE, .begun = BEGUN, .now = NOW, .ahead = 50};

    *count = halo__trace_judge(records, &span, to);
    EXPECT(*count <= HALO_RECORDS);
    for (uint32_t i = 0; i < *count; i++) {
        EXPECT(to[i].sequence >> 32 == TRACE);
        EXPECT(i == 0 || to[i].sequence > to[i - 1].sequence);
        EXPECT(to[i].counter >= (i > 0 ? to[i - 1].counter : BEGUN) && to[i].counter <= NOW);
        EXPECT(to[i].kind >= HALO_EVENT_SUBMIT && to[i].kind < HALO_EVENT_GUEST_END);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct halo_record records[HALO_RECORDS], good[HALO_RECORDS];
    static struct halo_event_seen events[2 * HALO_RECORDS];
    struct halo_trace_names names = {"fuzz", name_of, NULL};
    char name[64] = {0};
    uint32_t count, used = 0, event_count = 0;

    memset(records, 0, sizeof(records));
    memcpy(name, data, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
    names.context = name;
    /* First as they are. */
    memcpy(records, data, len < sizeof(records) ? len : sizeof(records));
    judge(records, good, &count);
    /* Then so that most are of this trace; and those of the host's between them. */
    memset(records, 0, sizeof(records));
    for (; len >= SHORT && used < HALO_RECORDS; data += SHORT, len -= SHORT) {
        struct halo_record record = {.kind = data[0],
                                     .a = data[1] | (uint32_t)data[2] << 16,
                                     .b = data[3] | (uint64_t)data[4] << 16};

        memcpy(&record.counter, data + 5, 4);
        record.counter %= 2 * NOW;
        record.sequence = (uint64_t)TRACE << 32 | (used + 1 + (data[9] == 1) * HALO_RECORDS);
        if (data[9] == 2)
            record.sequence ^= (uint64_t)data[10] << 28;
        if (record.kind < HALO_EVENT_SUBMIT && event_count < HALO_RECORDS)
            events[event_count++] = (struct halo_event_seen){
                (int64_t)event_count * 50, record.kind % HALO_EVENT_HOST_COUNT, record.a, record.b};
        else
            records[used++] = record;
    }
    judge(records, good, &count);
    for (uint32_t i = 0; i < count; i++) /* in any mixture, as long as time rises */
        events[event_count++] =
            (struct halo_event_seen){(int64_t)event_count * 50, good[i].kind, good[i].a, good[i].b};
    for (uint32_t i = 0; i + 1 < event_count; i += 2) {
        const struct halo_event_seen kept = events[i];
        const uint32_t other = i * 7 % event_count;

        events[i].kind = events[other].kind;
        events[i].a = events[other].a;
        events[i].b = events[other].b;
        events[other].kind = kept.kind;
        events[other].a = kept.a;
        events[other].b = kept.b;
    }
    file.len = 0;
    EXPECT(halo__trace_json(events, event_count, &names, put, NULL) == 0);
    put(NULL, "", 1);
    file.len--;
    check_file();
    return 0;
}
