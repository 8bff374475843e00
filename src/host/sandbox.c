/* The life of a sandbox: open, attach, run, close. */
#define _GNU_SOURCE
#include "sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int halo__fail(struct halo_sandbox *box, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(box->errmsg, sizeof(box->errmsg), format, arguments);
    va_end(arguments);
    return error;
}

int64_t halo__now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int halo__poll_timeout(int64_t deadline)
{
    int64_t left;

    if (deadline == HALO_FOREVER)
        return -1;
    left = deadline - halo__now();
    if (left <= 0)
        return 0;
    left = (left + 999999) / 1000000;
    return left > 1000000 ? 1000000 : (int)left;
}

static int choose_backend(struct halo_sandbox *box, enum halo_backend_choice choice)
{
    int fd;

    if (choice == HALO_BACKEND_PROCESS) {
        box->backend = &halo__process;
        return 0;
    }
    if (choice == HALO_BACKEND_KVM) {
        box->backend = &halo__kvm;
        return 0;
    }
    if (choice != HALO_BACKEND_AUTO)
        return halo__fail(box, HALO_EINVAL, "no such backend");
    fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        box->backend = &halo__kvm;
        return 0;
    }
    if (errno != ENOENT)
        (void)snprintf(box->backend_note, sizeof(box->backend_note),
                       "/dev/kvm exists but cannot be opened (%s); join the group kvm, or ask for "
                       "--backend process",
                       strerror(errno));
    box->backend = &halo__process;
    return 0;
}

int halo_open(struct halo_sandbox **result, const char *path, const struct halo_options *options)
{
    static const struct halo_options defaults = {.ram_len = 0};
    struct halo_sandbox *box;
    int error;

    box = calloc(1, sizeof(*box));
    *result = box;
    if (!box)
        return HALO_ENOMEM;
    if (!options)
        options = &defaults;
    box->ram.fd = -1;
    for (uint32_t i = 0; i < HALO_STREAM_COUNT; i++)
        box->streams[i].fd = -1;

    error = choose_backend(box, options->backend);
    if (!error)
        error = halo__layout_begin(box, options);
    if (!error)
        error = halo__load(box, path);
    if (!error)
        error = halo__layout_finish(box, options);
    if (!error)
        error = box->backend->create(box);
    if (!error)
        box->state = HALO_STATE_READY;
    return error;
}

void halo_close(struct halo_sandbox *box)
{
    if (!box)
        return;
    if (box->backend)
        box->backend->destroy(box);
    if (box->ram.host)
        munmap(halo_shm_expose(box->ram.host), box->ram.len);
    if (box->ram.fd >= 0)
        close(box->ram.fd);
    free(box->functions.provided);
    free(box);
}

int halo_attach(struct halo_sandbox *box, uint32_t handle, int fd)
{
    struct stat st;

    if (handle >= HALO_STREAM_COUNT)
        return halo__fail(box, HALO_EINVAL, "there is no standard stream %u", handle);
    if (fstat(fd, &st) < 0)
        return halo__fail(box, HALO_EINVAL, "file descriptor %d: %s", fd, strerror(errno));
    if (box->streams[handle].first)
        return halo__fail(box, HALO_ESTATE, "stream %u is in use", handle);
    box->streams[handle] = (struct halo_stream){
        .fd = fd,
        .may_read = handle == HALO_STDIN,
        .may_write = handle != HALO_STDIN,
        .is_file = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode),
    };
    return 0;
}

/* The guest's last words, if it gave an address where it may have them. */
static int panic(struct halo_sandbox *box, uint64_t address, uint64_t len)
{
    char text[HALO_PANIC_MAX + 1];
    uint32_t shown = len < HALO_PANIC_MAX ? (uint32_t)len : HALO_PANIC_MAX;
    struct halo_span span;

    if (shown == 0 || halo_memory_span(&box->memory, (struct halo_gpa){address}, shown,
                                       HALO_MAY_READ, &span) != HALO_SPAN_OK)
        return halo__fail(box, HALO_EPANIC, "the guest panicked without a message");
    halo_shm_copy_in(text, span.base, shown);
    text[shown] = '\0';
    for (uint32_t i = 0; i < shown; i++) { /* RES-07: bounded, and nothing a terminal obeys */
        if (text[i] < ' ' || text[i] > '~')
            text[i] = '?';
    }
    return halo__fail(box, HALO_EPANIC, "the guest panicked: %s", text);
}

/* The guest has nothing to do until an answer comes. */
static int wait_for_answer(struct halo_sandbox *box, int64_t deadline)
{
    int error = 0;

    while (!error && !box->answered) {
        if (!halo__has_pending(box))
            return halo__fail(box, HALO_EPOISONED,
                              "the guest waits for an answer but has asked for nothing");
        error = halo__wait_pending(box, deadline);
        if (!error)
            error = halo__drain(box);
    }
    box->answered = false;
    return error;
}

/* Everything that is still on its way out goes out before the guest's end is reported. */
static int finish(struct halo_sandbox *box, int64_t deadline)
{
    int error = 0;

    for (;;) {
        struct halo_stream *in = &box->streams[HALO_STDIN];

        in->first = in->last = NULL; /* nobody will look at these answers */
        if (error || !halo__has_pending(box))
            return error;
        error = halo__wait_pending(box, deadline);
        if (!error)
            error = halo__drain(box);
    }
}

