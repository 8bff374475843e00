/* What snapshots keep of calls: the functions of both sides. */
#ifndef HALO_SRC_HOST_CALL_SAVED_H
#define HALO_SRC_HOST_CALL_SAVED_H

#include "call.h"

/* With names and signatures alone: functions are the host's of the moment. */
struct halo_saved_calls {
    struct halo_functions functions;
};

/* 0, or HALO_ENOMEM. */
int halo__calls_save(const struct halo_calls *calls, struct halo_saved_calls *saved);
void halo__calls_unsave(struct halo_saved_calls *saved);

/* Make all that are provided ones that nobody has provided yet. */
void halo__calls_forget(struct halo_saved_calls *saved);

/*
 * After the services were told of the end: functions by the numbers that the guest has for them,
 * those that this host has not provided yet as ones that fail. Others of its own come behind. 0;
 * HALO_ETYPE where one has another signature here, HALO_EFULL or HALO_ENOMEM, with words: nothing
 * was changed.
 */
int halo__calls_bring_back(struct halo_calls *calls, const struct halo_saved_calls *saved);

/* Of a restored guest that has not run again: one that it imports and nobody has provided, or NULL.
 */
const char *halo__calls_missing(const struct halo_calls *calls);

/* How many functions this host has provided. */
uint32_t halo__calls_provided(const struct halo_calls *calls);

#endif
