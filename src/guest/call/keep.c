/* Calls of the host's that are answered after their function has returned: halo_keep. */
#include "call.h"
#include "../port.h"
#include "rows.h"

struct halo_call *halo_keep(struct halo_call *call)
{
    struct halo_call *kept = NULL;

    if (!call->state && call->post != HALO__ON_STACK && !call->export->rows)
        kept = malloc(sizeof(*kept));
    if (!kept)
        return NULL;
    *kept = *call;
    call->state = HALO__ANSWERED; /* as far as its function goes */
    halo__port_kept++;
    return kept;
}

static int end(struct halo_call *kept, int error)
{
    halo__port_kept--;
    free(kept);
    return error;
}

int halo_return_later(struct halo_call *kept, struct halo_value value)
{
    return end(kept, halo_return(kept, value));
}

int halo_fail_later(struct halo_call *kept, int32_t code, const char *text)
{
    return code > 0 ? end(kept, halo_fail(kept, code, text)) : HALO_EINVAL;
}
