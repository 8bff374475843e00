/*
 * Descriptors that somebody waits for. The loop owns the poller and is the only one that waits with
 * it; services have their descriptors watched, and are told when one is ready.
 */
#ifndef HALO_SRC_POLLER_H
#define HALO_SRC_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct halo_poller {
    int epoll;
    int waker;             /* an eventfd that ends a wait: another thread's way to; or -1 */
    uint32_t armed_count;  /* descriptors that are waited for */
    uint32_t urgent_count; /* of them those for which the guest has to wait, too */
    int64_t again;         /* when services look again at what cannot be watched, or 0 */
};

/* A descriptor that may be waited for: a part of whatever it belongs to. */
struct halo_polled {
    int fd;         /* the owner's; -1: none */
    uint32_t armed; /* events of epoll that it waits for, once */
    bool is_known;  /* epoll has seen it */
    bool is_urgent; /* the guest does not run as long as it is waited for: set before it is armed */
    void (*ready)(struct halo_polled *polled, uint32_t events);
};

/* 0, or HALO_EHOST with errno. */
int halo__poller_init(struct halo_poller *poller);
void halo__poller_free(struct halo_poller *poller);

/* Have a waker: 0, or HALO_EHOST with errno. */
int halo__poller_make_waker(struct halo_poller *poller);

/* End its wait, or the next one. Any thread. */
void halo__poller_ring(const struct halo_poller *poller);

/* What it was woken for has been seen. */
void halo__poller_hear(struct halo_poller *poller);

/* Have this descriptor end each wait as long as it is ready; nothing else becomes of it. 0, or
 * HALO_EHOST with errno. */
int halo__poller_wake_by(struct halo_poller *poller, int fd);

/*
 * Wait for these events of it from now on, for none where it is 0, and once: `ready` is called with
 * what came, and it is armed no more. False where it cannot be watched.
 */
bool halo__poller_arm(struct halo_poller *poller, struct halo_polled *polled, uint32_t events);

/* Before its descriptor is closed: closing alone would not do, for the file may be open elsewhere.
 */
void halo__poller_forget(struct halo_poller *poller, struct halo_polled *polled);

/*
 * Wait so many ms, -1 for ever, until some are ready, and tell their owners. 0, or HALO_EHOST with
 * errno.
 */
int halo__poller_wait(struct halo_poller *poller, int timeout_ms);

#endif
