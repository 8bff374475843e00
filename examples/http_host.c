/*
 * The host of http.c: listens on the loopback, and leaves the connections to the guest.
 *
 *     http_host [--backend kvm|process] [--trace FILE] http.halo [PORT [REQUESTS]]
 *
 * Port 0, the default, is any that is free; the first line of its output says which. FILE is a
 * trace for https://ui.perfetto.dev, once the guest has ended.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <halo/halo.h>
#include <halo/trace.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "hosts.h"

/* A listening socket, or -1; says which port it has. */
static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("http_host");
        return -1;
    }
    printf("http://127.0.0.1:%u/\n", ntohs(address.sin_port));
    return finish_output("http_host") ? -1 : fd;
}

int main(int argc, char **argv)
{
    struct halo_options options = {.ram_len = 16ull << 20};
    const char *args[2] = {"http", NULL};
    struct halo_sandbox *box;
    struct halo_stats stats;
    int fd, trace = -1, error = 0, code = 0;
    uint64_t port = 0;

    for (; !error && argc > 2 && strncmp(argv[1], "--", 2) == 0; argv += 2, argc -= 2) {
        if (strcmp(argv[1], "--trace") != 0)
            error = strcmp(argv[1], "--backend") ? HALO_EINVAL : choose_backend(&options, argv[2]);
        else if ((trace = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0)
            error = HALO_EINVAL;
    }
    if (!error && argc > 2)
        error = take_number(argv[2], UINT16_MAX, &port);
    if (error || argc < 2 || argc > 4) {
        fputs(
            "usage: http_host [--backend kvm|process] [--trace FILE] http.halo [PORT [REQUESTS]]\n",
            stderr);
        return 2;
    }
    args[1] = argc > 3 ? argv[3] : NULL;
    options.args = args;
    options.arg_count = argc > 3 ? 2 : 1;
    fd = listen_on((uint16_t)port);
    if (fd < 0)
        return 2;
    error = halo_open(&box, argv[1], &options);
    if (!error)
        error = halo_offer(box, "http", halo_end_fd(fd), HALO_IN, NULL);
    if (!error)
        error = halo_attach(box, HALO_STDERR, halo_end_fd(2));
    if (!error)
        error = trace >= 0 ? halo_trace_begin(box, 0) : 0;
    if (!error)
        error = halo_run(box, HALO_FOREVER, &code);
    if (!error && trace >= 0)
        error = halo_trace_write(box, trace);
    if (error)
        fprintf(stderr, "http_host: %s\n", halo_errmsg(box));
    halo_stats(box, &stats);
    fprintf(stderr, "%llu bytes in, %llu bytes out, %llu exits\n",
            (unsigned long long)stats.bytes_in, (unsigned long long)stats.bytes_out,
            (unsigned long long)stats.exits);
    halo_close(box);
    return error ? 1 : code;
}
