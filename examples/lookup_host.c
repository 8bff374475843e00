/*
 * A host with two functions for its guest, examples/lookup.c:
 *
 *     lookup_host [--backend kvm|process] [--trace FILE] GUEST WORD...
 *
 * The guest asks for the number of each word (its length, here) and has it printed. However many
 * words there are, a batch of 64 costs two exits: one for the questions, one for the lines. FILE is
 * a trace of it for https://ui.perfetto.dev.
 */
#include <fcntl.h>
#include <halo/halo.h>
#include <halo/trace.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "hosts.h"

static void lookup(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)context;
    if (args[0].len == 0)
        halo_fail(call, 404, "there is no empty word");
    else
        halo_return(call, halo_i64((int64_t)args[0].len));
}

static void report(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    print_visible(context, args[0].str);
    fprintf(context, ": %" PRId64 "\n", args[1].i64);
}

int main(int argc, char **argv)
{
    static const struct halo_signature lookup_type = HALO_FN(HALO_I64, HALO_STR);
    static const struct halo_signature report_type = HALO_FN(HALO_VOID, HALO_STR, HALO_I64);
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    struct halo_sandbox *box;
    struct halo_stats stats;
    int error = 0, code = 0, first = 1, trace = -1;

    for (; !error && argc > first + 2 && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--trace") == 0)
            trace = open(argv[first + 1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        else
            error = strcmp(argv[first], "--backend") ? HALO_EINVAL
                                                     : choose_backend(&options, argv[first + 1]);
    }
    if (error || argc <= first) {
        fprintf(stderr,
                "usage: lookup_host [--backend kvm|process] [--trace FILE] GUEST WORD...\n");
        return 2;
    }
    options.args = (const char *const *)argv + first;
    options.arg_count = (uint32_t)(argc - first);
    error = halo_open(&box, argv[first], &options);
    if (!error)
        error = halo_provide(box, "host.lookup", &lookup_type, lookup, NULL);
    if (!error)
        error = halo_provide(box, "host.report", &report_type, report, stdout);
    if (!error && trace >= 0)
        error = halo_trace_begin(box, 0);
    if (!error)
        error = halo_run(box, HALO_FOREVER, &code);
    if (!error && trace >= 0)
        error = halo_trace_write(box, trace);
    if (error) {
        fprintf(stderr, "lookup_host: %s\n", halo_errmsg(box));
    } else {
        halo_stats(box, &stats);
        fprintf(stderr, "%" PRIu64 " calls, %" PRIu64 " exits\n", stats.calls, stats.exits);
    }
    halo_close(box);
    return error || finish_output("lookup_host") ? 1 : code;
}
