/* Guest memory as a debugger reads and writes it: page by page, at whatever address it is. */
#include "debug.h"

#define PROT_DATA (HALO_PROT_READ | HALO_PROT_WRITE)

/*
 * The host's mapping of what the guest has at an address, where nothing needs to be of the page
 * behind it; or NULL. At other addresses (paging.c), where stacks of threads are, the guest says
 * which memory it is: that has to be data, and what has not been used yet is not there.
 */
static HALO_SHARED unsigned char *find(struct halo_machine *machine, uint64_t address, size_t len)
{
    HALO_SHARED unsigned char *at;
    uint64_t page;

    if (halo__paging_is_there(address, len)) {
        page = halo__paging_find(machine, address / HALO_PAGE * HALO_PAGE);
        if ((halo__layout_prot(machine, page) & PROT_DATA) != PROT_DATA)
            return NULL;
        address = page + address % HALO_PAGE;
    } else if (!halo__layout_prot(machine, address)) {
        return NULL;
    }
    at = machine->ram.host + (address - HALO_RAM_BASE);
    return halo__ram_touch(&machine->ram, at, len) ? NULL : at;
}

/* Of so many bytes, those in the first page. */
static size_t first_part(uint64_t address, size_t len)
{
    const size_t rest = HALO_PAGE - (size_t)(address % HALO_PAGE);

    return rest < len ? rest : len;
}

size_t halo__debug_take(struct halo_machine *machine, uint64_t address, void *to, size_t len)
{
    size_t found = 0;

    while (found < len) {
        const size_t part = first_part(address + found, len - found);
        const HALO_SHARED unsigned char *at = find(machine, address + found, part);

        if (!at)
            break;
        halo_shm_copy_in((unsigned char *)to + found, at, part);
        found += part;
    }
    return found;
}

bool halo__debug_put(struct halo_machine *machine, uint64_t address, const void *from, size_t len)
{
    for (size_t done = 0; done < len; done += first_part(address + done, len - done)) {
        if (!find(machine, address + done, first_part(address + done, len - done)))
            return false;
    }
    for (size_t done = 0; done < len;) {
        const size_t part = first_part(address + done, len - done);
        HALO_SHARED unsigned char *at = find(machine, address + done, part);

        if (!at) /* what was written has changed what the guest says of it */
            return false;
        halo_shm_copy_out(at, (const unsigned char *)from + done, part);
        machine->has_patched = true;
        done += part;
    }
    return true;
}
