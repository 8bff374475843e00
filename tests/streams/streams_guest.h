/* The guest tests/guests/streams.c, one of its modes at a time, and what goes through it. */
#ifndef TESTS_STREAMS_STREAMS_GUEST_H
#define TESTS_STREAMS_STREAMS_GUEST_H

#include "box.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define LEN ((3u << 20) + 123) /* bytes of a pattern */

static inline void open_guest(void **state, const char *mode, const char *count)
{
    const char *const args[] = {"streams", mode, count};

    open_box(state, args, count ? 3 : 2);
}

static inline int close_guest(void **state)
{
    (void)state;
    close_box();
    return 0;
}

/* Bytes that are nowhere the same. */
static inline unsigned char *pattern(size_t len)
{
    unsigned char *bytes = malloc(len);
    uint64_t x = 88172645463325252ull;

    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        bytes[i] = (unsigned char)x;
    }
    return bytes;
}

/* A listening socket on the loopback, and its address. */
static inline int listen_tcp(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

#endif
