/*
 * A host whose guest does one kind of thing, for `run` to look at: surface_host BACKEND KIND DIR.
 * DIR has the guests. What it does falls into parts, each begun by a system call that cannot be
 * taken for another.
 */
#define _GNU_SOURCE
#include <halo/halo.h>
#include <halo/stream.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define PATIENCE 60000000000ll
#define SHORT 50000000ll    /* of a run that ends at its time limit, */
#define ENOUGH 1000000000ll /* before which it has come to wait, beside other work too */

static struct halo_sandbox *box;
static const char *guests;
static const char bytes[] = "some bytes\n";
static char taken[4096];

/* --- Parts of a life -------------------------------------------------------------------------- */

static void begin(const char *part)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/surface/%s", part);
    (void)access(path, F_OK);
}

static void check(int error)
{
    if (error)
        errx(1, "%s: %s", halo_strerror(error), halo_errmsg(box));
}

static void open_guest(const char *guest, const char *mode, enum halo_backend_choice backend)
{
    const char *const args[] = {guest, mode, "1"};
    const struct halo_options options = {.backend = backend, .args = args, .arg_count = 3};
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/%s.halo", guests, guest);
    begin("open");
    check(halo_open(&box, path, &options));
    begin("prepare");
}

static void offer(const char *name, struct halo_end end)
{
    const uint32_t ways = strcmp(name, "in") == 0    ? HALO_IN
                          : strcmp(name, "out") == 0 ? HALO_OUT
                                                     : HALO_IN | HALO_OUT;

    begin("attach");
    check(halo_offer(box, name, end, ways, NULL));
    begin("prepare");
}

/* Run it until it ends, or for `limit` where that is when it has to. */
static void run(int64_t limit, int expected)
{
    int code, error;

    begin("run");
    error = halo_run(box, limit, &code);
    begin("close");
    if (error != expected)
        errx(1, "%s instead of %s: %s", halo_strerror(error), halo_strerror(expected),
             halo_errmsg(box));
}

/*
 * A helper that was left behind, for it was not let run in time, still ends by itself, and that
 * belongs to what is looked at.
 */
static void await_helpers(void)
{
    struct stat st = {.st_nlink = 0};

    begin("end");
    for (int i = 0; i < 60000; i++) {
        if (stat("/proc/self/task", &st) < 0)
            err(1, "/proc/self/task");
        if (st.st_nlink == 3) /* "." and "..", and this one */
            return;
        (void)usleep(1000);
    }
    errx(1, "a helper has not ended");
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void fill(int fd)
{
    if (write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
        err(1, "write");
}

static int memory_file(void)
{
    const int fd = memfd_create("surface", MFD_CLOEXEC);

    if (fd < 0)
        err(1, "memfd_create");
    fill(fd);
    (void)lseek(fd, 0, SEEK_SET);
    return fd;
}

static void make_pipe(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) < 0)
        err(1, "pipe2");
}

static struct halo_end from_memory(void)
{
    return halo_end_memory(bytes, sizeof(bytes), NULL, 0);
}

static struct halo_end to_memory(void)
{
    return halo_end_memory(NULL, 0, taken, sizeof(taken));
}

static int64_t none(void *context, void *to, size_t len)
{
    (void)context;
    (void)to;
    (void)len;
    return 0;
}

static int64_t all(void *context, const void *from, size_t len)
{
    (void)context;
    (void)from;
    return (int64_t)len;
}

static void connect_ends(const char *kind)
{
    static const struct halo_end_functions functions = {.read = none, .write = all};
    struct termios raw;
    int fds[2];

    if (strcmp(kind, "functions") == 0) {
        offer("in", halo_end_functions(&functions, NULL, -1));
        offer("out", halo_end_functions(&functions, NULL, -1));
    } else if (strcmp(kind, "pipe") == 0) {
        make_pipe(fds);
        fill(fds[1]);
        close(fds[1]);
        offer("in", halo_end_fd(fds[0]));
        make_pipe(fds);
        offer("out", halo_end_fd(fds[1]));
    } else if (strcmp(kind, "socket") == 0) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
            err(1, "socketpair");
        fill(fds[1]);
        (void)shutdown(fds[1], SHUT_WR);
        offer("in", halo_end_fd(fds[0]));
        offer("out", halo_end_given(fds[0]));
    } else if (strcmp(kind, "file") == 0) {
        offer("in", halo_end_fd(memory_file()));
        offer("out", halo_end_file(memory_file(), 3));
    } else if (strcmp(kind, "terminal") == 0) {
        cfmakeraw(&raw);
        if (openpty(&fds[0], &fds[1], NULL, &raw, NULL) < 0)
            err(1, "openpty");
        offer("in", from_memory());
        offer("out", halo_end_fd(fds[1]));
    } else if (strcmp(kind, "helper") == 0) {
        offer("in", halo_end_fd(open("/proc/version", O_RDONLY | O_CLOEXEC)));
        if (openpty(&fds[0], &fds[1], NULL, NULL, NULL) < 0)
            err(1, "openpty");
        offer("out", halo_end_fd(fds[0]));
    } else if (strcmp(kind, "silence") == 0) {
        make_pipe(fds);
        offer("in", halo_end_fd(fds[0]));
        offer("out", to_memory());
    } else {
        offer("in", from_memory());
        offer("out", to_memory());
    }
}

