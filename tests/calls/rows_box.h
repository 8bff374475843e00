/* What tests of calls with rows share: a sandbox, and one call at a time. */
#ifndef TESTS_CALLS_ROWS_BOX_H
#define TESTS_CALLS_ROWS_BOX_H

#include "ways.h"
#include <halo/rows.h>

static struct halo_sandbox *box;
static struct halo_rows rows;

#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))

static inline int close_box(void **state)
{
    (void)state;
    halo_rows_free(&rows);
    halo_close(box);
    return 0;
}

static inline int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

static inline void call(int callee, uint32_t count, const struct halo_column *args,
                        size_t arg_count)
{
    if (halo_call_rows(box, &rows, callee, HALO_FOREVER, count, args, arg_count))
        fail_msg("%s: %s", halo_errname(rows.future.error), rows.future.text);
    assert_int_equal(rows.failed_count, 0);
}

#endif
