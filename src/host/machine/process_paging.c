/*
 * Guest memory at other addresses, in a process: which pages its child is to map, as it maps them
 * itself (process_signals.c), and whether it is asked to do anything else.
 */
#define _GNU_SOURCE
#include "process.h"
#include "process_child.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

/*
 * Whether the kernel goes on with a call that the host was asked about (Linux 5.5). Then it is
 * asked for all protections and knows them. An older one makes read-only after relocation what a
 * program has for that, unasked, for else no program with glibc would start; a process that takes
 * this one's place has it writable.
 */
bool halo__process_goes_on(void)
{
    struct utsname name;
    char *end;
    unsigned long major, minor = 0;

    if (uname(&name) < 0)
        return false;
    major = strtoul(name.release, &end, 10);
    if (*end == '.')
        minor = strtoul(end + 1, NULL, 10);
    return major > 5 || (major == 5 && minor >= 5);
}

/* The kernel has a page table for each region in which something is mapped, and each mapping costs
 * it memory: so there are no more than these. */
#define REGIONS (HALO_PAGING_LEN / CHILD_REGION_LEN)

int halo__process_fill(struct halo_machine *machine, const struct halo_fill *fill)
{
    struct process_state *state = machine->state;
    const uint64_t region = (fill->at - HALO_PAGING_BASE) / CHILD_REGION_LEN;

    if (!state->regions)
        state->regions = calloc(REGIONS, 1);
    if (!state->regions)
        return halo__fail(machine->words, HALO_ENOMEM,
                          "the guest was stopped: the host has no memory to keep track of what it "
                          "uses at 0x%llx",
                          (unsigned long long)fill->at);
    if (!state->regions[region] && state->region_count == CHILD_REGIONS_MAX)
        return 0;
    state->region_count += !state->regions[region];
    state->regions[region] = true;
    state->fill = *fill;
    state->has_mapped = false;
    state->told = CHILD_MAP_WORD((fill->at - HALO_PAGING_BASE) / HALO_PAGE, fill->from / HALO_PAGE,
                                 fill->len / HALO_PAGE);
    if (!(fill->prot & HALO_PROT_WRITE))
        state->told |= CHILD_MAP_READ_ONLY;
    return 1;
}

/* Its registers, which nobody can change while the host judges them: exactly what was told. */
bool halo__process_is_told(const struct process_state *state)
{
    const struct seccomp_data *call = &state->notified.data;
    const struct halo_fill *fill = &state->fill;

    return call->nr == SYS_mremap && fill->len > 0 && call->args[0] == fill->from &&
           call->args[1] == 0 && call->args[2] == fill->len &&
           call->args[3] == (MREMAP_MAYMOVE | MREMAP_FIXED) && call->args[4] == fill->at;
}

void halo__process_release(struct process_state *state, uint64_t base, uint64_t len)
{
    const uint64_t offset = base - HALO_PAGING_BASE;
    const uint64_t first = (offset + CHILD_REGION_LEN - 1) / CHILD_REGION_LEN;

    state->fill.len = 0; /* which may be among them */
    for (uint64_t i = first; state->region_count > 0 && i < (offset + len) / CHILD_REGION_LEN;
         i++) {
        state->region_count -= state->regions[i];
        state->regions[i] = false;
    }
}
