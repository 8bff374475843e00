/* What the commands that start a guest share: options, streams, exit codes. */
#include "symbols.h"
#include "tool.h"
#include <errno.h>
#include <getopt.h>
#include <halo/trace.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int wrong(const char *command, const char *what, const char *value)
{
    tool_say("halo %s: %s '%s'; see 'halo %s --help'\n", command, what, value, command);
    return TOOL_EXIT_USAGE;
}

/* One of these names: its place, or -1. */
static int choose(const char *text, const char *const *names, int count)
{
    while (count-- > 0) {
        if (strcmp(text, names[count]) == 0)
            return count;
    }
    return -1;
}

/*
 * A length between these, in whole units of 1 << shift bytes. A number may be followed by its unit:
 * K, M or G, or KiB, MiB or GiB.
 */
static bool parse_len(const char *text, int shift, uint64_t min, uint64_t max, uint64_t *len)
{
    static const char units[] = "KMG";
    const uint64_t whole = (UINT64_C(1) << shift) - 1;
    unsigned long long count;
    const char *unit;
    char *end;

    errno = 0;
    count = strtoull(text, &end, 10);
    if (errno || end == text || *text == '-')
        return false;
    if (*end) {
        unit = strchr(units, *end);
        if (!unit || (end[1] && strcmp(end + 1, "iB") != 0))
            return false;
        shift = 10 * (int)(unit - units + 1);
    }
    if (count > max >> shift)
        return false;
    *len = count << shift;
    return *len >= min && !(*len & whole);
}

static bool parse_queue(const char *text, uint32_t *size)
{
    uint64_t count;

    if (!parse_len(text, 0, HALO_QUEUE_SIZE_MIN, HALO_QUEUE_SIZE_MAX, &count))
        return false;
    *size = (uint32_t)count;
    return true;
}

bool tool_parse_seconds(const char *text, int64_t *ns)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
        return false;
    *ns = (int64_t)(seconds * 1e9);
    return true;
}

static bool parse_cpu(const char *text, uint64_t *ms)
{
    int64_t ns;

    if (!tool_parse_seconds(text, &ns))
        return false;
    *ms = ns > 1000000 ? (uint64_t)ns / 1000000 : 1;
    return true;
}

static bool parse_exits(const char *text, uint32_t *exits)
{
    uint64_t count;

    if (!parse_len(text, 0, 1, HALO_EXITS_MAX, &count))
        return false;
    *exits = (uint32_t)count;
    return true;
}

static int trace_option(const char *command, struct tool_options *options, int option,
                        const char *value)
{
    uint64_t count;

    if (option == TOOL_TRACE) {
        options->trace = value;
        return 0;
    }
    if (option == TOOL_PROFILE) {
        options->profile = value;
        return 0;
    }
    if (option != TOOL_TRACE_EVENTS)
        return tool_dump_option(options, option, value);
    if (!parse_len(value, 0, 1, HALO_TRACE_MAX, &count))
        return wrong(command, "a trace keeps 1 to 16777216 events, not", value);
    options->trace_events = (uint32_t)count;
    return 0;
}

/* What takes no value: where it is asked for, or NULL. */
static bool *flag_of(struct halo_options *options, int option)
{
    switch (option) {
    case TOOL_RESERVE:
        return &options->reserve;
    case TOOL_THREADED:
        return &options->threaded;
    case TOOL_KEEP_CODE:
        return &options->keep_code;
    case TOOL_STRICT:
        return &options->strict;
    default:
        return NULL;
    }
}

