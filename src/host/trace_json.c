/*
 * A trace as JSON, in the format of Chrome's. Each event becomes a slice of a row: those that have
 * an end as long as they were, and all others short. Times are microseconds with three digits
 * behind the point, and rise. What belongs together is a flow: from a request, by what serves it,
 * to its answer. A flow is only written where both its ends are there.
 */
#include "trace_read.h"
#include "../message/kind.h"
#include <halo/abi.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum row {
    ROW_LIFE = 1,
    ROW_RUNS,
    ROW_TO_HOST,
    ROW_TO_GUEST,
    ROW_GUEST,
    ROW_DOORBELL,
    ROW_PROVIDED = 100, /* and a function's index */
    ROW_EXPORTED = 400,
    ROW_STREAM = 700, /* and the place of its handle */
    ROW_COUNT = 1000,
};

#define SHORT_NS 100
#define CHAINS 2048u
#define NUMBERS 256u

/* What is known of an event besides itself. */
struct mark {
    int64_t dur;
    uint32_t flow; /* from 1; 0: none */
    char role;     /* 's', 't' or 'f' */
    bool is_end;   /* of a slice that began earlier: nothing is written */
    uint16_t row;
};

/* A request that is under way. */
struct chain {
    uint32_t flow, answer; /* the answer: an event's place and 1 */
};

struct json {
    const struct halo_event_seen *events;
    struct mark *marks;
    bool *ended; /* flows, by their numbers */
    size_t count;
    uint32_t flows;
    const struct halo_trace_names *names;
    struct chain chains[CHAINS];
    struct {
        uint32_t flow;
        uint64_t number;
    } numbers[NUMBERS];
    bool used[ROW_COUNT];
    uint32_t handles[ROW_COUNT - ROW_STREAM];
    /* The file. */
    halo_trace_put *put;
    void *context;
    char bytes[8192];
    size_t len;
    int error;
    bool any;
};

/* --- Bytes ------------------------------------------------------------------------------------ */

static void flush(struct json *json)
{
    if (!json->error && json->len > 0)
        json->error = json->put(json->context, json->bytes, json->len);
    json->len = 0;
}

__attribute__((format(printf, 2, 3))) static void print(struct json *json, const char *format, ...)
{
    va_list args;
    int len;

    if (json->len > sizeof(json->bytes) - 512)
        flush(json);
    va_start(args, format);
    len = vsnprintf(json->bytes + json->len, sizeof(json->bytes) - json->len, format, args);
    va_end(args);
    if (len > 0)
        json->len += (size_t)len;
}

/* A name is anybody's choice: what is no plain ASCII is escaped. */
static void print_name(struct json *json, const char *name)
{
    for (size_t i = 0; i < HALO_FUNCTION_NAME_MAX && name[i]; i++) {
        const unsigned char byte = (unsigned char)name[i];

        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\')
            print(json, "\\u%04x", byte);
        else
            print(json, "%c", byte);
    }
}

static void print_function(struct json *json, bool is_guests, uint64_t index)
{
    const char *name = index <= HALO_FUNCTIONS_MAX
                           ? json->names->function(json->names->context, is_guests, (uint32_t)index)
                           : NULL;

    if (name)
        print_name(json, name);
    else
        print(json, "function %" PRIu64, index);
}

static void begin_entry(struct json *json)
{
    print(json, "%s\n{", json->any ? "," : "");
    json->any = true;
}

static void print_time(struct json *json, const char *field, int64_t ns)
{
    print(json, ",\"%s\":%" PRId64 ".%03d", field, ns / 1000, (int)(ns % 1000));
}

/* --- Rows and flows --------------------------------------------------------------------------- */

static uint32_t row_of_function(enum row first, uint32_t index)
{
    return index <= HALO_FUNCTIONS_MAX ? first + index : first;
}

