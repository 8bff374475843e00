/* The host's calls with rows, as the rest of calls sees them: rows.c. */
#ifndef HALO_SRC_HOST_CALL_ROWS_H
#define HALO_SRC_HOST_CALL_ROWS_H

#include <halo/rows.h>
#include "../owner.h"
#include "call.h"

/* In place of a number of arguments: the future is the first member of a struct halo_rows. */
#define HALO_IS_ROWS 255u

static inline bool halo__is_rows(const struct halo_future *future)
{
    return future->arg_count == HALO_IS_ROWS;
}

static inline struct halo_rows *halo__rows_of(struct halo_future *future)
{
    return (struct halo_rows *)future;
}

/* It has not been answered, and not been given up. */
static inline bool halo__rows_in_flight(const struct halo_rows *rows)
{
    return rows->future.calls && !halo__owner_was_told(&rows->future.done);
}

/* halo_call_rows_start. */
int halo__rows_start(struct halo_calls *calls, struct halo_rows *rows, int function, uint32_t count,
                     const struct halo_column *args, size_t arg_count, uint32_t flags);

/* Write the payload, rows->len bytes, behind the message header of a request's writable part. */
void halo__rows_write(const struct halo_rows *rows, struct halo_port *port,
                      const struct halo_request *request);

/* The answer to such a call. */
const char *halo__rows_take(struct halo_calls *calls, struct halo_future *future,
                            const struct halo_request *answer);

/*
 * Of a call that is about to go out, before it leaves the queue: has the guest its columns already?
 * Then it needs none. And of one that goes out whole: may the next call in the queue share its
 * columns?
 */
void halo__rows_find_shared(struct halo_calls *calls, struct halo_rows *rows);
void halo__rows_share(struct halo_calls *calls, struct halo_rows *rows);

/* The guest has ended, and with it all states of aggregates. */
void halo__aggregates_end(struct halo_calls *calls);

/* The function has failed as a whole, with the future's code: so have all rows. */
void halo__rows_failed(struct halo_future *future, const char *text);

#endif