int tool_option(const char *command, struct tool_options *options, int option, const char *value)
{
    static const char *const backends[] = {"auto", "kvm", "process"};
    static const char *const transports[] = {"ring", "stack"};
    bool *flag = flag_of(&options->sandbox, option);
    int choice;

    if (flag) {
        *flag = true;
        return 0;
    }
    switch (option) {
    case 'b':
        choice = choose(value, backends, 3);
        if (choice < 0)
            return wrong(command, "no such backend:", value);
        options->sandbox.backend = (enum halo_backend_choice)choice;
        return 0;
    case 'm':
        return parse_len(value, 20, HALO_RAM_MIN, HALO_RAM_MAX, &options->sandbox.ram_len)
                   ? 0
                   : wrong(command, "memory must be 6 to 1024 MiB, not", value);
    case TOOL_STACK:
        return parse_len(value, 10, HALO_STACK_MIN, HALO_STACK_MAX, &options->sandbox.stack_len)
                   ? 0
                   : wrong(command, "a stack must be 64 to 524288 KiB, not", value);
    case TOOL_QUEUE:
        return parse_queue(value, &options->sandbox.sizes.queue_size)
                   ? 0
                   : wrong(command, "a queue has 64 to 2048 descriptors, not", value);
    case TOOL_CALLS:
        return parse_queue(value, &options->sandbox.sizes.call_queue_size)
                   ? 0
                   : wrong(command, "a queue has 64 to 2048 descriptors, not", value);
    case TOOL_POOL:
        return parse_len(value, 10, HALO_PAGE, HALO_POOL_LEN_MAX, &options->sandbox.sizes.pool_len)
                   ? 0
                   : wrong(command, "a pool has 4 to 262144 KiB, not", value);
    case 'q':
        options->quiet = true;
        return 0;
    case 's':
        options->stats = true;
        return 0;
    case 't':
        if (!tool_parse_seconds(value, &options->timeout_ns))
            return wrong(command, "a timeout is a number of seconds, above zero and up to 1e9, not",
                         value);
        tool_limit(options->timeout_ns); /* of what is said before the guest runs, too */
        return 0;
    case TOOL_CPU:
        return parse_cpu(value, &options->sandbox.cpu_ms)
                   ? 0
                   : wrong(command, "CPU time is a number of seconds, up to 1e9, not", value);
    case TOOL_EXITS:
        return parse_exits(value, &options->sandbox.exits_per_second)
                   ? 0
                   : wrong(command, "exits in a second are a number from 1 to 1e8, not", value);
    case TOOL_TRANSPORT:
        choice = choose(value, transports, 2);
        if (choice < 0)
            return wrong(command, "no such transport:", value);
        options->sandbox.transport = (enum halo_transport)choice;
        return 0;
    default:
        return trace_option(command, options, option, value);
    }
}

int tool_wrong_option(const char *command, int argc, char **argv, int option)
{
    tool_say("halo %s: ", command);
    if (option == ':')
        tool_say("option '%s' needs a value", argv[argc - 1]);
    else if (optopt == 0)
        tool_say("unrecognized option '%s'", argv[optind - 1]);
    else if (optopt >= TOOL_TRANSPORT || strchr(TOOL_SHORTS "eioh", optopt))
        tool_say("option '%s' takes no value", argv[optind - 1]);
    else
        tool_say("unrecognized option '-%c'", optopt);
    tool_say("; see 'halo %s --help'\n", command);
    return TOOL_EXIT_USAGE;
}

int tool_exit_code(int error, int code)
{
    switch (error) {
    case 0:
        return code;
    case HALO_EFAULT:
    case HALO_EPANIC:
    case HALO_EPOISONED:
        return TOOL_EXIT_GUEST;
    case HALO_ETIMEDOUT:
    case HALO_ELIMIT:
        return TOOL_EXIT_TIMEOUT;
    case HALO_EIO:
        return TOOL_EXIT_FAILED;
    default:
        return TOOL_EXIT_USAGE;
    }
}

bool tool_was_ended(int error)
{
    const int code = tool_exit_code(error, 0);

    return code == TOOL_EXIT_GUEST || code == TOOL_EXIT_TIMEOUT;
}

void tool_leave_with_reader(struct halo_sandbox *box)
{
    struct halo_stream_stats stats;

    if (halo_stream_stats(box, HALO_STDOUT, &stats) != 0 || stats.write_error != EPIPE)
        return;
    tool_symbols_end();
    (void)raise(SIGPIPE); /* where it is ignored, somebody wants to be told */
}

static int attach(struct halo_sandbox *box, uint32_t handle, int fd)
{
    const int error = halo_attach(box, handle, halo_end_fd(fd));

    return error == HALO_ESTATE ? 0 : error;
}

int tool_attach(struct halo_sandbox *box, int input)
{
    int error = attach(box, HALO_STDIN, input);

    if (!error)
        error = attach(box, HALO_STDOUT, STDOUT_FILENO);
    return error ? error : attach(box, HALO_STDERR, STDERR_FILENO);
}
