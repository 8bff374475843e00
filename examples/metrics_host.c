/*
 * A host whose plug-ins can be watched by Prometheus: three of examples/plugin.c, each on a thread
 * of its own, and their numbers over HTTP on the loopback, while they work.
 *
 *     metrics_host [--backend kvm|process] PLUGIN [PORT [SCRAPES]]
 *
 * GET /metrics has the numbers of each, with its name as the label `sandbox`; GET /sum those of all
 * together, without. Port 0, the default, is any that is free; the first line of its output says
 * which. After so many answers it ends.
 */
#include <arpa/inet.h>
#include <halo/halo.h>
#include <halo/metrics.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include "hosts.h"
#include "plugin.h"

#define TENANTS 3

#define NAME(name, ...) name
#define SIGNATURE(name, ...) ((const struct halo_signature)HALO_FN(__VA_ARGS__))
#define NAME_OF(function) NAME(function)
#define SIGNATURE_OF(function) SIGNATURE(function)

struct tenant {
    char name[16];
    struct halo_sandbox *box;
    pthread_t thread;
    int line; /* the plug-in's function */
};

static struct tenant tenants[TENANTS];
static atomic_bool is_over;

static void setting(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)args;
    (void)context;
    halo_return(call, halo_str("7"));
}

static void tell(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
}

/* Returns 0, or an error that halo_errmsg tells of. */
static int load(struct tenant *tenant, const char *path, const struct halo_options *options)
{
    const struct halo_signature setting_type = SIGNATURE_OF(HOST_SETTING);
    const struct halo_signature tell_type = SIGNATURE_OF(HOST_LOG);
    const struct halo_signature line_type = SIGNATURE_OF(PLUGIN_LINE);
    int error = halo_open(&tenant->box, path, options);

    if (!error)
        error = halo_provide(tenant->box, NAME_OF(HOST_SETTING), &setting_type, setting, NULL);
    if (!error)
        error = halo_provide(tenant->box, NAME_OF(HOST_LOG), &tell_type, tell, NULL);
    if (!error)
        error = halo_measure(tenant->box, true);
    if (!error)
        error = halo_serve_begin(tenant->box, HALO_FOREVER);
    if (!error)
        error = tenant->line = halo_lookup(tenant->box, NAME_OF(PLUGIN_LINE), &line_type);
    return error < 0 ? error : 0;
}

/* Work, until there are enough answers. */
static void *work(void *self)
{
    struct tenant *tenant = self;
    struct halo_future future;
    char text[32];

    for (unsigned i = 0; !atomic_load(&is_over); i++) {
        int error;

        (void)snprintf(text, sizeof(text), "line %u", i);
        error = halo_call(tenant->box, &future, tenant->line, HALO_FOREVER, halo_str(text));
        halo_future_free(&future);
        if (error && error != HALO_ECALL) {
            fprintf(stderr, "metrics_host: %s: %s\n", tenant->name, halo_errmsg(tenant->box));
            return NULL;
        }
    }
    return NULL;
}

/* The numbers as text, of each, or of all together. The plug-ins go on meanwhile. */
static size_t write_metrics(char *text, size_t size, bool is_sum)
{
    struct halo_named_metrics named[TENANTS];
    struct halo_metrics each[TENANTS], sum = {0};

    for (int i = 0; i < TENANTS; i++) {
        (void)halo_metrics(tenants[i].box, &each[i], sizeof(each[i]));
        halo_metrics_add(&sum, &each[i], sizeof(sum));
        named[i] = (struct halo_named_metrics){tenants[i].name, &each[i]};
    }
    if (is_sum)
        named[0] = (struct halo_named_metrics){NULL, &sum};
    return halo_metrics_text(text, size, named, is_sum ? 1 : TENANTS);
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

/* One request on one connection, whose header is read to its end. */
static void answer(int fd)
{
    static char body[HALO_METRICS_LEN(TENANTS)];
    const struct timeval patience = {.tv_sec = 10};
    char head[4096], reply[200];
    size_t len = 0, body_len = 0;
    ssize_t n = 1;
    bool is_sum, is_known;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    head[0] = '\0';
    while (n > 0 && len < sizeof(head) - 1 && !strstr(head, "\r\n\r\n")) {
        n = read(fd, head + len, sizeof(head) - 1 - len);
        len += n > 0 ? (size_t)n : 0;
        head[len] = '\0';
    }
    is_sum = strncmp(head, "GET /sum ", 9) == 0;
    is_known = is_sum || strncmp(head, "GET /metrics ", 13) == 0;
    if (is_known)
        body_len = write_metrics(body, sizeof(body), is_sum);
    (void)snprintf(reply, sizeof(reply),
                   "HTTP/1.1 %s\r\nContent-Type: application/openmetrics-text; version=1.0.0; "
                   "charset=utf-8\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                   is_known ? "200 OK" : "404 Not Found", body_len);
    send_all(fd, reply, strlen(reply));
    send_all(fd, body, body_len);
}

/* A listening socket, or -1; says which port it has. */
static int listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&address, &len)) {
        perror("metrics_host");
        return -1;
    }
    printf("http://127.0.0.1:%u/metrics\n", ntohs(address.sin_port));
    return finish_output("metrics_host") ? -1 : fd;
}

/* Until so many were answered, or 0: for ever. */
static void serve(int fd, uint64_t scrapes)
{
    for (uint64_t i = 0; scrapes == 0 || i < scrapes; i++) {
        const int client = accept(fd, NULL, NULL);

        if (client < 0)
            continue;
        answer(client);
        close(client);
    }
}

int main(int argc, char **argv)
{
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    uint64_t port = 0, scrapes = 0;
    int fd, error = 0, started = 0;

    if (argc > 2 && strcmp(argv[1], "--backend") == 0) {
        error = choose_backend(&options, argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (!error && argc > 2)
        error = take_number(argv[2], UINT16_MAX, &port);
    if (!error && argc > 3)
        error = take_number(argv[3], UINT32_MAX, &scrapes);
    if (error || argc < 2 || argc > 4) {
        fputs("usage: metrics_host [--backend kvm|process] PLUGIN [PORT [SCRAPES]]\n", stderr);
        return 2;
    }
    for (int i = 0; i < TENANTS && !error; i++) {
        (void)snprintf(tenants[i].name, sizeof(tenants[i].name), "tenant-%d", i + 1);
        error = load(&tenants[i], argv[1], &options);
        if (error)
            fprintf(stderr, "metrics_host: %s\n", halo_errmsg(tenants[i].box));
    }
    fd = error ? -1 : listen_on((uint16_t)port);
    for (; fd >= 0 && started < TENANTS; started++) {
        if (pthread_create(&tenants[started].thread, NULL, work, &tenants[started]))
            break;
    }
    if (fd >= 0)
        serve(fd, scrapes);
    atomic_store(&is_over, true);
    while (started > 0)
        (void)pthread_join(tenants[--started].thread, NULL);
    for (int i = 0; i < TENANTS; i++)
        halo_close(tenants[i].box);
    return fd < 0;
}
