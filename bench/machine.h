/*
 * A machine that is a function call: the guest runs inside this process, as a coroutine, at the
 * addresses that it was linked for. An exit is a change of stacks, of some forty instructions, so
 * that a count is of the host and of the guest's runtime, and not of KVM or the kernel.
 *
 * It holds back nothing. It is for the guests of this folder and for counting, never for times.
 */
#ifndef HALO_BENCH_MACHINE_H
#define HALO_BENCH_MACHINE_H

#include <halo/halo.h>
#include <stdbool.h>

/* From here on guests run on this machine, one at a time, whatever backend a row asks for. */
void bench_machine_use(void);

/* The backend of a row: KVM where there is one, or a process, or this machine. */
enum halo_backend_choice bench_backend(bool is_process);

#endif
