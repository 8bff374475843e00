/*
 * A server whose every connection is answered by a script in a sandbox that nobody has used:
 *
 *     serve_host [--backend kvm|process] [--threads N] [--connections N] GUEST SCRIPT
 *
 * GUEST runs SCRIPT, as lua.c does; the connection is its standard input and output. It is started
 * once, until it waits for its input, and kept as a snapshot. Each thread accepts connections on
 * the loopback, takes a sandbox from the fleet for each, and gives it back: a script that fails, or
 * never ends, is the last in its sandbox, and costs its own client an answer. The first line of the
 * output says where the server listens. After N connections it ends.
 */
#include <arpa/inet.h>
#include <halo/fleet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include "hosts.h"

#define LIMIT 2000000000 /* ns for each connection */
#define THREADS_MAX 64

static struct halo_snapshot *snapshot;
static struct halo_fleet *fleet;
static int listener;
static uint64_t connections_max = UINT64_MAX;
static atomic_uint_fast64_t connections, failures;

static int start(const char *path, const char *script, struct halo_options *options)
{
    const char *const args[] = {"serve", script};
    struct halo_sandbox *box;
    int error, code;

    options->args = args;
    options->arg_count = 2;
    error = halo_open(&box, path, options);
    if (!error)
        error = halo_attach(box, HALO_STDIN, halo_end_host());
    if (!error)
        error = halo_run(box, LIMIT, &code);
    if (error == HALO_EDEADLOCK) /* it waits for us */
        error = halo_snapshot(box, &snapshot);
    else if (!error)
        error = HALO_ESTATE;
    if (error)
        fprintf(stderr, "serve_host: %s waits for no input: %s\n", path, halo_errmsg(box));
    halo_close(box);
    options->args = NULL;
    return error;
}

/* A socket that listens on any free port, or -1. */
static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1024) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("serve_host");
        return -1;
    }
    printf("http://127.0.0.1:%u/\n", ntohs(address.sin_port));
    return finish_output("serve_host") ? -1 : fd;
}

static void answer(int connection)
{
    struct halo_sandbox *box;
    int error = halo_fleet_take(fleet, snapshot, HALO_FOREVER, NULL, &box), code = 1;

    if (error) {
        failures++;
        return;
    }
    error = halo_attach(box, HALO_STDIN, halo_end_fd(connection));
    if (!error)
        error = halo_attach(box, HALO_STDOUT, halo_end_fd(connection));
    if (!error)
        error = halo_run(box, LIMIT, &code);
    if (error || code)
        failures++;
    (void)halo_fleet_give(fleet, box);
}

static void *work(void *nothing)
{
    int connection;

    while ((connection = accept(listener, NULL, NULL)) >= 0) {
        answer(connection);
        close(connection);
        if (++connections >= connections_max)
            (void)shutdown(listener, SHUT_RDWR); /* all threads leave accept */
    }
    return nothing;
}

static void serve(uint32_t thread_count)
{
    pthread_t threads[THREADS_MAX];
    struct halo_fleet_stats stats;
    uint32_t started = 0;

    while (started + 1 < thread_count && pthread_create(&threads[started], NULL, work, NULL) == 0)
        started++;
    (void)work(NULL);
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    halo_fleet_stats(fleet, &stats);
    fprintf(stderr, "%" PRIu64 " connections, %" PRIu64 " failed; %" PRIu64 " sandboxes\n",
            (uint64_t)connections, (uint64_t)failures, stats.opened);
}

int main(int argc, char **argv)
{
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    struct halo_fleet_options of_fleet = {.sandbox = &options};
    uint64_t threads = 2;
    int error = 0, first = 1;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--threads") == 0)
            error = take_number(argv[first + 1], THREADS_MAX, &threads);
        else if (strcmp(argv[first], "--connections") == 0)
            error = take_number(argv[first + 1], UINT64_MAX, &connections_max);
        else
            error = take_option(&options, argv[first], argv[first + 1]);
    }
    if (error || argc != first + 2 || threads == 0 || options.transport != HALO_TRANSPORT_RING) {
        fprintf(stderr, "usage: serve_host [--backend kvm|process] [--threads N] "
                        "[--connections N] GUEST SCRIPT\n");
        return 2;
    }
    error = start(argv[first], argv[first + 1], &options);
    of_fleet.max = (uint32_t)threads;
    if (!error)
        error = halo_fleet_open(&fleet, &of_fleet);
    if (!error)
        error = halo_fleet_warm(fleet, snapshot, (uint32_t)threads);
    if (!error) {
        listener = listen_anywhere();
        error = listener < 0 ? HALO_EIO : 0;
    }
    if (!error)
        serve((uint32_t)threads);
    (void)halo_fleet_close(fleet);
    halo_snapshot_free(snapshot);
    return error || failures ? 1 : 0;
}
