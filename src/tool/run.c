/* halo run: a guest with the command's own standard streams, or a file as its input. */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: halo run [OPTIONS] GUEST [ARGS]\n"
    "       halo run [OPTIONS] --from FILE\n"
    "\n"
    "Runs the program GUEST in a sandbox. Its standard input, output and error are this\n"
    "command's, and its exit code is, too.\n"
    "\n" TOOL_USAGE
    "      --core FILE      where the guest faults, panics, breaks a rule or is stopped: a core\n"
    "                       file for gdb, with all of its memory; else FILE stays empty\n"
    "  -e, --env NAME=VALUE of the environment of a Linux program; may stand several times\n"
    "      --grace SECONDS  a Linux program that is to be stopped, by its time limit or because\n"
    "                       this command gets SIGTERM, gets SIGTERM first, and has so long to end\n"
    "      --inspect SOCKET answer who runs halo inspect SOCKET, while the guest runs or waits\n"
    "      --from FILE      go on from what halo snapshot has kept\n"
    "      --gdb PORT|PATH  wait for gdb's 'target remote' at this port of 127.0.0.1, 0: at one\n"
    "                       that is printed, or at a socket of that path, which this user alone\n"
    "                       can reach; no time limit runs while gdb holds the guest\n"
    "  -i, --input FILE     give the guest FILE as its standard input\n"
    "      --json           what has gone wrong is told in one line of JSON\n"
    "      --log LEVEL      of the guest's log show no more than error, warn (the default),\n"
    "                       info or debug lines, or none\n"
    "      --no-confine     let this command itself go on doing all that it may\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit codes: the guest's own; 1 what it wrote could not be written; 2 wrong use or an\n"
    "unusable file; 3 the guest faulted, panicked or broke the protocol; 4 a limit of time or "
    "exits.\n";

struct run_options {
    struct tool_options common;
    const char *guest;
    const char *input, *from;
    const char *core, *inspect, *gdb;
    bool json;
    enum halo_log_level log; /* or 0: none of it */
    const char **env;        /* as many as there are arguments, at most */
    bool help;
    bool no_confine;
};

#define NO_CONFINE 512
#define CORE 513
#define JSON 514
#define LOG 515
#define INSPECT 516
#define GDB 517
#define GRACE 518
#define GRACE_MAX_NS 1000000000000000ll

/* GUEST and what belongs to it, which a snapshot has. */
static int parse_guest(int count, char **words, struct run_options *options)
{
    if (options->from && (count > 0 || options->common.sandbox.env_count > 0)) {
        fputs("halo run: what --from goes on from has its program, arguments and environment\n",
              tool_err);
        return TOOL_EXIT_USAGE;
    }
    if (options->from)
        return 0;
    if (count == 0) {
        fputs("halo run: which guest? see 'halo run --help'\n", tool_err);
        return TOOL_EXIT_USAGE;
    }
    options->guest = words[0];
    options->common.sandbox.args = (const char *const *)words;
    options->common.sandbox.arg_count = (uint32_t)count;
    return 0;
}

/* Where the value of an option goes that is a name or a number of its own. */
static const char **place_of(struct run_options *options, int option)
{
    switch (option) {
    case CORE:
        return &options->core;
    case GDB:
        return &options->gdb;
    case INSPECT:
        return &options->inspect;
    case TOOL_FROM:
        return &options->from;
    default:
        return &options->input;
    }
}

static bool parse_grace(const char *text, uint32_t *ms)
{
    int64_t ns;

    if (!tool_parse_seconds(text, &ns) || ns > GRACE_MAX_NS) {
        fputs("halo run: --grace takes a number of seconds, above zero and up to 1e6\n", tool_err);
        return false;
    }
    *ms = (uint32_t)((ns + 999999) / 1000000);
    return true;
}

