/*
 * A database for each connection, and one thread with epoll for all of them:
 *
 *     epoll_host [--backend kvm|process] GUEST [PORT [CONNECTIONS]]
 *
 * GUEST is sqlite.c. Each line that a client sends is a query, which its own sandbox answers: with
 * lines, and an empty one; or `error: …`. A query has a second. One that takes longer, or whose
 * client closes the connection meanwhile, is given up, and nobody else notices: workers run the
 * guests, and this thread only reads, asks, is told, and writes. It listens on 127.0.0.1, says
 * where, and ends after so many connections, or never.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <halo/executor.h>
#include <halo/snapshot.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "hosts.h"

#define WORKERS 2
#define LIMIT 1000000000
#define QUERY_MAX 4096

struct client {
    int fd;
    uint32_t events;          /* of epoll, that it waits for */
    struct halo_sandbox *box; /* its own */
    struct halo_task task;
    bool is_asking, is_gone;
    char query[QUERY_MAX];
    size_t query_len;
    char *answer; /* what is left to be written of it */
    size_t answer_len, answer_at;
};

static struct halo_options options = {.backend = HALO_BACKEND_AUTO};
static struct halo_executor *executor;
static struct halo_snapshot *fresh; /* a guest that waits for its first query */
static int epoll, listener, query_of;
static uint64_t open_count, left = UINT64_MAX; /* connections */

static const struct halo_signature query_type = HALO_FN(HALO_STR, HALO_STR);

/* Start the guest once, until it waits for queries: 0, or an error after a message. */
static int prepare(const char *path)
{
    struct halo_sandbox *box;
    int error = halo_open(&box, path, &options);

    if (!error)
        error = halo_serve_begin(box, HALO_FOREVER);
    if (!error)
        error = query_of = halo_lookup(box, "sql.query", &query_type);
    if (error > 0)
        error = halo_snapshot(box, &fresh);
    if (error)
        fprintf(stderr, "epoll_host: %s\n", halo_errmsg(box));
    halo_close(box);
    return error;
}

static void watch(struct client *client, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.ptr = client}};

    client->events = events;
    (void)epoll_ctl(epoll, EPOLL_CTL_MOD, client->fd, &event);
}

static void end(struct client *client)
{
    (void)halo_executor_detach(client->box); /* it asks for nothing any more */
    halo_close(client->box);
    close(client->fd);
    free(client->answer);
    free(client);
    open_count--;
}

static void ask(struct client *client);

/* Write what there is; then the next query. */
static void write_answer(struct client *client)
{
    while (client->answer_at < client->answer_len) {
        const ssize_t n = send(client->fd, client->answer + client->answer_at,
                               client->answer_len - client->answer_at, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            watch(client, EPOLLOUT);
            return;
        }
        if (n < 0) {
            end(client);
            return;
        }
        client->answer_at += (size_t)n;
    }
    ask(client);
}

static void answered(struct halo_task *task, void *context)
{
    struct client *client = context;
    const char *error = task->error == HALO_ECALL ? task->future.text : halo_strerror(task->error);
    int len, fails = 0;

    client->is_asking = false;
    free(client->answer);
    len = task->error ? asprintf(&client->answer, "error: %s\n\n", error)
                      : asprintf(&client->answer, "%s\n", task->future.result.str);
    client->answer_len = len < 0 ? 0 : (size_t)len;
    client->answer_at = 0;
    if (len < 0)
        client->answer = NULL;
    if (task->error && task->error != HALO_ECALL && !client->is_gone) { /* the guest is of no use */
        (void)halo_executor_detach(client->box);
        fails = halo_restore(client->box, fresh) || halo_executor_attach(executor, client->box);
    }
    halo_future_free(&task->future);
    if (client->is_gone || fails || len < 0)
        end(client);
    else
        write_answer(client);
}