static uint32_t row_of(struct json *json, const struct halo_event_seen *event)
{
    const uint32_t place = (event->a & 0xffff) % (ROW_COUNT - ROW_STREAM);

    switch (event->kind) {
    case HALO_EVENT_ENTER:
    case HALO_EVENT_LEAVE:
        return ROW_RUNS;
    case HALO_EVENT_TAKE:
    case HALO_EVENT_ANSWER:
        return event->a >> 16 == HALO_QUEUE_G2H ? ROW_TO_HOST : ROW_TO_GUEST;
    case HALO_EVENT_CALL:
    case HALO_EVENT_RETURN:
        return row_of_function(ROW_PROVIDED, event->a);
    case HALO_EVENT_CALL_OUT:
    case HALO_EVENT_RETURN_OUT:
        return ROW_TO_GUEST;
    case HALO_EVENT_READ:
    case HALO_EVENT_WRITE:
        json->handles[place] = event->a;
        return ROW_STREAM + place;
    case HALO_EVENT_SUBMIT:
    case HALO_EVENT_ANSWERED:
        return ROW_GUEST;
    case HALO_EVENT_DOORBELL:
    case HALO_EVENT_BACK:
        return ROW_DOORBELL;
    case HALO_EVENT_SERVE:
    case HALO_EVENT_SERVED:
        return row_of_function(ROW_EXPORTED, event->a);
    default:
        return ROW_LIFE;
    }
}

static void join(struct json *json, size_t i, uint32_t flow, char role)
{
    if (!flow)
        return;
    json->marks[i].flow = flow;
    json->marks[i].role = role;
    if (role == 'f')
        json->ended[flow] = true;
}

/* A request of the guest's, from when it was submitted, where that is known, or taken. */
static void follow_chain(struct json *json, size_t i)
{
    const struct halo_event_seen *event = &json->events[i];
    const uint64_t name = event->kind == HALO_EVENT_CALL ? event->b : event->a;
    struct chain *chain = &json->chains[name % CHAINS];

    if (name >> 16 != HALO_QUEUE_G2H)
        return;
    switch (event->kind) {
    case HALO_EVENT_SUBMIT:
        *chain = (struct chain){.flow = ++json->flows};
        join(json, i, chain->flow, 's');
        break;
    case HALO_EVENT_TAKE:
        if (!chain->flow || chain->answer) {
            *chain = (struct chain){.flow = ++json->flows};
            join(json, i, chain->flow, 's');
        } else {
            join(json, i, chain->flow, 't');
        }
        break;
    case HALO_EVENT_CALL:
        if (!chain->answer)
            join(json, i, chain->flow, 't');
        break;
    case HALO_EVENT_ANSWER:
        if (chain->answer)
            break;
        join(json, i, chain->flow, 'f');
        chain->answer = (uint32_t)i + 1;
        break;
    default: /* ANSWERED */
        if (chain->answer && chain->flow) {
            json->marks[chain->answer - 1].role = 't';
            join(json, i, chain->flow, 'f');
        }
        *chain = (struct chain){0};
        break;
    }
}

/* A call of a guest's function. */
static void follow_call(struct json *json, size_t i)
{
    const struct halo_event_seen *event = &json->events[i];
    const uint32_t place = event->b % NUMBERS;

    if (event->kind == HALO_EVENT_CALL_OUT) {
        json->numbers[place].flow = ++json->flows;
        json->numbers[place].number = event->b;
        join(json, i, json->flows, 's');
    } else if (json->numbers[place].number == event->b) {
        join(json, i, json->numbers[place].flow, event->kind == HALO_EVENT_SERVE ? 't' : 'f');
        if (event->kind == HALO_EVENT_RETURN_OUT)
            json->numbers[place].flow = 0;
    }
}

static void follow(struct json *json)
{
    for (size_t i = 0; i < json->count; i++) {
        switch (json->events[i].kind) {
        case HALO_EVENT_SUBMIT:
        case HALO_EVENT_TAKE:
        case HALO_EVENT_CALL:
        case HALO_EVENT_ANSWER:
        case HALO_EVENT_ANSWERED:
            follow_chain(json, i);
            break;
        case HALO_EVENT_CALL_OUT:
        case HALO_EVENT_SERVE:
        case HALO_EVENT_RETURN_OUT:
            follow_call(json, i);
            break;
        default:
            break;
        }
    }
}

/* --- How long slices are ---------------------------------------------------------------------- */

#define OPEN_MAX 32u

/* Slices that have begun, of one kind: the innermost ends first. */
struct open {
    size_t at[OPEN_MAX];
    uint32_t count;
};

