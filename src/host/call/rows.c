/*
 * The host's calls with rows: columns of the caller's as the payload of a message, and the column
 * that comes back.
 *
 *     start   the caller's columns are judged, and the payload's length is known from then on
 *     write   into a buffer of the guest's, or the memory into which it fetches: one copy
 *     take    an answer: its head is copied and judged, then its parts, into memory of the
 *             caller's struct halo_rows, which the next call uses again
 */
#include "rows.h"
#include <string.h>
#include "../../message/rows.h"

/* The first bytes of a payload. */
struct head {
    struct halo_rows_head head;
    struct halo_rows_column columns[HALO_ARGUMENTS_MAX];
};

/* Beside the caller's flags: what a head says of its columns, and above that whose they are. */
enum { SHARE = 1 << 8, SHARED = 1 << 9, WHOSE_SHIFT = 16 };

/* Longest list of rows that failed. */
#define ERRORS_MAX \
    (HALO_ROW_ERRORS_MAX * (sizeof(struct halo_rows_error) + HALO_ERROR_TEXT_MAX + 4))

/* Most bytes that lie on this side's stack to be changed on their way. */
#define PIECE 1024u

/* --- Start ------------------------------------------------------------------------------------ */

/* A column of the caller's: 0, or HALO_EINVAL, HALO_ESIZE; *len is of text and bytes. */
static int judge_column(const struct halo_column *column, uint32_t rows, uint32_t *len)
{
    const uint32_t own = column->same ? 1 : rows;

    *len = 0;
    if (own == 0)
        return 0;
    if (!halo__is_text(column->type))
        return column->values ? 0 : HALO_EINVAL;
    if (!column->offsets)
        return HALO_EINVAL;
    {
        const int32_t *offsets = column->offsets + column->first;
        const int32_t first = offsets[0], last = offsets[own];

        if (first < 0 || last < first || !halo__offsets_ascend(offsets, own))
            return HALO_EINVAL;
        *len = (uint32_t)(last - first);
        if (*len > 0 && !column->values)
            return HALO_EINVAL;
        if (*len > HALO_ROWS_LEN_MAX) /* not looked at */
            return HALO_ESIZE;
        if (column->type == HALO_STR && *len > 0 &&
            halo__has_zero((const char *)column->values + first, *len))
            return HALO_EINVAL;
    }
    return 0;
}

/* As the payload says it. */
static struct halo_rows_column wire_column(const struct halo_rows *rows, uint32_t i)
{
    const struct halo_column *column = &rows->args[i];

    return (struct halo_rows_column){
        .type = (uint8_t)column->type,
        .flags = (uint8_t)((column->same ? HALO_WIRE_SAME : 0) |
                           (column->validity ? HALO_WIRE_VALID : 0)),
        .bytes_len = rows->lens[i],
    };
}

static int judge_columns(struct halo_calls *calls, const struct halo_provided *exported,
                         struct halo_rows *rows)
{
    const uint32_t arg_count = exported->signature.arg_count;
    uint64_t len = sizeof(struct halo_rows_head) + arg_count * sizeof(struct halo_rows_column);

    for (uint32_t i = 0; i < arg_count; i++) {
        const enum halo_type type = halo_type_of(exported->signature.types[1 + i]);
        struct halo_rows_column wire;
        int error;

        if (rows->args[i].type != type)
            return halo__fail(calls->words, HALO_ETYPE, "%s: column %u is %s and not %s",
                              exported->name, i + 1, halo_type_name(rows->args[i].type),
                              halo_type_name(type));
        error = judge_column(&rows->args[i], rows->count, &rows->lens[i]);
        if (error == HALO_EINVAL)
            return halo__fail(calls->words, error,
                              "%s: column %u, %s, has a NULL pointer, offsets that go back, or a "
                              "text with a zero byte inside",
                              exported->name, i + 1, halo_type_name(type));
        wire = wire_column(rows, i);
        len += error ? HALO_ROWS_LEN_MAX
                     : halo__column_len(&wire, halo__column_rows(&wire, rows->count));
    }
    if (len > HALO_ROWS_LEN_MAX)
        return halo__fail(calls->words, HALO_ESIZE, "%s: its columns are longer than %llu bytes",
                          exported->name, (unsigned long long)HALO_ROWS_LEN_MAX);
    rows->len = (uint32_t)len;
    return 0;
}