/* The next query, where its line is there. */
static void ask(struct client *client)
{
    char *newline = memchr(client->query, '\n', client->query_len);
    const size_t len = newline ? (size_t)(newline - client->query) : client->query_len;
    const struct halo_value query = {.type = HALO_STR, .len = len, .str = client->query};

    if (!newline && client->query_len < QUERY_MAX) {
        watch(client, EPOLLIN);
        return;
    }
    if (newline)
        *newline = '\0';
    client->task = (struct halo_task){.done = answered, .context = client};
    if (!newline || halo_submit(client->box, &client->task, query_of, &query, 1, LIMIT)) {
        end(client); /* a line without end */
        return;
    }
    client->is_asking = true;
    client->query_len -= len + 1;
    memmove(client->query, newline + 1, client->query_len); /* the query was copied */
    watch(client, EPOLLRDHUP);                              /* its end alone */
}

static void accept_client(void)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *client = fd < 0 ? NULL : calloc(1, sizeof(*client));
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = client}};

    if (fd < 0)
        return;
    if (client && halo_open_snapshot(&client->box, fresh, &options) == 0 &&
        halo_executor_attach(executor, client->box) == 0 &&
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0) {
        client->fd = fd;
        open_count++;
        if (left != UINT64_MAX && --left == 0)
            shutdown(listener, SHUT_RD);
        return;
    }
    fprintf(stderr, "epoll_host: a connection is refused: %s\n",
            halo_errmsg(client ? client->box : NULL));
    if (client) {
        (void)halo_executor_detach(client->box);
        halo_close(client->box);
    }
    free(client);
    close(fd);
}

static void serve(struct client *client, uint32_t events)
{
    ssize_t n;

    if (client->is_asking) { /* it has gone */
        client->is_gone = true;
        halo_cancel(&client->task);
        (void)epoll_ctl(epoll, EPOLL_CTL_DEL, client->fd, NULL);
        return;
    }
    if (events & EPOLLOUT) {
        write_answer(client);
        return;
    }
    n = recv(client->fd, client->query + client->query_len, QUERY_MAX - client->query_len, 0);
    if (n > 0) {
        client->query_len += (size_t)n;
        ask(client);
    } else if (n == 0 || errno != EAGAIN) {
        end(client);
    }
}

/* Where it listens is printed: 0, or an errno. */
static int start_listening(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &listener}};
    socklen_t len = sizeof(address);

    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, len) < 0 || listen(listener, 1024) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
        return errno;
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    return 0;
}

static void loop(void)
{
    struct epoll_event events[64];

    while (left > 0 || open_count > 0) {
        const int count = epoll_wait(epoll, events, 64, -1);
        bool told = false;

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &listener)
                accept_client();
            else if (events[i].data.ptr == &executor)
                told = true;
            else
                serve(events[i].data.ptr, events[i].events);
        }
        if (told) /* last: it ends clients, of which there may be events */
            (void)halo_turn(executor);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = &executor}};
    uint64_t port = 0;
    int error = 0, first = 1;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2)
        error = take_option(&options, argv[first], argv[first + 1]);
    if (!error && argc > first + 1)
        error = take_number(argv[first + 1], UINT16_MAX, &port);
    if (!error && argc > first + 2)
        error = take_number(argv[first + 2], UINT64_MAX - 1, &left);
    if (error || argc <= first || argc > first + 3 || left == 0 ||
        options.transport != HALO_TRANSPORT_RING) {
        fprintf(stderr, "usage: epoll_host [--backend kvm|process] GUEST [PORT [CONNECTIONS]]\n");
        return 2;
    }
    if (prepare(argv[first]))
        return 1;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    error = halo_executor_open(&executor, WORKERS);
    if (!error && epoll_ctl(epoll, EPOLL_CTL_ADD, halo_fd(executor), &event) < 0)
        error = HALO_EHOST;
    if (!error && (error = start_listening((uint16_t)port)) > 0)
        fprintf(stderr, "epoll_host: cannot listen: %s\n", strerror(error));
    else if (error)
        fprintf(stderr, "epoll_host: %s\n", halo_strerror(error));
    else if (finish_output("epoll_host"))
        error = 1;
    if (!error)
        loop();
    (void)halo_executor_close(executor);
    halo_snapshot_free(fresh);
    return error ? 1 : 0;
}