static int parse(int argc, char **argv, struct run_options *options)
{
    static const struct option longs[] = {
        TOOL_LONGS,
        {"core", required_argument, NULL, CORE},
        {"env", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, JSON},
        {"from", required_argument, NULL, TOOL_FROM},
        {"gdb", required_argument, NULL, GDB},
        {"input", required_argument, NULL, 'i'},
        {"grace", required_argument, NULL, GRACE},
        {"inspect", required_argument, NULL, INSPECT},
        {"log", required_argument, NULL, LOG},
        {"no-confine", no_argument, NULL, NO_CONFINE},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, error;

    *options = (struct run_options){.common = {.timeout_ns = HALO_FOREVER}, .log = HALO_LOG_WARN};
    options->env = calloc((size_t)argc, sizeof(*options->env));
    if (!options->env) {
        fputs("halo run: no memory\n", tool_err);
        return TOOL_EXIT_USAGE;
    }
    options->common.sandbox.env = options->env;
    opterr = 0; /* tool_wrong_option tells */
    /* '+': what follows GUEST belongs to it. */
    while ((option = getopt_long(argc, argv, "+:" TOOL_SHORTS "e:i:h", longs, NULL)) != -1) {
        switch (option) {
        case 'e':
            if (!strchr(optarg, '=') || *optarg == '=') {
                tool_say("halo run: --env takes NAME=VALUE, not '%s'\n", optarg);
                return TOOL_EXIT_USAGE;
            }
            options->env[options->common.sandbox.env_count++] = optarg;
            break;
        case 'i':
        case CORE:
        case GDB:
        case INSPECT:
        case TOOL_FROM:
            *place_of(options, option) = optarg;
            break;
        case LOG:
            if (!tool_log_level(optarg, &options->log)) {
                tool_say("halo run: --log takes none, error, warn, info or debug, not '%s'\n",
                         optarg);
                return TOOL_EXIT_USAGE;
            }
            break;
        case GRACE:
            if (!parse_grace(optarg, &options->common.sandbox.grace_ms))
                return TOOL_EXIT_USAGE;
            break;
        case JSON:
            options->json = true;
            break;
        case NO_CONFINE:
            options->no_confine = true;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            error = tool_option("run", &options->common, option, optarg);
            if (error)
                return error < 0 ? tool_wrong_option("run", argc, argv, option) : error;
        }
    }
    return parse_guest(argc - optind, argv + optind, options);
}

/* Of guests with a C library: what they asked for in vain, by name. */
static void print_calls(const struct halo_sandbox *box, uint64_t made)
{
    static const char *const names[HALO_CALLS_COUNT] = {
#include "call_names.h"
    };
    bool any = false;

    fprintf(tool_err, "%llu system calls", (unsigned long long)made);
    for (uint32_t i = 0; i < HALO_CALLS_COUNT; i++) {
        const uint32_t count = halo_unanswered(box, i);

        if (count == 0)
            continue;
        fprintf(tool_err, "%s %s", any ? "," : "; not answered:", names[i] ? names[i] : "number ");
        if (!names[i])
            fprintf(tool_err, "%u", i);
        fprintf(tool_err, " %u", count);
        any = true;
    }
    fputc('\n', tool_err);
}

static void print_stats(const struct halo_sandbox *box)
{
    struct halo_stats stats;
    double mib, seconds;

    halo_stats(box, &stats);
    mib = (double)(stats.bytes_in + stats.bytes_out) / (1 << 20);
    seconds = (double)stats.elapsed_ns / 1e9;
    fflush(tool_out);
    fprintf(tool_err, "\n%-8s %14s %10s %8s %10s %9s\n", "backend", "bytes", "requests", "exits",
            "exits/MiB", "MiB/s");
    fprintf(tool_err, "%-8s %14llu %10llu %8llu", halo_backend_name(box),
            (unsigned long long)(stats.bytes_in + stats.bytes_out),
            (unsigned long long)stats.requests, (unsigned long long)stats.exits);
    if (mib >= 1)
        fprintf(tool_err, " %10.2f %9.1f\n", (double)stats.exits / mib, mib / seconds);
    else
        fprintf(tool_err, " %10s %9s\n", "-", "-"); /* too little for a rate to mean anything */
    if (stats.system_calls > 0)
        print_calls(box, stats.system_calls);
}

static void write_core(struct halo_sandbox *box, int core)
{
    if (halo_core(box, core))
        tool_say("halo run: %s\n", halo_errmsg(box));
    (void)tool_send_written("run", core);
}

/* --- An end with a grace ---------------------------------------------------------------------- */

#define BY_SIGTERM (128 + SIGTERM)

static struct halo_sandbox *terminated; /* by the signal that this command gets */

static void terminate(int signal)
{
    (void)signal;
    if (halo_terminate(terminated))
        _exit(BY_SIGTERM); /* the guest does not run: it has ended, or was not begun */
}

static void terminate_by_signal(struct halo_sandbox *box)
{
    const struct sigaction action = {.sa_handler = terminate, .sa_flags = SA_RESTART};

    terminated = box;
    (void)sigaction(SIGTERM, &action, NULL);
}

/* The guest with these streams: what has become of it. */
static int run_in(struct halo_sandbox *box, const struct run_options *run, int input, int core,
                  int *code)
{
    const struct tool_options *options = &run->common;
    struct tool_progress progress;
    int error = tool_attach(box, input);

    if (!error && tool_gdb_begin(run->gdb))
        return TOOL_EXIT_USAGE;
    if (!error && run->log)
        error = halo_log(box, run->log, 0, tool_print_log, NULL);
    if (!error) {
        tool_progress_begin(box, &progress, options->quiet || run->inspect ? -1 : input);
        if (tool_live_begin(box, run->inspect))
            return TOOL_EXIT_USAGE;
        if (options->sandbox.grace_ms)
            terminate_by_signal(box);
        if (!run->no_confine && !tool_confine(box, options->sandbox.strict))
            return TOOL_EXIT_USAGE;
        if (tool_gdb_await(box, options->timeout_ns))
            return TOOL_EXIT_USAGE;
        do
            error = halo_run(box, tool_time_left(), code);
        while (tool_live_answer(error));
        tool_live_end();
        tool_progress_end(&progress);
    }
    if (error == HALO_EIO)
        tool_leave_with_reader(box);
    if (error && run->json)
        tool_tell_json(box, error);
    else if (error)
        tool_tell("run", box, error);
    if (core >= 0 && tool_was_ended(error))
        write_core(box, core);
    if (options->stats && (error == 0 || tool_was_ended(error)))
        print_stats(box);
    return error == HALO_EINTERRUPTED ? BY_SIGTERM : tool_exit_code(error, *code);
}

static int run(const struct run_options *options)
{
    struct halo_options sandbox = options->common.sandbox;
    struct halo_sandbox *box = NULL;
    struct profile *profile = NULL;
    int input = STDIN_FILENO, core = -1, trace = -1, code = 0, error = 0;
    struct stat st;

    if (options->help) {
        fputs(usage, tool_out);
        return 0;
    }
    tool_limit(options->common.timeout_ns);
    if (options->input)
        error = tool_open_input(options->input, &input);
    /* Where it is opened here, nobody else reads on from its place. */
    sandbox.own_input = options->input && !error && fstat(input, &st) == 0 && S_ISREG(st.st_mode);
    if (!error && options->from)
        error = tool_open_from("run", &box, options->from, &sandbox);
    else if (!error)
        error = tool_open("run", &box, options->guest, &sandbox);
    if (!error)
        error = tool_open_written("run", options->core, &core);
    if (!error)
        error = tool_dump_begin("run", &options->common);
    if (!error)
        error = tool_trace_begin("run", box, &options->common, &trace);
    if (!error)
        error = tool_profile_begin("run", box, &options->common, &profile);
    if (!error)
        error = tool_trace_end("run", box, trace, run_in(box, options, input, core, &code));
    error = tool_profile_end("run", box, profile, error);
    halo_close(box);
    if (input != STDIN_FILENO)
        close(input);
    if (core >= 0)
        close(core);
    return error;
}

int tool_run(int argc, char **argv)
{
    struct run_options options;
    int code = parse(argc, argv, &options);

    if (!code)
        code = run(&options);
    free(options.env);
    return tool_printed(options.help ? "" : " run", code);
}