/* Why this call cannot be made, with words, or 0; *rows knows its length then. */
static int judge(struct halo_calls *calls, struct halo_rows *rows, int function,
                 const struct halo_column *args, size_t arg_count)
{
    const struct halo_provided *exported;
    int error = halo__future_judge(calls, function);

    if (error)
        return error;
    exported = &calls->functions.exported[function - 1];
    if (calls->port->on_stacks)
        return halo__fail(calls->words, HALO_ETRANSPORT, "%s: stacks carry no rows",
                          exported->name);
    if (!halo__has_columns(&exported->signature))
        return halo__fail(calls->words, HALO_ETYPE,
                          "%s has a list or a handle, which no column is of: call it row by row",
                          exported->name);
    if (!exported->rows)
        return halo__fail(calls->words, HALO_ETRANSPORT,
                          "%s: the library of this guest is older than rows; build it anew",
                          exported->name);
    if (rows->flags & ~(uint32_t)(HALO_ROWS_GO_ON | HALO_ROWS_MORE))
        return halo__fail(calls->words, HALO_EINVAL, "%s: flags %#x, of which some are none",
                          exported->name, rows->flags);
    if (rows->flags & HALO_ROWS_MORE && !exported->aggregate)
        return halo__fail(calls->words, HALO_EINVAL,
                          "%s: is no aggregate, and HALO_ROWS_MORE is for those", exported->name);
    if (arg_count != exported->signature.arg_count)
        return halo__fail(calls->words, HALO_ECOUNT, "%s: it takes %u columns, and not %zu",
                          exported->name, exported->signature.arg_count, arg_count);
    if (arg_count > 0 && !args)
        return halo__fail(calls->words, HALO_EINVAL, "%s: its columns are NULL", exported->name);
    if (rows->count > HALO_ROWS_MAX)
        return halo__fail(calls->words, HALO_ESIZE, "%s: %u rows are more than %u", exported->name,
                          rows->count, HALO_ROWS_MAX);
    return judge_columns(calls, exported, rows);
}

/*
 * A state of the guest's has a number from its first call on, where that is not its last one, to
 * halo_rows_free. A number that is free may still have a state: the next that begins by it takes
 * its place.
 */
static void free_number(struct halo_rows *rows)
{
    if (rows->states)
        rows->states->aggregates[rows->aggregate - 1] = NULL;
    rows->states = NULL;
    rows->aggregate = 0;
    rows->is_open = false;
}

static int take_number(struct halo_calls *calls, struct halo_rows *rows)
{
    uint32_t i = 0;

    if (rows->states == calls)
        return 0;
    free_number(rows);
    while (i < HALO_AGGREGATES_MAX && calls->aggregates[i])
        i++;
    if (i == HALO_AGGREGATES_MAX)
        return halo__fail(calls->words, HALO_EFULL,
                          "%u aggregates are open already; halo_rows_free closes one",
                          HALO_AGGREGATES_MAX);
    calls->aggregates[i] = rows;
    rows->states = calls;
    rows->aggregate = i + 1;
    return 0;
}

void halo__aggregates_end(struct halo_calls *calls)
{
    for (uint32_t i = 0; i < HALO_AGGREGATES_MAX; i++) {
        if (calls->aggregates[i])
            free_number(calls->aggregates[i]);
    }
}

/* Is it an aggregate whose result is asked for? */
static bool ends(const struct halo_rows *rows)
{
    return rows->is_aggregate && !(rows->flags & HALO_ROWS_MORE);
}

static void clear(struct halo_rows *rows)
{
    rows->result = halo_numbers(HALO_VOID, NULL, NULL);
    rows->failed_count = 0;
    rows->error_count = 0;
}

int halo__rows_start(struct halo_calls *calls, struct halo_rows *rows, int function, uint32_t count,
                     const struct halo_column *args, size_t arg_count, uint32_t flags)
{
    const bool goes_on =
        rows->is_open && rows->states == calls && rows->future.function == (uint32_t)function;
    int error;

    if (halo__rows_in_flight(rows))
        return halo__fail(
            calls->words, HALO_ESTATE,
            "%s: with these rows a call is in flight: wait for it, or free them first",
            rows->future.calls->functions.exported[rows->future.function - 1].name);
    clear(rows);
    rows->is_open = false;
    rows->begins = !goes_on;
    rows->count = count;
    rows->flags = flags;
    rows->arg_count = (uint8_t)arg_count; /* where it is not, that is the error */
    if (arg_count > 0 && arg_count <= HALO_ARGUMENTS_MAX && args)
        memcpy(rows->args, args, arg_count * sizeof(*args));
    error = judge(calls, rows, function, args, arg_count);
    rows->is_aggregate = !error && calls->functions.exported[function - 1].aggregate;
    if (rows->is_aggregate && rows->begins && !ends(rows))
        error = take_number(calls, rows);
    if (error)
        return halo__future_refuse(&rows->future, error, calls->words->text);
    halo__future_begin(calls, &rows->future, function, HALO_IS_ROWS);
    return 0;
}

