/*
 * The result of a call with rows, while it is made: rows_result.c.
 *
 * Its memory has room for validity, and behind it the values, or offsets and text; behind those
 * goes the list of rows that failed. Validity that nobody needs is left out at the front.
 */
#ifndef HALO_SRC_GUEST_CALL_ROWS_RESULT_H
#define HALO_SRC_GUEST_CALL_ROWS_RESULT_H

#include "rows.h"
#include "../../message/rows.h"

/* As the host's rows.h: it tells of no more. */
#define HALO__ERRORS_MAX 16u
#define HALO__ERROR_LEN (sizeof(struct halo_rows_error) + HALO_ERROR_TEXT_MAX + 4)

struct halo__rows_state {
    struct halo_call call; /* the first: functions get a pointer to it */
    struct halo_rows rows; /* and those for rows to this */
    struct halo_column args[HALO_ARGUMENTS_MAX];
    enum halo_type type; /* of the result */
    struct halo__rows_outcome *outcome;
    bool go_on, is_one; /* it is an ordinary call, of one row */
    bool begins, ends;  /* of an aggregate: its state does with this call */
    uint32_t aggregate; /* and has this number */

    unsigned char *memory;
    size_t room;       /* bytes of it, for what comes before the list of errors */
    size_t values_at;  /* where values, or offsets, begin: behind the validity */
    size_t text_at;    /* and text */
    uint32_t text_len; /* so far */
    uint32_t next;     /* text: the first row whose offset is not written */
    bool has_validity; /* else every row has a value */
    bool has_maybe;    /* columns in which a row is absent, and is one all the same */

    uint32_t row; /* which a function is called for */
    uint32_t failed_count, error_count, last_failed;
    uint32_t errors_len;
    _Alignas(4) unsigned char errors[HALO__ERRORS_MAX * HALO__ERROR_LEN];
};

_Static_assert(offsetof(struct halo__rows_state, call) == 0, "one is a pointer to the other");

static inline unsigned char *halo__rows_values(const struct halo__rows_state *c)
{
    return c->memory + c->values_at;
}

/* Memory that stays from call to call, where no other call inside of one has it. */
struct halo__kept {
    unsigned char *memory;
    size_t len;
    bool used;
};

extern struct halo__kept halo__result_kept;

unsigned char *halo__kept_take(struct halo__kept *kept, size_t len);
void halo__kept_give(struct halo__kept *kept, unsigned char *memory);

/* More memory in place of what was taken, with its first `used` bytes. NULL: that is as it was. */
unsigned char *halo__kept_replace(struct halo__kept *kept, unsigned char *memory, size_t used,
                                  size_t len);

/* Room for the result, all of it 0, absent in rows in which an argument is. False: no memory. */
bool halo__result_begin(struct halo__rows_state *c);

/* The outcome is the result, as it stands; of an ordinary call its value. */
void halo__result_end(struct halo__rows_state *c);
void halo__result_end_one(struct halo__rows_state *c);

/*
 * States of aggregates: aggregate.c. Take the one that a call is for, which from then on is in use;
 * 0, or an error.
 */
int halo__state_take(struct halo__rows_state *c);

/* The call is over: the state stays, has come to its end, or is of nobody. */
void halo__state_keep(const struct halo__rows_state *c);
void halo__state_end(const struct halo__rows_state *c);
void halo__state_drop(const struct halo__rows_state *c);

/* All of it has failed: with these words, or as a function has returned what it must not. */
void halo__result_fail(struct halo__rows_state *c, int32_t code, const char *text);
int halo__result_refuse(struct halo__rows_state *c, int error, const struct halo_value *value);

#endif
