/*
 * Linux's packed driver, from the kernel's source, judges Halo's device.
 *
 *     linux_judge [--requests N] [--seed N] [--first]     every ring size in every mode
 *     linux_judge --bench                                 how long a round trip takes
 *
 * N requests for each mode. With --first nothing runs after the first failure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <halo/device.h>

#include "linux_judge.h"

unsigned char *queue_area, *out_area, *in_area, *elsewhere;
static size_t pages_taken;
static uint32_t pages_count;

void *peer_pages(size_t len)
{
    unsigned char *pages = queue_area + pages_taken;

    if (len > QUEUE_LEN - pages_taken)
        return NULL;
    pages_taken += len;
    pages_count++;
    return memset(pages, 0, len);
}

void peer_pages_free(void *pages, size_t len)
{
    memset(pages, 0xdd, len);
    if (--pages_count == 0)
        pages_taken = 0;
}

void peer_pages_forget(void)
{
    pages_taken = pages_count = 0;
}

/* Linux uses a table where it was negotiated. Halo never offers that, and must say so. */
static bool indirect(void)
{
    struct halo_region region = {(uintptr_t)queue_area, QUEUE_LEN, halo_shm_share(queue_area),
                                 HALO_MAY_READ | HALO_MAY_WRITE};
    struct halo_memory memory = {&region, 1};
    struct peer_segment segments[] = {{queue_area, 8}, {queue_area + 64, 8}};
    struct halo_device_chain chains[8] = {{0}};
    struct halo_device device;
    struct halo_ring_place place;
    struct halo_chain chain;
    struct halo_span spans[SPANS];
    struct peer_driver driver;
    bool ok;

    ok = peer_driver_open(&driver, 8, PEER_EVENT_IDX | PEER_INDIRECT, NULL, NULL) &&
         halo_ring_place_at(&memory, 8, (struct halo_gpa){driver.desc},
                            (struct halo_gpa){driver.driver_event},
                            (struct halo_gpa){driver.device_event}, &place) == 0 &&
         halo_device_init(&device, &place, &memory, chains, UINT32_MAX) == 0 &&
         peer_driver_add(&driver, segments, 1, 1, segments) == 0 &&
         halo_device_poll(&device, &chain, spans, SPANS) == HALO_EBROKEN &&
         device.violation.reason == HALO_BROKEN_INDIRECT && peer_driver_detach(&driver) == segments;
    peer_driver_close(&driver);
    printf("%s: an indirect table, which was never offered, latches the queue\n",
           ok ? "ok" : "FAILED");
    return ok;
}

void die(const char *what)
{
    fprintf(stderr, "linux_judge: %s\n", what);
    exit(2);
}

static unsigned char *map(size_t len)
{
    void *area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED)
        die("no memory");
    return area;
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 7, 8, 16, 64, 100, 255, 256, 1000, 32768};
    const uint64_t count = sizeof(sizes) / sizeof(sizes[0]);
    uint64_t requests = 1000000, seed = 1, quota;
    uint32_t passed = 0, failed = 0;
    bool first = false;

    queue_area = map(QUEUE_LEN);
    out_area = map(AREA_LEN);
    in_area = map(AREA_LEN);
    elsewhere = map(4096);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--bench")) {
            bench();
            return 0;
        } else if (!strcmp(argv[i], "--first")) {
            first = true;
        } else if (!strcmp(argv[i], "--requests") && i + 1 < argc) {
            requests = strtoull(argv[++i], NULL, 0);
        } else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
            seed = strtoull(argv[++i], NULL, 0);
        } else {
            die("usage: linux_judge [--requests N] [--seed N] [--first] | --bench");
        }
    }
    quota = (requests + count - 1) / count;
    for (int mode = 0; mode < MODES; mode++) {
        for (uint64_t i = 0; i < count && !(first && failed); i++)
            *(trial(sizes[i], (enum mode)mode, quota, seed) ? &passed : &failed) += 1;
    }
    if (!(first && failed))
        *(indirect() ? &passed : &failed) += 1;
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