void halo_rows_free(struct halo_rows *rows)
{
    halo_future_free(&rows->future);
    free_number(rows);
    halo__budget_give(rows->memory);
    rows->memory = NULL;
    rows->memory_len = 0;
    clear(rows);
}

/* --- The call --------------------------------------------------------------------------------- */

/* Where the next byte of a payload goes. */
struct sink {
    struct halo_port *port;
    const struct halo_request *request;
    uint64_t at;
};

static void put(struct sink *sink, const void *from, size_t len)
{
    if (len > 0)
        halo__request_write(sink->port, sink->request, sink->at, from, len);
    sink->at += len;
}

/* What is between two parts has no meaning, and is still not what lay there before. */
static void pad(struct sink *sink, uint64_t len)
{
    static const unsigned char zeroes[8];

    put(sink, zeroes, (size_t)(halo__aligned8(len) - len));
}

/* Bits from one on, of which the first becomes that of a byte. */
static void put_bits(struct sink *sink, const unsigned char *bits, uint32_t first, uint32_t count)
{
    const uint32_t shift = first % 8, len = (uint32_t)halo__bits_len(count);
    /* The last byte that has one of them: no other is read. */
    const uint32_t last = count > 0 ? (shift + count - 1) / 8 : 0;
    unsigned char piece[PIECE];

    bits += first / 8;
    if (shift == 0) {
        put(sink, bits, len);
    } else {
        for (uint32_t at = 0; at < len; at += PIECE) {
            const uint32_t n = len - at < PIECE ? len - at : PIECE;

            for (uint32_t i = 0; i < n; i++) {
                const uint32_t next = at + i < last ? bits[at + i + 1] : 0;

                piece[i] = (unsigned char)((bits[at + i] | next << 8) >> shift);
            }
            put(sink, piece, n);
        }
    }
    pad(sink, len);
}

/* Offsets from 0 on, wherever the caller's begin. */
static void put_offsets(struct sink *sink, const int32_t *offsets, uint32_t count)
{
    const int32_t base = offsets[0];
    int32_t piece[PIECE / sizeof(int32_t)];

    if (base == 0) {
        put(sink, offsets, count * sizeof(*offsets));
    } else {
        for (uint32_t at = 0; at < count; at += PIECE / sizeof(int32_t)) {
            const uint32_t left = count - at;
            const uint32_t n = left < PIECE / sizeof(int32_t) ? left : PIECE / sizeof(int32_t);

            halo__offsets_shift(piece, offsets + at, n, base);
            put(sink, piece, n * sizeof(int32_t));
        }
    }
    pad(sink, count * sizeof(*offsets));
}

static void put_column(struct sink *sink, const struct halo_column *column, uint32_t rows,
                       uint32_t bytes_len)
{
    static const int32_t none = 0;
    const unsigned char *values = column->values;
    const uint32_t own = column->same ? 1 : rows;

    if (column->validity)
        put_bits(sink, column->validity, column->first, own);
    if (halo__is_text(column->type)) {
        const int32_t *offsets = own > 0 ? column->offsets + column->first : &none;

        put_offsets(sink, offsets, own + 1);
        if (bytes_len > 0)
            put(sink, values + offsets[0], bytes_len);
        put(sink, "", 1);
        pad(sink, (uint64_t)bytes_len + 1);
    } else if (column->type == HALO_BOOL) {
        if (own > 0)
            put_bits(sink, values, column->first, own);
    } else if (own > 0) {
        const size_t width = halo__column_width(column->type);

        put(sink, values + column->first * width, own * width);
        pad(sink, own * width);
    }
}

