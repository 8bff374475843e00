/* Calls with rows, in the guest: rows.c. export.c takes and answers them. */
#ifndef HALO_SRC_GUEST_CALL_ROWS_H
#define HALO_SRC_GUEST_CALL_ROWS_H

#include <halo/guest_rows.h>
#include "call.h"

#define HALO__ON_STACK UINT32_MAX

/* How far a call is. */
enum halo__call_state {
    HALO__OPEN = 0,
    HALO__ANSWERED,
    HALO__ROWS,     /* it has rows: of one of them there is no result yet, */
    HALO__ROW_DONE, /* or there is */
};

struct halo_call {
    const struct halo_export *export;
    uint32_t post; /* its number, or HALO__ON_STACK */
    uint16_t request;
    uint8_t state;
};

/* What has become of a call, until it is answered and its memory given back. */
struct halo__rows_outcome {
    int32_t code; /* not 0: an error, with words */
    char words[HALO_ERROR_TEXT_MAX + 1];
    struct halo_rows_answer head; /* else this, and these bytes; */
    const void *bytes;
    size_t len;
    struct halo_value value; /* of an ordinary call its result */
    unsigned char *memory;   /* where that is */
    bool took;               /* the payload's memory, for the next call to share */
};

/*
 * Call the function: the payload lies in memory of this program, aligned to 8 bytes. `memory`, of
 * malloc, is what it lies in where that may be kept, or NULL; outcome->took says that it is.
 */
void halo__rows_call(const struct halo_call *call, unsigned char *bytes, size_t len, void *memory,
                     struct halo__rows_outcome *outcome);

/* An ordinary call of a function for rows. */
void halo__rows_call_one(const struct halo_call *call, const struct halo_value *args,
                         struct halo__rows_outcome *outcome);

/* Give memory of an outcome back; fine for NULL. */
void halo__rows_give(unsigned char *memory);

/*
 * May a result of so many bytes lie there until the host has read it, while other calls are served?
 * It does so from now on; and was read.
 */
bool halo__rows_may_lend(size_t len);
void halo__rows_lend(size_t len);
void halo__rows_take_back(unsigned char *memory, size_t len);

/* Memory for a payload: kept for the next one, or NULL. */
unsigned char *halo__rows_memory(size_t len);
void halo__rows_memory_free(unsigned char *memory);

/* halo_return and halo_fail, where the call has rows or was answered. */
int halo__rows_return(struct halo_call *call, const struct halo_value *value);
int halo__rows_failed(struct halo_call *call, int32_t code, const char *text);

#endif
