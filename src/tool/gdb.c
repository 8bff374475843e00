/*
 * halo run --gdb PORT|PATH: gdb connects once, and the guest is its. Nobody else's machine can
 * reach a port of this one's own, but every user of this one can: none but the user reaches a
 * path's.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool parse_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    *port = (uint16_t)number;
    return !errno && end != text && !*end && *text >= '0' && *text <= '9' && number <= UINT16_MAX;
}

/* A listening socket, and at which port it is; or -1 with errno. */
static int listen_at(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
        const int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static int listener = -1;
static bool has_path;

static int begin_at_path(const char *path)
{
    listener = tool_listen_at(path, false); /* to try whether one is left would be to be its gdb */
    if (listener < 0) {
        tool_say("halo run: --gdb %s: %s\n", path, strerror(errno));
        return TOOL_EXIT_USAGE;
    }
    has_path = true;
    tool_say("halo run: waiting for gdb: target remote %s\n", path);
    fflush(tool_err);
    return 0;
}

int tool_gdb_begin(const char *text)
{
    uint16_t port;

    if (!text)
        return 0;
    if (strchr(text, '/'))
        return begin_at_path(text);
    if (!parse_port(text, &port)) {
        tool_say("halo run: --gdb takes a port, 0 to 65535, or a path with a '/', not '%s'\n",
                 text);
        return TOOL_EXIT_USAGE;
    }
    listener = listen_at(&port);
    if (listener < 0) {
        tool_say("halo run: port %s of 127.0.0.1: %s\n", text, strerror(errno));
        return TOOL_EXIT_USAGE;
    }
    tool_say("halo run: waiting for gdb: target remote 127.0.0.1:%u\n", port);
    fflush(tool_err);
    return 0;
}

int tool_gdb_await(struct halo_sandbox *box, int64_t timeout_ns)
{
    const int one = 1;
    int connection, error;

    if (listener < 0)
        return 0;
    do
        connection = poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, -1) < 0
                         ? -1
                         : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (connection < 0 && (errno == EINTR || errno == EAGAIN || errno == ECONNABORTED));
    error = errno;
    close(listener);
    listener = -1;
    if (connection < 0) {
        tool_say("halo run: gdb cannot connect: %s\n", strerror(error));
        return TOOL_EXIT_USAGE;
    }
    if (!has_path)
        (void)setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    error = halo_gdb(box, connection);
    close(connection);
    tool_limit(timeout_ns);
    if (!error)
        return 0;
    tool_say("halo run: %s\n", halo_errmsg(box));
    return TOOL_EXIT_USAGE;
}
