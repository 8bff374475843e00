/* io_uring as a neighbour: requests that do nothing, which is what a ring with a kernel costs. */
#include "bench.h"

#ifndef BENCH_HAS_URING

const char *bench_uring_absent(void)
{
    return "built without liburing-dev";
}

double bench_uring_nop(void)
{
    return 0;
}

double bench_uring_nop_batch64(void)
{
    return 0;
}

#else

#include <liburing.h>

/* Opened once: the kernel goes on closing one for a while, on the other core. */
static struct io_uring ring;
static bool is_open;

const char *bench_uring_absent(void)
{
    if (!is_open && io_uring_queue_init(64, &ring, 0) < 0)
        return "the kernel refuses io_uring";
    is_open = true;
    return NULL;
}

static void nops(uint64_t operations, unsigned batch)
{
    for (uint64_t i = 0; i < operations; i += batch) {
        for (unsigned k = 0; k < batch; k++)
            io_uring_prep_nop(io_uring_get_sqe(&ring));
        bench_must(io_uring_submit_and_wait(&ring, batch) == (int)batch, "io_uring failed");
        for (unsigned k = 0; k < batch; k++) {
            struct io_uring_cqe *cqe;

            bench_must(io_uring_peek_cqe(&ring, &cqe) == 0, "io_uring lost a request");
            io_uring_cqe_seen(&ring, cqe);
        }
    }
}

static void nop(uint64_t operations)
{
    nops(operations, 1);
}

static void nop_batch64(uint64_t operations)
{
    nops(operations, 64);
}

double bench_uring_nop(void)
{
    return bench_timed(nop, 320);
}

double bench_uring_nop_batch64(void)
{
    return bench_timed(nop_batch64, 640);
}

#endif
