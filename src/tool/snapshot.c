/* halo snapshot: a guest is run until it waits, and kept as a file; and what goes on from there. */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <getopt.h>
#include <halo/snapshot.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: halo snapshot [OPTIONS] -o FILE GUEST [ARGS]\n"
    "\n"
    "Runs the program GUEST until it waits: for a call, for its standard input, or for a time.\n"
    "Then it writes what that has in memory to FILE, from which `halo run --from` and\n"
    "`halo call --from` go on.\n"
    "\n" TOOL_USAGE
    "      --after SECONDS  not where it waits for a time, before so long: it goes on then\n"
    "  -e, --env NAME=VALUE of the environment of a Linux program; may stand several times\n"
    "  -o, --output FILE    the snapshot; one of before is replaced at once, when it is whole\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit codes: 0; 2 wrong use, or a file that cannot be written; 3 the guest faulted, panicked\n"
    "or broke the protocol; 4 a limit of time or exits.\n";

struct snapshot_options {
    struct tool_options common;
    const char *guest, *output;
    const char **env;
    int64_t after_ns; /* or 0 */
    bool help;
};

#define AFTER 512

static int wrong(const char *what)
{
    tool_say("halo snapshot: %s; see 'halo snapshot --help'\n", what);
    return TOOL_EXIT_USAGE;
}

static int parse(int argc, char **argv, struct snapshot_options *options)
{
    static const struct option longs[] = {
        TOOL_LONGS,
        {"after", required_argument, NULL, AFTER},
        {"env", required_argument, NULL, 'e'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, error;

    *options = (struct snapshot_options){.common = {.timeout_ns = HALO_FOREVER}};
    options->env = calloc((size_t)argc, sizeof(*options->env));
    if (!options->env)
        return wrong("no memory");
    options->common.sandbox.env = options->env;
    opterr = 0; /* tool_wrong_option tells */
    /* '+': what follows GUEST belongs to it. */
    while ((option = getopt_long(argc, argv, "+:" TOOL_SHORTS "e:o:h", longs, NULL)) != -1) {
        switch (option) {
        case 'e':
            if (!strchr(optarg, '=') || *optarg == '=')
                return wrong("--env takes NAME=VALUE");
            options->env[options->common.sandbox.env_count++] = optarg;
            break;
        case 'o':
            options->output = optarg;
            break;
        case AFTER:
            if (!tool_parse_seconds(optarg, &options->after_ns))
                return wrong("--after takes a number of seconds, above zero and up to 1e9");
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            error = tool_option("snapshot", &options->common, option, optarg);
            if (error)
                return error < 0 ? tool_wrong_option("snapshot", argc, argv, option) : error;
        }
    }
    if (!options->output)
        return wrong("where to? -o FILE");
    if (optind == argc)
        return wrong("which guest?");
    options->guest = argv[optind];
    options->common.sandbox.args = (const char *const *)(argv + optind);
    options->common.sandbox.arg_count = (uint32_t)(argc - optind);
    return 0;
}

static int keep(struct halo_sandbox *box, const char *path)
{
    struct halo_snapshot *snapshot;
    int error = halo_snapshot(box, &snapshot);

    if (error) {
        tool_tell("snapshot", box, error);
        return tool_exit_code(error, 0);
    }
    error = halo_snapshot_save(snapshot, path);
    if (error)
        tool_say("halo snapshot: %s: %s\n", path,
                 error == HALO_EFILE ? strerror(errno) : halo_strerror(error));
    halo_snapshot_free(snapshot);
    return tool_exit_code(error, 0);
}

static int64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Until it waits, for what this command does not give it, or long enough for a time. */
static int run_until_it_waits(struct halo_sandbox *box, int64_t after_ns)
{
    const int64_t from = now();
    int error = tool_attach(box, STDIN_FILENO), awaits;

    if (!error)
        error = halo_attach(box, HALO_STDIN, halo_end_host());
    if (!error)
        error = halo_log(box, HALO_LOG_WARN, 0, tool_print_log, NULL);
    while (!error) {
        awaits = halo_run_to_wait(box, tool_time_left());
        if (awaits < 0)
            error = awaits;
        else if (!(awaits & HALO_AWAITS_TIME) || now() - from >= after_ns)
            return 0;
    }
    tool_tell("snapshot", box, error);
    return tool_exit_code(error, 0);
}

static int make(const struct snapshot_options *options)
{
    struct halo_sandbox *box = NULL;
    int code;

    if (options->help) {
        fputs(usage, tool_out);
        return 0;
    }
    tool_limit(options->common.timeout_ns);
    code = tool_open("snapshot", &box, options->guest, &options->common.sandbox);
    if (!code)
        code = tool_dump_begin("snapshot", &options->common);
    if (!code)
        code = run_until_it_waits(box, options->after_ns);
    if (!code)
        code = keep(box, options->output);
    halo_close(box);
    return code;
}

int tool_snapshot(int argc, char **argv)
{
    struct snapshot_options options;
    int code = parse(argc, argv, &options);

    if (!code)
        code = make(&options);
    free(options.env);
    return tool_printed(options.help ? "" : " snapshot", code);
}

/* An option that is the guest's, who has its own from the snapshot. */
static const char *option_of_guest(const struct halo_options *options)
{
    return options->ram_len                 ? "--memory"
           : options->stack_len             ? "--stack"
           : options->sizes.queue_size      ? "--queue"
           : options->sizes.call_queue_size ? "--call-queue"
           : options->sizes.pool_len        ? "--pool"
           : options->transport             ? "--transport"
                                            : NULL;
}

int tool_open_from(const char *command, struct halo_sandbox **box, const char *path,
                   const struct halo_options *options)
{
    const char *option = option_of_guest(options);
    struct halo_snapshot *snapshot;
    char why[256];
    int error;

    if (option) {
        tool_say(
            "halo %s: %s cannot be changed: what --from goes on from has its memory, stack and "
            "queues\n",
            command, option);
        return TOOL_EXIT_USAGE;
    }
    error = halo_snapshot_load(&snapshot, path, why, sizeof(why));
    if (error) {
        tool_say("halo %s: %s: %s\n", command, path, why);
        return tool_exit_code(error, 0);
    }
    error = halo_open_snapshot(box, snapshot, options);
    halo_snapshot_free(snapshot);
    if (error)
        tool_say("halo %s: %s: %s\n", command, path, halo_errmsg(*box));
    else if (halo_backend_note(*box))
        tool_say("halo %s: %s\n", command, halo_backend_note(*box));
    return tool_exit_code(error, 0);
}
