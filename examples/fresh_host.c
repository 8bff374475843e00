/*
 * Each script in a fresh interpreter:
 *
 *     fresh_host [--backend kvm|process] GUEST SCRIPT...
 *
 * GUEST reads a script from its standard input, as lua.c does with the argument `-`. It is started
 * once, until it waits for that; what it is then is kept as a snapshot. For each script it is
 * restored, which costs some microseconds: no script sees what another one left, and one that fails
 * or never ends is the last in its sandbox, but not in its host's.
 */
#include <halo/snapshot.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "hosts.h"

#define LIMIT 2000000000 /* ns for each script */

static struct halo_sandbox *box;
static struct halo_snapshot *snapshot;

/* Start the guest, until it waits for a script. */
static int start(const char *path, struct halo_options *options)
{
    static const char *const args[] = {"fresh", "-"};
    int error, code = 0;

    options->args = args;
    options->arg_count = 2;
    error = halo_open(&box, path, options);
    if (!error)
        error = halo_attach(box, HALO_STDIN, halo_end_host());
    if (!error)
        error = halo_attach(box, HALO_STDOUT, halo_end_fd(STDOUT_FILENO));
    if (!error)
        error = halo_attach(box, HALO_STDERR, halo_end_fd(STDERR_FILENO));
    if (!error)
        error = halo_run(box, LIMIT, &code);
    if (!error)
        fprintf(stderr, "fresh_host: %s waits for no script\n", path);
    if (error == HALO_EDEADLOCK) /* it waits for us */
        error = halo_snapshot(box, &snapshot);
    return error ? error : snapshot ? 0 : HALO_ESTATE;
}

/* Run one script, from where the guest waited: its exit code, or an error. */
static int run(const char *script)
{
    const size_t len = strlen(script);
    int error = halo_restore(box, snapshot), code = 1;

    if (!error)
        error = halo_attach(box, HALO_STDOUT, halo_end_fd(STDOUT_FILENO));
    if (!error)
        error = halo_attach(box, HALO_STDERR, halo_end_fd(STDERR_FILENO));
    if (!error && halo_stream_write(box, HALO_STDIN, script, len, LIMIT) < (int64_t)len)
        error = HALO_EIO;
    if (!error)
        error = halo_stream_end(box, HALO_STDIN);
    if (!error)
        error = halo_run(box, LIMIT, &code);
    if (error)
        fprintf(stderr, "fresh_host: %s\n", halo_errmsg(box));
    return error ? error : code;
}

int main(int argc, char **argv)
{
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    struct halo_stats stats;
    int error = 0, first = 1, bad = 0;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2)
        error = take_option(&options, argv[first], argv[first + 1]);
    if (error || argc < first + 2 || options.transport != HALO_TRANSPORT_RING) {
        fprintf(stderr, "usage: fresh_host [--backend kvm|process] GUEST SCRIPT...\n");
        return 2;
    }

    error = start(argv[first], &options);
    if (error && error != HALO_ESTATE)
        fprintf(stderr, "fresh_host: %s\n", halo_errmsg(box));
    for (int i = first + 1; i < argc && !error; i++)
        bad += run(argv[i]) != 0;
    if (!error) {
        halo_stats(box, &stats);
        fprintf(stderr,
                "%d scripts, %d failed; the guest was restored %" PRIu64 " times, from %" PRIu64
                " KiB\n",
                argc - first - 1, bad, stats.restores, halo_snapshot_bytes(snapshot) >> 10);
    }
    halo_snapshot_free(snapshot);
    halo_close(box);
    return error || bad || finish_output("fresh_host") ? 1 : 0;
}
