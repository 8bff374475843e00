/*
 * A host that restores its sandbox before each call, and at last to another program, while gdb is
 * connected: restores BACKEND TRACE TROUBLE. It prints the port at which it waits for gdb, and
 * ends as the other program does.
 */
#include <arpa/inet.h>
#include <halo/inside.h>
#include <halo/snapshot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CALLS 4

static struct halo_sandbox *box;

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "restores: %s: %s\n", what, halo_errmsg(box));
    exit(1);
}

static void look(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)args;
    (void)context;
}

/* One that waits for calls, or has not begun. */
static void make(struct halo_snapshot **snapshot, const char *path, struct halo_options *options)
{
    static const struct halo_signature type = HALO_FN(HALO_VOID);

    must(halo_open(&box, path, options) == 0, path);
    must(options->arg_count || (halo_provide(box, "look", &type, look, NULL) == 0 &&
                                halo_serve_begin(box, HALO_FOREVER) == 0),
         "it serves calls");
    must(halo_snapshot(box, snapshot) == 0, "a snapshot");
}

static int connect_gdb(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0 &&
             getsockname(fd, (struct sockaddr *)&address, &len) == 0,
         "a socket");
    fprintf(stderr, "restores: gdb:%d\n", ntohs(address.sin_port));
    return accept(fd, NULL, NULL);
}

int main(int argc, char **argv)
{
    static const struct halo_signature type = HALO_FN(HALO_VOID, HALO_STR);
    const char *const args[] = {"trouble", "exit-7"};
    struct halo_options options = {.args = args, .arg_count = 2};
    struct halo_snapshot *snapshot, *other;
    struct halo_future future;
    int code = 0;

    if (argc != 4)
        return 2;
    options.backend = strcmp(argv[1], "kvm") == 0 ? HALO_BACKEND_KVM : HALO_BACKEND_PROCESS;
    make(&other, argv[3], &options);
    halo_close(box);
    options.arg_count = 0;
    make(&snapshot, argv[2], &options);
    must(halo_gdb(box, connect_gdb()) == 0, "gdb");
    for (int i = 0; i < CALLS; i++) {
        must(halo_call(box, &future, halo_lookup(box, "end", &type), HALO_FOREVER, halo_str("-")) ==
                 0,
             "a call");
        must(halo_restore(box, i < CALLS - 1 ? snapshot : other) == 0, "a restore");
    }
    must(halo_run(box, HALO_FOREVER, &code) == 0, "the other program");
    halo_close(box);
    halo_snapshot_free(snapshot);
    halo_snapshot_free(other);
    return code;
}
