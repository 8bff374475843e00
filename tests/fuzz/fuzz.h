/* What the fuzz targets of one side share. An input is a ring size and then what to pick by. */
#ifndef HALO_TESTS_FUZZ_H
#define HALO_TESTS_FUZZ_H

#define FUZZ_SIZE_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A fresh pair of the size that the input asks for; made once per size, for speed. */
static struct duel *fuzz_duel(const uint8_t **data, size_t *len)
{
    static struct duel duels[FUZZ_SIZE_MAX];
    struct duel *d;
    struct pair *p;
    uint32_t size;

    if (*len < 2)
        return NULL;
    size = **data % FUZZ_SIZE_MAX + 1;
    d = &duels[size - 1];
    if (!d->p)
        *d = duel_new(size);
    p = d->p;
    memset(p->memory, 0, p->memory_len);
    halo_driver_init(&p->driver, &p->place, p->driver_chains);
    halo_device_init(&p->device, &p->place, &p->ram, p->device_chains, LEN_MAX);
    model_device_reset(&d->device);
    model_driver_reset(&d->driver);
    d->taken = 0;
    d->input = *data + 1;
    d->input_len = *len - 1;
    return d;
}

#endif
