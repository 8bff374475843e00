/* What the programs of this folder share: a guest that has to do with streams, and its time. */
#ifndef TESTS_STREAMS_BOX_H
#define TESTS_STREAMS_BOX_H

#include "../calls/ways.h"

#include <time.h>

#define PATIENCE 120000000000ll /* what goes on at all does so within this, in ns */

static struct halo_sandbox *box;

static inline void open_box(void **state, const char *const *args, uint32_t count)
{
    struct halo_options options = way_options(state);

    options.args = args;
    options.arg_count = count;
    if (halo_open(&box, GUEST, &options))
        fail_msg("%s", halo_errmsg(box));
}

static inline void close_box(void)
{
    halo_close(box);
    box = NULL;
}

static inline uint32_t offer(const char *name, struct halo_end end, uint32_t ways)
{
    uint32_t handle = 0;

    if (halo_offer(box, name, end, ways, &handle))
        fail_msg("%s", halo_errmsg(box));
    return handle;
}

static inline void assert_ends(void)
{
    int code = -1;

    if (halo_run(box, PATIENCE, &code))
        fail_msg("%s: %s", halo_backend_name(box), halo_errmsg(box));
    assert_int_equal(code, 0);
}

static inline int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#endif
