/* A hostile device, as long as the input lasts, before the driver and its reference model. */
#include "../model/duel.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct duel *d = fuzz_duel(&data, &len);

    while (d && d->input_len > 0)
        hostile_device_step(d);
    return 0;
}