void halo__rows_write(const struct halo_rows *rows, struct halo_port *port,
                      const struct halo_request *request)
{
    struct sink sink = {port, request, HALO_PAYLOAD};
    struct head wire = {.head = {.function = rows->future.function,
                                 .row_count = rows->count,
                                 .arg_count = rows->arg_count,
                                 .flags = rows->flags & HALO_ROWS_GO_ON ? HALO_WIRE_GO_ON : 0}};
    const uint8_t begins = rows->begins ? HALO_WIRE_BEGIN : 0;
    const uint8_t end = ends(rows) ? HALO_WIRE_END : 0;

    if (rows->is_aggregate) {
        wire.head.flags |= begins | end;
        wire.head.aggregate = begins && end ? 0 : rows->aggregate;
    }
    wire.head.flags |= (uint8_t)((rows->flags & SHARE ? HALO_WIRE_SHARE : 0) |
                                 (rows->flags & SHARED ? HALO_WIRE_SHARED : 0));
    wire.head.shared = (uint16_t)(rows->flags >> WHOSE_SHIFT);
    if (rows->flags & SHARED) {
        put(&sink, &wire.head, sizeof(wire.head));
        return;
    }
    for (uint32_t i = 0; i < rows->arg_count; i++)
        wire.columns[i] = wire_column(rows, i);
    put(&sink, &wire, sizeof(wire.head) + rows->arg_count * sizeof(wire.columns[0]));
    for (uint32_t i = 0; i < rows->arg_count; i++)
        put_column(&sink, &rows->args[i], rows->count, rows->lens[i]);
}

static bool same_columns(const struct halo_rows *rows, const struct halo_rows *others)
{
    if (rows->count != others->count || rows->arg_count != others->arg_count)
        return false;
    for (uint32_t i = 0; i < rows->arg_count; i++) {
        const struct halo_column *column = &rows->args[i], *other = &others->args[i];

        if (column->type != other->type || column->same != other->same ||
            column->first != other->first || column->validity != other->validity ||
            column->values != other->values || column->offsets != other->offsets)
            return false;
    }
    return rows->arg_count > 0;
}

void halo__rows_find_shared(struct halo_calls *calls, struct halo_rows *rows)
{
    if (calls->shared_for != &rows->future)
        return;
    rows->flags |= SHARED | (uint32_t)calls->shared << WHOSE_SHIFT;
    rows->len = sizeof(struct halo_rows_head);
}

/*
 * Both were started before this one goes out, so that neither's arrays change until then. Inside of
 * other calls there is no telling in which order the guest takes them.
 */
void halo__rows_share(struct halo_calls *calls, struct halo_rows *rows)
{
    const struct halo_provided *exported = calls->functions.exported;
    struct halo_future *next = calls->first;

    if (!next || !halo__is_rows(next) || next->depth > 0 || rows->future.depth > 0 ||
        !exported[rows->future.function - 1].shares || !exported[next->function - 1].shares ||
        !same_columns(rows, halo__rows_of(next)))
        return;
    if (!(rows->flags & SHARED))
        calls->shared = rows->future.request;
    rows->flags |= SHARE;
    calls->shared_for = next;
}

/* --- The answer ------------------------------------------------------------------------------- */

/* The list of rows that failed, in private memory, each ended by a zero byte. */
static bool read_errors(struct halo_rows *rows, const unsigned char *at, uint32_t len)
{
    struct halo_rows_error wire;

    for (uint32_t i = 0; i < rows->error_count; i++) {
        uint32_t whole;

        if (len < sizeof(wire))
            return false;
        memcpy(&wire, at, sizeof(wire));
        whole = (wire.text_len + 4) & ~3u;
        if (wire.text_len > HALO_ERROR_TEXT_MAX || whole > len - sizeof(wire) || wire.code <= 0 ||
            wire.row >= rows->count || (i > 0 && wire.row <= rows->errors[i - 1].row) ||
            memchr(at + sizeof(wire), '\0', wire.text_len + 1) != at + sizeof(wire) + wire.text_len)
            return false;
        rows->errors[i] =
            (struct halo_row_error){wire.row, wire.code, (const char *)at + sizeof(wire)};
        if (!rows->is_aggregate && rows->result.validity &&
            halo_bit(rows->result.validity, wire.row))
            return false;
        at += sizeof(wire) + whole;
        len -= (uint32_t)sizeof(wire) + whole;
    }
    return len == 0;
}

/* Rows of a column that is the answer. */
static uint32_t result_rows(const struct halo_rows *rows)
{
    return rows->is_aggregate ? 1 : rows->count;
}

