/* What the library with the kernel's driver has to offer. */
#ifndef HALO_BENCH_LINUX_PEER_H
#define HALO_BENCH_LINUX_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct linux_peer {
    bool (*open)(uint32_t size); /* an empty queue, no notifications */
    void (*close)(void);
    uint32_t (*submit)(uint32_t count); /* one readable segment each; how many went in */
    uint32_t (*serve)(uint32_t max);    /* the device: up to as much of what is there */
    uint32_t (*reap)(uint32_t max);     /* the driver: up to as much of what came back */
};

extern const struct linux_peer linux_peer __attribute__((visibility("default")));

#endif
