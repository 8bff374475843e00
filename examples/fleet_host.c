/*
 * Scripts on several threads, each in an interpreter that nobody has used:
 *
 *     fleet_host [--backend kvm|process] [--threads N] GUEST SCRIPT...
 *
 * GUEST reads a script from its standard input, as lua.c does with the argument `-`. It is started
 * once, until it waits for that, and kept as a snapshot. Each thread takes a sandbox of it from the
 * fleet for each of its scripts and gives it back, whatever the script has done to it. The output
 * comes in the order of the scripts.
 */
#include <halo/fleet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include "hosts.h"

#define LIMIT 2000000000 /* ns for each script */
#define OUTPUT_MAX 65536
#define THREADS_MAX 64

struct job {
    const char *script;
    int result; /* an exit code, or an error */
    char why[1024];
    char output[OUTPUT_MAX]; /* with zero bytes behind it; what is longer is an error */
};

static struct halo_snapshot *snapshot;
static struct halo_fleet *fleet;
static struct job *jobs;
static atomic_int next;
static int job_count;

/* Start the guest, until it waits for a script, and keep it so. */
static int start(const char *path, struct halo_options *options)
{
    static const char *const args[] = {"fleet", "-"};
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
        fprintf(stderr, "fleet_host: %s waits for no script\n", path);
    if (!error && !snapshot)
        error = HALO_ESTATE;
    else if (error)
        fprintf(stderr, "fleet_host: %s\n", halo_errmsg(box));
    halo_close(box);
    return error;
}

static int run(struct halo_sandbox *box, struct job *job)
{
    const size_t len = strlen(job->script);
    const struct halo_end output = halo_end_memory(NULL, 0, job->output, OUTPUT_MAX - 1);
    int error = halo_attach(box, HALO_STDOUT, output), code = 1;

    if (!error)
        error = halo_attach(box, HALO_STDERR, halo_end_fd(STDERR_FILENO));
    if (!error && halo_stream_write(box, HALO_STDIN, job->script, len, LIMIT) < (int64_t)len)
        error = HALO_EIO;
    if (!error)
        error = halo_stream_end(box, HALO_STDIN);
    if (!error)
        error = halo_run(box, LIMIT, &code);
    return error ? error : code;
}

static void *work(void *nothing)
{
    int i;

    while ((i = atomic_fetch_add(&next, 1)) < job_count) {
        struct job *const job = &jobs[i];
        struct halo_sandbox *box;

        job->result = halo_fleet_take(fleet, snapshot, HALO_FOREVER, job, &box);
        if (job->result) {
            halo_fleet_errmsg(fleet, job->why, sizeof(job->why));
            continue;
        }
        job->result = run(box, job);
        if (job->result < 0)
            (void)snprintf(job->why, sizeof(job->why), "%s", halo_errmsg(box));
        (void)halo_fleet_give(fleet, box);
    }
    return nothing;
}

static int run_all(uint32_t thread_count)
{
    pthread_t threads[THREADS_MAX];
    uint32_t started = 0;

    while (started < thread_count && pthread_create(&threads[started], NULL, work, NULL) == 0)
        started++;
    if (started == 0) {
        fprintf(stderr, "fleet_host: there is no thread\n");
        return 1;
    }
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    return 0;
}

static int tell(void)
{
    struct halo_fleet_stats stats;
    int bad = 0;

    for (int i = 0; i < job_count; i++) {
        fputs(jobs[i].output, stdout);
        if (jobs[i].result < 0)
            fprintf(stderr, "fleet_host: script %d: %s\n", i + 1, jobs[i].why);
        bad += jobs[i].result != 0;
    }
    halo_fleet_stats(fleet, &stats);
    fprintf(stderr, "%d scripts, %d failed; %" PRIu64 " sandboxes were opened\n", job_count, bad,
            stats.opened);
    return bad;
}

int main(int argc, char **argv)
{
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    struct halo_fleet_options of_fleet = {.sandbox = &options};
    uint64_t threads = 2;
    int error = 0, first = 1, bad = 0;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2) {
        if (strcmp(argv[first], "--threads") == 0)
            error = take_number(argv[first + 1], THREADS_MAX, &threads);
        else
            error = take_option(&options, argv[first], argv[first + 1]);
    }
    if (error || argc < first + 2 || threads == 0 || options.transport != HALO_TRANSPORT_RING) {
        fprintf(stderr,
                "usage: fleet_host [--backend kvm|process] [--threads N] GUEST SCRIPT...\n");
        return 2;
    }
    job_count = argc - first - 1;
    jobs = calloc((size_t)job_count, sizeof(*jobs));
    for (int i = 0; jobs && i < job_count; i++)
        jobs[i].script = argv[first + 1 + i];
    error = jobs ? start(argv[first], &options) : HALO_ENOMEM;
    of_fleet.max = (uint32_t)threads;
    if (!error)
        error = halo_fleet_open(&fleet, &of_fleet);
    if (!error)
        bad = run_all((uint32_t)threads) || tell();
    (void)halo_fleet_close(fleet);
    halo_snapshot_free(snapshot);
    free(jobs);
    return error || bad || finish_output("fleet_host") ? 1 : 0;
}
