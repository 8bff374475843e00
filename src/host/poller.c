/* Descriptors that somebody waits for, by epoll. */
#define _GNU_SOURCE
#include "poller.h"
#include "descriptor.h"
#include <errno.h>
#include <halo/error.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int halo__poller_init(struct halo_poller *poller)
{
    poller->waker = -1;
    poller->epoll = halo__fd_high(epoll_create1(EPOLL_CLOEXEC));
    return poller->epoll < 0 ? HALO_EHOST : 0;
}

void halo__poller_free(struct halo_poller *poller)
{
    if (poller->epoll >= 0)
        close(poller->epoll);
    if (poller->waker >= 0)
        close(poller->waker);
}

int halo__poller_make_waker(struct halo_poller *poller)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}}; /* nobody's */

    poller->waker = halo__fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (poller->waker < 0)
        return HALO_EHOST;
    if (epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->waker, &event) == 0)
        return 0;
    close(poller->waker);
    poller->waker = -1;
    return HALO_EHOST;
}

void halo__poller_ring(const struct halo_poller *poller)
{
    const uint64_t one = 1;

    (void)!write(poller->waker, &one, sizeof(one));
}

void halo__poller_hear(struct halo_poller *poller)
{
    uint64_t count;

    (void)!read(poller->waker, &count, sizeof(count));
}

int halo__poller_wake_by(struct halo_poller *poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = poller}};

    return epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? HALO_EHOST : 0;
}

static void disarm(struct halo_poller *poller, struct halo_polled *polled)
{
    if (!polled->armed)
        return;
    poller->armed_count--;
    poller->urgent_count -= polled->is_urgent;
    polled->armed = 0;
}

bool halo__poller_arm(struct halo_poller *poller, struct halo_polled *polled, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLONESHOT, .data = {.ptr = polled}};

    if (polled->fd < 0 || events == polled->armed)
        return true;
    if (epoll_ctl(poller->epoll, polled->is_known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, polled->fd,
                  &event) < 0)
        return false;
    polled->is_known = true;
    disarm(poller, polled);
    if (events) {
        polled->armed = events;
        poller->armed_count++;
        poller->urgent_count += polled->is_urgent;
    }
    return true;
}

void halo__poller_forget(struct halo_poller *poller, struct halo_polled *polled)
{
    if (polled->is_known)
        (void)epoll_ctl(poller->epoll, EPOLL_CTL_DEL, polled->fd, NULL);
    disarm(poller, polled);
    polled->is_known = false;
}

int halo__poller_wait(struct halo_poller *poller, int timeout_ms)
{
    struct epoll_event events[32];
    int count;

    if (poller->armed_count == 0 && timeout_ms == 0)
        return 0;
    count = epoll_wait(poller->epoll, events, 32, timeout_ms); /* interrupted: only look again */
    if (count < 0 && errno != EINTR)
        return HALO_EHOST;
    for (int i = 0; i < count; i++) {
        struct halo_polled *polled = events[i].data.ptr;

        if (!polled) {
            halo__poller_hear(poller);
            continue;
        }
        if (events[i].data.ptr == poller) /* it only wakes */
            continue;
        if (!polled->armed) /* it fell due when nobody waited any more */
            continue;
        disarm(poller, polled);
        polled->ready(polled, events[i].events);
    }
    return 0;
}