/* Can this be the head of the answer? Then it is known how long the rest is. ROWS-02, ROWS-04 */
static bool head_is_valid(const struct halo_rows *rows, const struct halo_rows_answer *head,
                          uint32_t type)
{
    const bool go_on = rows->flags & HALO_ROWS_GO_ON;
    const uint32_t listed =
        head->failed_count < HALO_ROW_ERRORS_MAX ? head->failed_count : HALO_ROW_ERRORS_MAX;

    if (head->error_count != listed || head->errors_len > ERRORS_MAX || head->errors_len % 4 != 0)
        return false;
    if (!go_on && head->failed_count > 0) /* the first row that failed, and no more */
        return head->failed_count == 1 && head->row_count == 0 &&
               halo__column_is_valid(&head->column, HALO_VOID, 0);
    return head->row_count == rows->count && head->failed_count <= rows->count &&
           halo__column_is_valid(&head->column, type, type == HALO_VOID ? 0 : HALO_WIRE_VALID) &&
           (head->failed_count == 0 || rows->is_aggregate || type == HALO_VOID ||
            head->column.flags & HALO_WIRE_VALID);
}

/* Memory for so much, of this sandbox's budget; what there was before may be used again. */
static unsigned char *take_memory(const struct halo_calls *calls, struct halo_rows *rows,
                                  size_t len)
{
    if (rows->memory && rows->memory_len >= len && rows->budget == calls->budget)
        return rows->memory;
    halo__budget_give(rows->memory);
    rows->memory = halo__budget_take(calls->budget, len);
    rows->memory_len = rows->memory ? len : 0;
    rows->budget = calls->budget;
    return rows->memory;
}

/* The parts behind the head, of which the column has `column_len` bytes. */
static const char *take_parts(struct halo_calls *calls, struct halo_rows *rows,
                              const struct halo_request *answer,
                              const struct halo_rows_answer *head, uint64_t column_len)
{
    const size_t len = (size_t)column_len + head->errors_len;
    unsigned char *bytes;

    if (!halo__port_may_copy(calls->port, len)) { /* COST-02 */
        halo__future_finish(&rows->future, HALO_ESIZE, HALO_COPIES_TOO_MUCH);
        return NULL;
    }
    bytes = take_memory(calls, rows, len > 0 ? len : 1);
    if (!bytes) { /* COST-01 */
        halo__future_finish(&rows->future, HALO_ENOMEM, HALO_HOLDS_TOO_MUCH);
        return NULL;
    }
    if (!halo__request_read(calls->port, answer, HALO_PAYLOAD + sizeof(*head), bytes, len))
        return HALO_NOT_THERE;
    if (head->column.type != HALO_VOID &&
        halo__column_place(bytes, &head->column, result_rows(rows), &rows->result))
        return "a column with offsets or text that are malformed";
    rows->failed_count = head->failed_count;
    rows->error_count = head->error_count;
    if (!read_errors(rows, bytes + column_len, head->errors_len))
        return "a malformed list of rows that failed";
    if (rows->failed_count > 0 && !(rows->flags & HALO_ROWS_GO_ON)) {
        rows->future.code = rows->errors[0].code;
        halo__future_finish(&rows->future, HALO_ECALL, rows->errors[0].text);
    } else {
        rows->is_open = rows->is_aggregate && !ends(rows);
        halo__future_finish(&rows->future, 0, "");
    }
    return NULL;
}

const char *halo__rows_take(struct halo_calls *calls, struct halo_future *future,
                            const struct halo_request *answer)
{
    const struct halo_provided *exported = &calls->functions.exported[future->function - 1];
    struct halo_rows *rows = halo__rows_of(future);
    struct halo_rows_answer head;
    uint64_t column_len;
    const char *why;

    if (answer->message.length < sizeof(head))
        return "an answer with rows that is shorter than its header";
    if (!halo__request_read(calls->port, answer, HALO_PAYLOAD, &head, sizeof(head)))
        return HALO_NOT_THERE;
    if (!head_is_valid(rows, &head,
                       rows->is_aggregate && !ends(rows)
                           ? HALO_VOID
                           : halo_type_of(exported->signature.types[0])))
        return "an answer that has not the rows that were asked for";
    column_len =
        head.column.type == HALO_VOID ? 0 : halo__column_len(&head.column, result_rows(rows));
    if (answer->message.length - sizeof(head) != column_len + head.errors_len)
        return "an answer whose columns are not as long as they have to be";
    if (column_len > HALO_ROWS_LEN_MAX) { /* RES-04: before anything is allocated */
        halo__future_finish(future, HALO_ESIZE, halo_strerror(HALO_ESIZE));
        return NULL;
    }
    why = take_parts(calls, rows, answer, &head, column_len);
    if (why)
        clear(rows);
    return why;
}

void halo__rows_failed(struct halo_future *future, const char *text)
{
    struct halo_rows *rows = halo__rows_of(future);

    rows->failed_count = rows->count;
    rows->error_count = 1;
    rows->errors[0] = (struct halo_row_error){HALO_ROW_ALL, future->code, text};
}