static int faulted(struct halo_sandbox *box, const struct halo_fault *fault)
{
    box->has_fault = true;
    box->fault = *fault;
    return halo__fail(box, HALO_EFAULT,
                      "the guest faulted: %s at 0x%llx (instruction 0x%llx, stack 0x%llx, error "
                      "code 0x%x)",
                      halo_fault_name(fault->vector),
                      (unsigned long long)(fault->vector == 14 ? fault->address : fault->rip),
                      (unsigned long long)fault->rip, (unsigned long long)fault->rsp, fault->error);
}

/* One exit of the guest. Returns 1 when it ended well, 0 when it goes on, or an error. */
static int handle_exit(struct halo_sandbox *box, const struct halo_exit *exit, int64_t deadline,
                       int *exit_code)
{
    int error;

    box->stats.exits++;
    switch (exit->kind) {
    case HALO_EXIT_TIMEOUT:
        return HALO_ETIMEDOUT;
    case HALO_EXIT_FAULT:
        return faulted(box, &exit->fault);
    case HALO_EXIT_DEAD:
        return halo__fail(box, HALO_EFAULT, "the guest was stopped: %s", exit->why);
    case HALO_EXIT_DOORBELL:
        break;
    }
    error = halo__drain(box);
    if (error)
        return error;
    switch (exit->op) {
    case HALO_DOORBELL_KICK:
        box->stats.kicks++;
        return 0;
    case HALO_DOORBELL_WAIT:
        box->stats.waits++;
        return wait_for_answer(box, deadline);
    case HALO_DOORBELL_HALT:
        *exit_code = (int)(exit->a & 0xff);
        error = finish(box, deadline);
        return error ? error : 1;
    case HALO_DOORBELL_PANIC:
        return panic(box, exit->a, exit->b);
    default:
        return halo__fail(box, HALO_EPOISONED, "the guest rang the doorbell for an unknown 0x%llx",
                          (unsigned long long)exit->op);
    }
}

int halo_run(struct halo_sandbox *box, int64_t timeout_ns, int *exit_code)
{
    int64_t start = halo__now();
    int64_t deadline = timeout_ns > INT64_MAX - start ? HALO_FOREVER : start + timeout_ns;
    struct halo_exit exit;
    sigset_t block, before, pending;
    bool had_pipe;
    int error = 0;

    if (box->state != HALO_STATE_READY)
        return halo__fail(box, HALO_ESTATE, "this sandbox cannot be run%s",
                          box->state == HALO_STATE_ENDED ? " a second time" : "");
    if (timeout_ns < 0)
        return halo__fail(box, HALO_EINVAL, "a timeout cannot be negative");
    box->state = HALO_STATE_RUNNING;

    /* SIGURG ends KVM_RUN at the deadline; SIGPIPE would kill a host whose end point closed. */
    sigemptyset(&block);
    sigaddset(&block, SIGURG);
    sigaddset(&block, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    sigpending(&pending);
    had_pipe = sigismember(&pending, SIGPIPE) == 1;

    error = box->backend->enter(box, deadline);
    while (error == 0) {
        error = box->backend->run(box, deadline, &exit);
        if (error == 0)
            error = handle_exit(box, &exit, deadline, exit_code);
    }
    box->backend->leave(box);
    if (error == HALO_ETIMEDOUT)
        halo__fail(box, error, "the guest was stopped: it did not end within its time limit");

    if (had_pipe)
        sigdelset(&block, SIGPIPE);
    while (sigtimedwait(&block, NULL, &(struct timespec){0, 0}) > 0)
        continue; /* what we caused must not reach the caller */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    box->state = HALO_STATE_ENDED;
    box->stats.elapsed_ns += (uint64_t)(halo__now() - start);
    return error < 0 ? error : 0;
}

const struct halo_fault *halo_fault(const struct halo_sandbox *box)
{
    return box->has_fault ? &box->fault : NULL;
}

const char *halo_fault_name(uint32_t vector)
{
    static const char *const names[] = {
        "divide error",
        "debug",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid opcode",
        "no device",
        "double fault",
        "reserved fault 9",
        "invalid TSS",
        "segment not present",
        "stack fault",
        "general protection fault",
        "page fault",
        "reserved fault 15",
        "floating-point error",
        "alignment check",
        "machine check",
        "SIMD floating-point error",
        "virtualization exception",
        "control protection fault",
    };

    return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : "unknown fault";
}

const char *halo_errmsg(const struct halo_sandbox *box)
{
    return box ? box->errmsg : halo_strerror(HALO_ENOMEM);
}

const char *halo_backend_name(const struct halo_sandbox *box)
{
    return box->backend ? box->backend->name : "none";
}

const char *halo_backend_note(const struct halo_sandbox *box)
{
    return box->backend_note[0] ? box->backend_note : NULL;
}

void halo_stats(const struct halo_sandbox *box, struct halo_stats *stats)
{
    *stats = box->stats;
}
