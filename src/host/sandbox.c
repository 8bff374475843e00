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
    box->machine.ram.fd = -1;
    box->deadline = HALO_FOREVER;

    error = halo__streams_init(&box->streams);
    if (error)
        return halo__fail(&box->words, error, "cannot make an epoll descriptor: %s",
                          strerror(errno));
    error = halo__machine_load(&box->machine, &box->words, path, options);
    if (!error)
        error = halo__port_init(box, options);
    if (!error)
        error = box->machine.backend->create(&box->machine);
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
    halo__machine_close(&box->machine);
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
    return box ? box->words.text : halo_strerror(HALO_ENOMEM);
}

const char *halo_backend_name(const struct halo_sandbox *box)
{
    return box->machine.backend ? box->machine.backend->name : "none";
}

const char *halo_backend_note(const struct halo_sandbox *box)
{
    return box->machine.note[0] ? box->machine.note : NULL;
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
