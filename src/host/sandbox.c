/* The life of a sandbox: open, attach, close; what it can be asked for. */
#define _GNU_SOURCE
#include "sandbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
    box->deadline = HALO_FOREVER;

    error = halo__streams_init(&box->streams);
    if (error)
        return halo__fail(box, error, "cannot make an epoll descriptor: %s", strerror(errno));
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
    halo__invoke_end(box, HALO_ESTATE);
    halo__kept_free(box);
    halo__streams_free(&box->streams);
    if (box->backend)
        box->backend->destroy(box);
    if (box->ram.host)
        munmap(halo_shm_expose(box->ram.host), box->ram.len);
    if (box->ram.fd >= 0)
        close(box->ram.fd);
    free(box->functions.provided);
    free(box->functions.exported);
    free(box);
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

void halo_watch(struct halo_sandbox *box, int64_t interval_ns,
                void (*watch)(struct halo_sandbox *box, void *context), void *context)
{
    box->watch = watch;
    box->watch_context = context;
    box->watch_interval = interval_ns;
    box->watch_next = 0;
}

void halo_stats(const struct halo_sandbox *box, struct halo_stats *stats)
{
    *stats = box->stats;
}
