/*
 * Calls with rows, as messages: a part of halo/abi.h, which includes it.
 */
#ifndef HALO_ROWS_WIRE_H
#define HALO_ROWS_WIRE_H

#include <halo/language.h>
#include <stdint.h>

/*
 * Calls with rows. The payload is a head, a struct halo_rows_column for each argument, and then
 * the parts of each column, each at the next multiple of 8 bytes: validity, where there is any; of
 * numbers and bools the values; of text and bytes the offsets, of which the first is 0, and the
 * bytes with at least one more, of any value. What halo/column.h says of them holds here. How long
 * each part is follows from the number of rows, and all together are as long as the payload.
 */
enum halo_rows_wire {
    HALO_WIRE_GO_ON = 1,   /* of a head: rows that fail do not end the call */
    HALO_WIRE_BEGIN = 2,   /* of a head: an aggregate begins with this call */
    HALO_WIRE_END = 4,     /* of a head: it ends, and its result is the answer */
    HALO_WIRE_SHARE = 8,   /* of a head: the next such call at this depth has the same columns */
    HALO_WIRE_SHARED = 16, /* of a head: nothing follows it, the columns are those of that call */
    HALO_WIRE_SAME = 1,    /* of a column: it has one row, for all */
    HALO_WIRE_VALID = 2,   /* it has validity bits */
};

struct halo_rows_head {
    uint32_t function; /* its index, from 1 */
    uint32_t row_count;
    uint8_t arg_count;
    uint8_t flags;
    uint16_t shared;    /* with SHARED: the request's number of that call; else 0 */
    uint32_t aggregate; /* of an aggregate: the number of its state, or 0; else 0 */
};

struct halo_rows_column {
    uint8_t type; /* enum halo_type */
    uint8_t flags;
    uint16_t reserved;  /* 0 */
    uint32_t bytes_len; /* of text and bytes: how many; else 0 */
};

/*
 * Calls that follow each other may share their columns: the first one, with SHARE, brings them, and
 * the guest keeps them as they are until a call with SHARED has had them that is not SHARE as well.
 * Both are calls outside of all others, whose number of rows and types of columns are the same.
 */

/*
 * An aggregate is a function with a state, which is called for one slice of rows after the other.
 * The host numbers states from 1 to HALO_AGGREGATES_MAX; one that begins with a number that is in
 * use takes its place. It is 0 where one call both begins and ends. A call that fails, and one in
 * which a row fails and does not go on, ends the state. The answer has no column before the end,
 * and then one of one row.
 */
#define HALO_AGGREGATES_MAX 256u

/*
 * The payload of the answer: this, the parts of the column, if the function has a result, and a
 * list of the first rows that failed, in their order. A row that failed ends a call that is not to
 * go on: then there is a list of one, and no rows.
 */
struct halo_rows_answer {
    struct halo_rows_column column;
    uint32_t row_count;    /* as in the call */
    uint32_t failed_count; /* rows that failed */
    uint32_t error_count;  /* those that are in the list */
    uint32_t errors_len;   /* bytes of the list, a multiple of 4 */
};

/* Followed by its text with a zero byte, up to the next multiple of 4 bytes. */
struct halo_rows_error {
    uint32_t row;
    int32_t code;      /* above 0 */
    uint32_t text_len; /* without the zero byte; at most HALO_ERROR_TEXT_MAX */
};

HALO_STATIC_ASSERT(sizeof(struct halo_rows_head) == 16, "rows layout");
HALO_STATIC_ASSERT(sizeof(struct halo_rows_column) == 8, "rows layout");
HALO_STATIC_ASSERT(sizeof(struct halo_rows_answer) == 24, "rows layout");
HALO_STATIC_ASSERT(sizeof(struct halo_rows_error) == 12, "rows layout");

#endif
