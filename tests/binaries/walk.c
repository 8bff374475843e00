/*
 * What the generated code does to shared memory. Run under valgrind's lackey, which prints every
 * load and store of the machine code; tests/binaries/run compares them with what is said here.
 *
 * Each decision stands between two stores to `fence_post`. Standard output has the addresses, and
 * for each decision its name and how many loads and stores of the ring it is to make.
 */
#include <halo/device.h>
#include <halo/driver.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 8u
#define RAM 0x10000u

static _Alignas(64) unsigned char memory[SIZE * 16 + 128];
static _Alignas(64) unsigned char ram[4096];
static volatile unsigned char fence_post;
static struct halo_driver driver;
static struct halo_device device;
static struct halo_driver_chain driver_chains[SIZE];
static struct halo_device_chain device_chains[SIZE];
static const struct halo_region region = {RAM, sizeof(ram), ram, HALO_MAY_READ | HALO_MAY_WRITE};
static const struct halo_memory guest = {&region, 1};
static struct halo_ring_place place;
static struct halo_chain chain;
static struct halo_span spans[SIZE];
static struct halo_used used, returned[SIZE];
static struct halo_chain chains[SIZE];
static struct halo_done done[SIZE];
static struct halo_buf bufs[SIZE];
static uint16_t ids[SIZE];

static void start(void)
{
    memset(memory, 0, sizeof(memory));
    if (halo_ring_place_in(halo_shm_share(memory), SIZE, &place) ||
        halo_driver_init(&driver, &place, driver_chains) ||
        halo_device_init(&device, &place, &guest, device_chains, 4096))
        exit(1);
}

static void expect(int got, int wanted)
{
    if (got != wanted)
        exit(1);
}

static void add(uint32_t readable, uint32_t writable)
{
    struct halo_buf bufs[SIZE];

    for (uint32_t i = 0; i < SIZE; i++)
        bufs[i] = (struct halo_buf){RAM + i * 8, 8};
    if (halo_driver_add(&driver, bufs, readable, writable) < 0)
        exit(1);
}

static void poke(uint32_t slot, uint64_t addr, uint32_t len, uint32_t id, uint32_t flags)
{
    struct halo_desc desc = {addr, halo_meta(len, (uint16_t)id, (uint16_t)flags)};

    memcpy(memory + slot * sizeof(desc), &desc, sizeof(desc));
}

#define DECISION(name, loads, stores, ...)         \
    do {                                           \
        printf("%s %d %d\n", name, loads, stores); \
        fence_post = 1;                            \
        __VA_ARGS__;                               \
        fence_post = 2;                            \
    } while (0)

#define POLL halo_device_poll(&device, &chain, spans, SIZE)

int main(void)
{
    setvbuf(stdout, NULL, _IOFBF, 65536);
    printf("ring %p %zu\npost %p\n", (void *)memory, sizeof(memory), (const void *)&fence_post);

    start();
    DECISION("device-poll-empty", 1, 0, expect(POLL, 0));
    DECISION("driver-poll-empty", 1, 0, expect(halo_driver_poll(&driver, &used), 0));
    DECISION("add-1", 0, 1, add(1, 0)); /* its flags are withheld */
    DECISION("add-3", 0, 6, add(1, 2));
    DECISION("driver-publish", 0, 1, halo_driver_publish(&driver));
    DECISION("should-kick", 1, 0, expect(halo_driver_should_kick(&driver), 1));
    DECISION("device-poll-1", 2, 0, expect(POLL, 1));
    DECISION("complete", 0, 0, expect(halo_device_complete(&device, chain.token, 0), 0));
    DECISION("device-poll-3", 6, 0, expect(POLL, 1));
    DECISION("complete-second", 0, 1, expect(halo_device_complete(&device, chain.token, 8), 0));
    DECISION("device-publish", 0, 1, halo_device_publish(&device));
    DECISION("should-notify", 1, 0, expect(halo_device_should_notify(&device), 1));
    DECISION("driver-poll", 1, 0, expect(halo_driver_poll(&driver, &used), 1));
    DECISION("driver-poll-second", 1, 0, expect(halo_driver_poll(&driver, &used), 1));
    DECISION("device-arm", 1, 1, expect(halo_device_arm(&device), 0));
    DECISION("driver-arm", 1, 1, expect(halo_driver_arm(&driver), 0));
    DECISION("device-disarm", 0, 1, halo_device_disarm(&device));
    DECISION("driver-disarm", 0, 1, halo_driver_disarm(&driver));

    start(); /* each descriptor of a batch, and the one that ends it, once */
    for (uint32_t i = 0; i < SIZE; i++)
        bufs[i] = (struct halo_buf){RAM, 8};
    DECISION("submit", 0, 2, expect(halo_driver_submit(&driver, bufs, 1, 0), 0));
    DECISION("submit-batch", 0, 8,
             expect(halo_driver_submit_batch(&driver, bufs, 4, true, ids), 4));
    DECISION("device-poll-batch", 11, 0,
             expect(halo_device_poll_batch(&device, chains, SIZE, spans, 1), 5));
    DECISION("finish", 0, 1, expect(halo_device_finish(&device, chains[0].token, 0), 0));
    for (uint32_t i = 0; i < 4; i++)
        done[i] = (struct halo_done){chains[i + 1].token, 8};
    DECISION("finish-batch", 0, 4, expect(halo_device_finish_batch(&device, done, 4), 4));
    DECISION("driver-poll-batch", 6, 0, expect(halo_driver_poll_batch(&driver, returned, SIZE), 5));

    start();
    poke(0, RAM, 8, 0, HALO_DESC_AVAIL);
    poke(1, 0, 8, 1, HALO_DESC_AVAIL);
    poke(2, RAM, 8, 0, HALO_DESC_AVAIL);
    DECISION("batch-reject-broken", 6, 0,
             expect(halo_device_poll_batch(&device, chains, SIZE, spans, 1), 2));

    start();
    poke(0, 0, 8, 0, HALO_DESC_AVAIL);
    DECISION("reject-range", 2, 0, expect(POLL, HALO_EREJECT));
    poke(1, RAM, 8, SIZE, HALO_DESC_AVAIL);
    DECISION("broken-id", 2, 0, expect(POLL, HALO_EBROKEN));
    DECISION("latched", 0, 0, expect(POLL, HALO_EBROKEN));

    start();
    poke(0, RAM, 8, 0, HALO_DESC_AVAIL | HALO_DESC_NEXT);
    DECISION("broken-torn", 3, 0, expect(POLL, HALO_EBROKEN));

    start();
    for (uint32_t i = 0; i < SIZE; i++)
        poke(i, RAM, 8, 0, HALO_DESC_AVAIL | HALO_DESC_NEXT);
    DECISION("broken-too-long", 2 * (int)SIZE, 0, expect(POLL, HALO_EBROKEN));

    start();
    add(0, 1);
    halo_driver_publish(&driver);
    poke(0, RAM, 9, 0, HALO_DESC_AVAIL | HALO_DESC_USED | HALO_DESC_WRITE);
    DECISION("driver-broken-length", 1, 0, expect(halo_driver_poll(&driver, &used), HALO_EBROKEN));
    return 0;
}
