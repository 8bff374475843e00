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

const char *bench_uring_absent(void)
{
    struct io_uring ring;

    if (io_uring_queue_init(64, &ring, 0) < 0)
        return "the kernel refuses io_uring";
    io_uring_queue_exit(&ring);
    return NULL;
}

static double nops(unsigned batch)
{
    struct io_uring ring;
    double begin;

    bench_must(io_uring_queue_init(64, &ring, 0) == 0, "no io_uring");
    begin = bench_now_ns();
    for (unsigned i = 0; i < 1280; i += batch) {
        for (unsigned k = 0; k < batch; k++)
            io_uring_prep_nop(io_uring_get_sqe(&ring));
        bench_must(io_uring_submit_and_wait(&ring, batch) == (int)batch, "io_uring failed");
        for (unsigned k = 0; k < batch; k++) {
            struct io_uring_cqe *cqe;

            bench_must(io_uring_peek_cqe(&ring, &cqe) == 0, "io_uring lost a request");
            io_uring_cqe_seen(&ring, cqe);
        }
    }
    begin = (bench_now_ns() - begin) / 1280;
    io_uring_queue_exit(&ring);
    return begin;
}

double bench_uring_nop(void)
{
    return nops(1);
}

double bench_uring_nop_batch64(void)
{
    return nops(64);
}

#endif