static void open_slice(struct json *json, struct open *open, size_t i)
{
    json->marks[i].dur = json->events[json->count - 1].ns - json->events[i].ns;
    if (open->count < OPEN_MAX)
        open->at[open->count] = i;
    open->count++;
}

/* Those inside of it, too, whose ends are missing. */
static void close_slice(struct json *json, struct open *open, size_t i)
{
    json->marks[i].is_end = true;
    if (open->count > OPEN_MAX || open->count == 0) {
        open->count -= open->count > 0;
        return;
    }
    while (open->count > 0) {
        const size_t begin = open->at[--open->count];

        json->marks[begin].dur = json->events[i].ns - json->events[begin].ns;
        if (json->events[begin].a == json->events[i].a || json->marks[i].row == ROW_RUNS)
            break;
    }
}

static void measure(struct json *json)
{
    struct open runs = {.count = 0}, calls = {.count = 0}, serves = {.count = 0},
                doorbells = {.count = 0};
    int64_t next[ROW_COUNT];

    for (size_t i = 0; i < json->count; i++) {
        const uint32_t kind = json->events[i].kind;
        struct open *open = kind <= HALO_EVENT_LEAVE                                ? &runs
                            : kind == HALO_EVENT_CALL || kind == HALO_EVENT_RETURN  ? &calls
                            : kind == HALO_EVENT_SERVE || kind == HALO_EVENT_SERVED ? &serves
                                                                                    : &doorbells;

        if (kind == HALO_EVENT_ENTER)
            runs.count = 0;
        if (kind == HALO_EVENT_ENTER || kind == HALO_EVENT_CALL || kind == HALO_EVENT_SERVE ||
            kind == HALO_EVENT_DOORBELL)
            open_slice(json, open, i);
        else if (kind == HALO_EVENT_LEAVE || kind == HALO_EVENT_RETURN ||
                 kind == HALO_EVENT_SERVED || kind == HALO_EVENT_BACK)
            close_slice(json, open, i);
        else
            json->marks[i].dur = -1; /* a short one */
    }
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        next[row] = INT64_MAX;
    for (size_t i = json->count; i-- > 0;) {
        struct mark *mark = &json->marks[i];
        const int64_t left = next[mark->row] - json->events[i].ns;

        if (mark->dur < 0)
            mark->dur = left < SHORT_NS ? left : SHORT_NS;
        next[mark->row] = json->events[i].ns;
    }
}

/* --- Events ----------------------------------------------------------------------------------- */

static const char *doorbell_name(uint64_t op)
{
    static const char *const names[] = {"", "kick", "wait", "end", "panic", "push"};

    return op > 0 && op < sizeof(names) / sizeof(names[0]) ? names[op] : "doorbell";
}

static void print_title(struct json *json, const struct halo_event_seen *event)
{
    const uint32_t id = event->a & 0xffff;

    switch (event->kind) {
    case HALO_EVENT_ENTER:
        print(json, "runs");
        break;
    case HALO_EVENT_END:
        print(json, "end");
        break;
    case HALO_EVENT_RESTORE:
        print(json, "restore");
        break;
    case HALO_EVENT_TAKE:
        print(json, "%s #%u", halo__kind_name((uint8_t)event->b), id);
        break;
    case HALO_EVENT_ANSWER:
        print(json, "%s #%u", event->a >> 16 == HALO_QUEUE_G2H ? "answered" : "message in", id);
        break;
    case HALO_EVENT_SUBMIT:
        print(json, "submits #%u", id);
        break;
    case HALO_EVENT_ANSWERED:
        print(json, "takes answer #%u", id);
        break;
    case HALO_EVENT_DOORBELL:
        print(json, "%s", doorbell_name(event->a));
        break;
    case HALO_EVENT_READ:
    case HALO_EVENT_WRITE:
        print(json, "%s %" PRIu64, event->kind == HALO_EVENT_READ ? "read" : "written", event->b);
        break;
    case HALO_EVENT_CALL:
        print_function(json, false, event->a);
        break;
    case HALO_EVENT_RETURN_OUT:
        print(json, "answer of ");
        print_function(json, true, event->a);
        break;
    default: /* CALL_OUT, SERVE */
        print_function(json, true, event->a);
        break;
    }
}

