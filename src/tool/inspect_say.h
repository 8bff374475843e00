/* A sentence that is put together piece by piece. */
#ifndef HALO_SRC_TOOL_INSPECT_SAY_H
#define HALO_SRC_TOOL_INSPECT_SAY_H

#include "inspect.h"

struct sentence {
    char *text; /* of INSPECT_WHY_MAX bytes */
    size_t len;
};

void inspect_say(struct sentence *sentence, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* " for 3.2 s", where that is known. */
void inspect_say_age(struct sentence *sentence, uint64_t age_ns);

/* " in FUNCTION at FILE:LINE (0x...)": by a frame, or of the guest's own code behind its library's.
 */
/* The number of its own frame, behind those of Halo's library; 0 where that is the first or
 * unknown.
 */
uint32_t inspect_own_frame(const struct inspected *inspected);

void inspect_say_place(struct sentence *sentence, const struct inspected *inspected,
                       bool is_at_once);

/* What it does or waits for: "waits to ...", of one that has not ended or was stopped there:
 * inspect_doing.c. */
void inspect_say_doing(struct sentence *sentence, const struct inspected *inspected);

/* Why it has ended: inspect_end.c. */
void inspect_say_end(struct sentence *sentence, const struct inspected *inspected);

#endif
