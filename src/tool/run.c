/* halo run: a guest with the command's own standard streams, or a file as its input. */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: halo run [OPTIONS] GUEST [ARGS]\n"
    "\n"
    "Runs the program GUEST in a sandbox. Its standard input, output and error are this\n"
    "command's, and its exit code is, too.\n"
    "\n"
    "  -b, --backend KIND   kvm, process, or auto (the default: kvm where it is usable)\n"
    "  -i, --input FILE     give the guest FILE as its standard input\n"
    "  -m, --memory MIB     memory of the guest, 4 to 1024 MiB (16)\n"
    "  -s, --stats          print a table of what it took, on standard error\n"
    "  -t, --timeout SECS   stop the guest after so long; fractions are allowed\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit codes: the guest's own; 2 wrong use or an unusable file; 3 the guest faulted,\n"
    "panicked or broke the protocol; 4 the time limit.\n";

struct run_options {
    struct halo_options sandbox;
    const char *guest;
    const char *input;
    int64_t timeout_ns;
    bool stats;
    bool help;
};

static int wrong(const char *what, const char *value)
{
    fprintf(stderr, "halo run: %s '%s'; see 'halo run --help'\n", what, value);
    return TOOL_EXIT_USAGE;
}

static int parse_backend(const char *text, enum halo_backend_choice *backend)
{
    static const char *const names[] = {"auto", "kvm", "process"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *backend = (enum halo_backend_choice)i;
            return 0;
        }
    }
    return wrong("no such backend:", text);
}

static int parse_memory(const char *text, uint64_t *len)
{
    char *end;
    unsigned long long mib;

    errno = 0;
    mib = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || mib < HALO_RAM_MIN >> 20 ||
        mib > HALO_RAM_MAX >> 20)
        return wrong("memory must be 4 to 1024 MiB, not", text);
    *len = mib << 20;
    return 0;
}

static int parse_timeout(const char *text, int64_t *ns)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !isfinite(seconds) || seconds <= 0 || seconds > 1e9)
        return wrong("a timeout is a number of seconds above zero, not", text);
    *ns = (int64_t)(seconds * 1e9);
    return 0;
}

static int parse(int argc, char **argv, struct run_options *options)
{
    static const struct option longs[] = {
        {"backend", required_argument, NULL, 'b'},
        {"input", required_argument, NULL, 'i'},
        {"memory", required_argument, NULL, 'm'},
        {"stats", no_argument, NULL, 's'},
        {"timeout", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, error = 0;

    *options = (struct run_options){.timeout_ns = HALO_FOREVER};
    /* '+': what follows GUEST belongs to it. */
    while (!error && (option = getopt_long(argc, argv, "+b:i:m:st:h", longs, NULL)) != -1) {
        switch (option) {
        case 'b':
            error = parse_backend(optarg, &options->sandbox.backend);
            break;
        case 'i':
            options->input = optarg;
            break;
        case 'm':
            error = parse_memory(optarg, &options->sandbox.ram_len);
            break;
        case 's':
            options->stats = true;
            break;
        case 't':
            error = parse_timeout(optarg, &options->timeout_ns);
            break;
        case 'h':
            options->help = true;
            return 0;
        default: /* getopt has said what is wrong */
            fputs("see 'halo run --help'\n", stderr);
            return TOOL_EXIT_USAGE;
        }
    }
    if (error)
        return error;
    if (optind == argc) {
        fputs("halo run: which guest? see 'halo run --help'\n", stderr);
        return TOOL_EXIT_USAGE;
    }
    options->guest = argv[optind];
    options->sandbox.args = (const char *const *)(argv + optind);
    options->sandbox.arg_count = (uint32_t)(argc - optind);
    return 0;
}

/* The file that becomes the guest's standard input, or -1 after a message. */
static int open_input(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0) {
        fprintf(stderr, "halo run: %s: %s\n", path, strerror(errno));
        return -1;
    }
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        fprintf(stderr, "halo run: %s: %s\n", path, strerror(EISDIR));
        close(fd);
        return -1;
    }
    return fd;
}

static void print_stats(const struct halo_sandbox *box)
{
    struct halo_stats stats;
    double mib, seconds;

    halo_stats(box, &stats);
    mib = (double)(stats.bytes_in + stats.bytes_out) / (1 << 20);
    seconds = (double)stats.elapsed_ns / 1e9;
    fflush(stdout);
    fprintf(stderr, "\n%-8s %14s %10s %8s %10s %9s\n", "backend", "bytes", "requests", "exits",
            "exits/MiB", "MiB/s");
    fprintf(stderr, "%-8s %14llu %10llu %8llu", halo_backend_name(box),
            (unsigned long long)(stats.bytes_in + stats.bytes_out),
            (unsigned long long)stats.requests, (unsigned long long)stats.exits);
    if (mib >= 1)
        fprintf(stderr, " %10.2f %9.1f\n", (double)stats.exits / mib, mib / seconds);
    else
        fprintf(stderr, " %10s %9s\n", "-", "-"); /* too little for a rate to mean anything */
}

static int exit_code_of(int error, int code)
{
    switch (error) {
    case 0:
        return code;
    case HALO_EFAULT:
    case HALO_EPANIC:
    case HALO_EPOISONED:
        return TOOL_EXIT_GUEST;
    case HALO_ETIMEDOUT:
        return TOOL_EXIT_TIMEOUT;
    default:
        return TOOL_EXIT_USAGE;
    }
}

/* Whatever of the three streams is open becomes the guest's. */
static void attach(struct halo_sandbox *box, int input)
{
    (void)halo_attach(box, HALO_STDIN, input);
    (void)halo_attach(box, HALO_STDOUT, STDOUT_FILENO);
    (void)halo_attach(box, HALO_STDERR, STDERR_FILENO);
}

int tool_run(int argc, char **argv)
{
    struct run_options options;
    struct halo_sandbox *box = NULL;
    int input = STDIN_FILENO, code = 0;
    int error = parse(argc, argv, &options);

    if (error)
        return error;
    if (options.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (options.input && (input = open_input(options.input)) < 0)
        return TOOL_EXIT_USAGE;

    error = halo_open(&box, options.guest, &options.sandbox);
    if (!error) {
        if (halo_backend_note(box))
            fprintf(stderr, "halo run: %s\n", halo_backend_note(box));
        attach(box, input);
        error = halo_run(box, options.timeout_ns, &code);
    }
    if (error)
        fprintf(stderr, "halo run: %s\n", halo_errmsg(box));
    if (options.stats && (error == 0 || error == HALO_ETIMEDOUT))
        print_stats(box);
    halo_close(box);
    if (options.input)
        close(input);
    return exit_code_of(error, code);
}