static void print_args(struct json *json, const struct halo_event_seen *event)
{
    switch (event->kind) {
    case HALO_EVENT_TAKE:
        print(json, ",\"args\":{\"bytes\":%" PRIu64 "}", event->b >> 8);
        break;
    case HALO_EVENT_ANSWER:
        print(json, ",\"args\":{\"bytes\":%" PRIu64 "}", event->b);
        break;
    case HALO_EVENT_END:
        print(json, ",\"args\":{\"error\":%d,\"code\":%" PRIu64 "}", (int)event->a, event->b);
        break;
    default:
        break;
    }
}

static void print_event(struct json *json, size_t i)
{
    const struct halo_event_seen *event = &json->events[i];
    const struct mark *mark = &json->marks[i];

    if (mark->is_end)
        return;
    begin_entry(json);
    print(json, "\"ph\":\"X\",\"pid\":1,\"tid\":%u,\"name\":\"", mark->row);
    print_title(json, event);
    print(json, "\"");
    print_time(json, "ts", event->ns);
    print_time(json, "dur", mark->dur);
    print_args(json, event);
    print(json, "}");
    if (!mark->flow || !json->ended[mark->flow])
        return;
    begin_entry(json);
    print(json,
          "\"ph\":\"%c\",\"pid\":1,\"tid\":%u,\"name\":\"request\",\"cat\":\"request\",\"id\":%u",
          mark->role, mark->row, mark->flow);
    print_time(json, "ts", event->ns);
    print(json, "%s}", mark->role == 'f' ? ",\"bp\":\"e\"" : "");
}

static void print_row(struct json *json, uint32_t row)
{
    static const char *const names[] = {
        [ROW_LIFE] = "life",
        [ROW_RUNS] = "guest runs",
        [ROW_TO_HOST] = "queue to the host",
        [ROW_TO_GUEST] = "queue to the guest",
        [ROW_GUEST] = "guest's end of the queue to the host",
        [ROW_DOORBELL] = "guest's doorbell",
    };

    begin_entry(json);
    print(json,
          "\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_sort_index\",\"args\":{"
          "\"sort_index\":%u}}",
          row, row);
    begin_entry(json);
    print(json, "\"ph\":\"M\",\"pid\":1,\"tid\":%u,\"name\":\"thread_name\",\"args\":{\"name\":\"",
          row);
    if (row < sizeof(names) / sizeof(names[0])) {
        print(json, "%s", names[row]);
    } else if (row >= ROW_STREAM) {
        print(json, "stream 0x%x", json->handles[row - ROW_STREAM]);
    } else {
        const bool is_guests = row >= ROW_EXPORTED;

        print(json, "%s ", is_guests ? "guest's function" : "host's function");
        print_function(json, is_guests, row - (is_guests ? ROW_EXPORTED : ROW_PROVIDED));
    }
    print(json, "\"}}");
}

static void write_all(struct json *json)
{
    for (size_t i = 0; i < json->count; i++) {
        json->marks[i].row = (uint16_t)row_of(json, &json->events[i]);
        json->used[json->marks[i].row] = true;
    }
    follow(json);
    measure(json);
    print(json, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    begin_entry(json);
    print(json,
          "\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"halo: %s\"}}",
          json->names->backend);
    for (uint32_t row = 0; row < ROW_COUNT; row++) {
        if (json->used[row])
            print_row(json, row);
    }
    for (size_t i = 0; i < json->count && !json->error; i++)
        print_event(json, i);
    print(json, "\n]}\n");
    flush(json);
}

int halo__trace_json(const struct halo_event_seen *events, size_t count,
                     const struct halo_trace_names *names, halo_trace_put *put, void *context)
{
    struct json *json = calloc(1, sizeof(*json));
    int error = HALO_ENOMEM;

    if (!json)
        return error;
    json->events = events;
    json->count = count;
    json->names = names;
    json->put = put;
    json->context = context;
    json->marks = calloc(count + 1, sizeof(*json->marks));
    json->ended = calloc(count + 1, sizeof(*json->ended));
    if (json->marks && json->ended) {
        write_all(json);
        error = json->error;
    }
    free(json->marks);
    free(json->ended);
    free(json);
    return error;
}