static void answer(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    halo_return(call, args[0]);
}

/* A connection that waits to be accepted, with a number that was sent over it. */
static void offer_listener(void)
{
    const struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_un bound;
    socklen_t len = sizeof(bound);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const unsigned number = 1;

    if (bind(listener, (const struct sockaddr *)&name, sizeof(name.sun_family)) < 0 ||
        listen(listener, 1) < 0 || getsockname(listener, (struct sockaddr *)&bound, &len) < 0 ||
        connect(client, (const struct sockaddr *)&bound, len) < 0 ||
        write(client, &number, sizeof(number)) != sizeof(number))
        err(1, "a connection");
    offer("listener", halo_end_fd(listener));
}

/* --- Kinds ------------------------------------------------------------------------------------ */

static void calls(enum halo_backend_choice backend)
{
    const struct halo_signature type = HALO_FN(HALO_I64, HALO_I64);

    open_guest("streams", "a", backend);
    check(halo_provide(box, "host.next", &type, answer, NULL));
    offer("host", to_memory());
    run(PATIENCE, 0);
}

/* The host calls a function of the guest's, which reads from a stream. */
static void called(enum halo_backend_choice backend)
{
    const struct halo_signature type = HALO_FN(HALO_U64, HALO_U32);
    struct halo_value handle = halo_u32(0);
    struct halo_future future;

    open_guest("streams", "", backend);
    check(halo_offer(box, "in", from_memory(), HALO_IN, &handle.u32));
    begin("run");
    check(halo_serve_begin(box, PATIENCE));
    check(halo_call(box, &future, halo_lookup(box, "read_one", &type), PATIENCE, handle));
    halo_future_free(&future);
    begin("close");
}

/* It waits, and so can be looked at until our input ends. */
static void stand(enum halo_backend_choice backend)
{
    char byte;

    open_guest("streams", "f", backend);
    connect_ends("silence");
    run(ENOUGH, HALO_ETIMEDOUT);
    (void)puts("stands");
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
}

int main(int argc, char **argv)
{
    enum halo_backend_choice backend;
    const char *kind;

    if (argc != 4)
        errx(2, "usage: surface_host BACKEND KIND DIR");
    backend = strcmp(argv[1], "kvm") == 0 ? HALO_BACKEND_KVM : HALO_BACKEND_PROCESS;
    kind = argv[2];
    guests = argv[3];
    if (strcmp(kind, "exit") == 0) {
        open_guest("trouble", "exit-7", backend);
        run(PATIENCE, 0);
    } else if (strcmp(kind, "fault") == 0) {
        open_guest("trouble", "undefined", backend);
        run(PATIENCE, HALO_EFAULT);
    } else if (strcmp(kind, "syscall") == 0) {
        open_guest("trouble", "syscall", backend);
        run(PATIENCE, backend == HALO_BACKEND_KVM ? HALO_EFAULT : HALO_EFAULT);
    } else if (strcmp(kind, "protect") == 0) {
        open_guest("protect", "in-force", backend);
        run(PATIENCE, 0);
    } else if (strcmp(kind, "loop") == 0) {
        open_guest("trouble", "loop", backend);
        run(SHORT, HALO_ETIMEDOUT);
    } else if (strcmp(kind, "basics") == 0 || strcmp(kind, "relocates") == 0 ||
               strcmp(kind, "clock") == 0) {
        open_guest(kind, "", backend);
        check(halo_attach(box, HALO_STDOUT, to_memory()));
        run(PATIENCE, 0);
    } else if (strcmp(kind, "calls") == 0) {
        calls(backend);
    } else if (strcmp(kind, "called") == 0) {
        called(backend);
    } else if (strcmp(kind, "connection") == 0) {
        open_guest("streams", "c", backend);
        offer_listener();
        run(PATIENCE, 0);
    } else if (strcmp(kind, "stand") == 0) {
        stand(backend);
    } else if (strcmp(kind, "cancel") == 0) {
        open_guest("streams", "e", backend);
        connect_ends("silence");
        run(PATIENCE, 0);
    } else {
        open_guest("streams", "f", backend);
        connect_ends(kind);
        run(strcmp(kind, "silence") == 0 ? ENOUGH : PATIENCE,
            strcmp(kind, "silence") == 0 ? HALO_ETIMEDOUT : 0);
    }
    halo_close(box);
    await_helpers();
    return 0;
}
