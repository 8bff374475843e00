/* halo call: one function of a guest, with values from the command line. */
#define _GNU_SOURCE
#include "tool.h"
#include <errno.h>
#include <float.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: halo call [OPTIONS] GUEST\n"
    "       halo call [OPTIONS] GUEST FUNCTION [VALUES] [-- FUNCTION [VALUES]]...\n"
    "       halo call [OPTIONS] --from FILE [FUNCTION [VALUES] ...]\n"
    "\n"
    "Calls a function that GUEST exports, and prints its result. Without FUNCTION it lists\n"
    "them. After -- stands the next call of the same sandbox; the first that fails is the\n"
    "last. Values are numbers (decimal, or hexadecimal behind 0x), true or false, text, and\n"
    "lists as [1,2,3]; @FILE is the text or bytes of a file, @@TEXT is a text that begins with one "
    "@. A value\n"
    "that is -- itself is written @FILE. Standard input, output and error are the guest's,\n"
    "too.\n"
    "\n" TOOL_USAGE
    "      --from FILE      go on from what halo snapshot has kept, instead of a GUEST\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit codes: the guest's own at its end, which is 0 mostly; 1 the function failed; 2 wrong\n"
    "use or an unusable file; 3 the guest faulted, panicked or broke the protocol; 4 a limit of\n"
    "time or exits.\n";

static int list(const struct halo_sandbox *box)
{
    char text[HALO_SIGNATURE_TEXT_MAX];
    struct halo_signature signature;
    const char *name;

    for (uint32_t i = 0; halo_exported(box, i, &name, &signature); i++) {
        for (; *name; name++) /* the guest's choice, too */
            fputc(*name > ' ' && *name <= '~' ? *name : '?', tool_out);
        fprintf(tool_out, " %s\n", halo_signature_text(&signature, text));
    }
    return 0;
}

/* Its place among what the guest exports, from 1, and its signature; 0 after a message. */
static int find(const struct halo_sandbox *box, const char *wanted,
                struct halo_signature *signature)
{
    const char *name;

    for (uint32_t i = 0; halo_exported(box, i, &name, signature); i++) {
        if (strcmp(name, wanted) == 0)
            return (int)i + 1;
    }
    tool_say("halo call: the guest exports no '%s'; 'halo call GUEST' alone lists what it does\n",
             wanted);
    return 0;
}

static int call(struct halo_sandbox *box, const struct tool_options *options, char **words,
                uint32_t count)
{
    struct halo_value values[HALO_ARGUMENTS_MAX];
    struct tool_memory memory[HALO_ARGUMENTS_MAX] = {{NULL, NULL}};
    char text[HALO_SIGNATURE_TEXT_MAX];
    struct halo_signature signature;
    struct halo_future future;
    const int function = find(box, words[0], &signature);
    int error, code = 0;

    if (!function)
        return TOOL_EXIT_USAGE;
    tool_limit(options->timeout_ns);
    if (count - 1 != signature.arg_count) {
        tool_say("halo call: %s is %s: values needed: %u, given: %u\n", words[0],
                 halo_signature_text(&signature, text), signature.arg_count, count - 1);
        return TOOL_EXIT_USAGE;
    }
    for (uint32_t i = 0; i < signature.arg_count && !code; i++)
        code = tool_parse_value(i, signature.types[1 + i], words[1 + i], &values[i], &memory[i]);
    if (!code) {
        (void)halo_call_start(box, &future, function, values, signature.arg_count);
        error = halo_wait(&future, tool_time_left());
        if (error == HALO_ECALL) {
            tool_say("halo call: the function failed with code %" PRId32 ": %s\n", future.code,
                     future.text);
            code = TOOL_EXIT_FAILED;
        } else if (error) {
            tool_tell("call", box, error);
            code = tool_exit_code(error, 0);
        } else {
            tool_print_value(&future.result, signature.types[0]);
            code = tool_printed(" call", 0);
        }
        halo_future_free(&future);
    }
    for (uint32_t i = 0; i < HALO_ARGUMENTS_MAX; i++)
        tool_free_memory(&memory[i]);
    return code;
}

/* The calls that `--` stands between, in order, until one fails. */
static int call_each(struct halo_sandbox *box, const struct tool_options *options, char **words,
                     uint32_t count)
{
    int code = 0;

    for (uint32_t i = 0; !code; i++) {
        uint32_t end = i;

        while (end < count && strcmp(words[end], "--") != 0)
            end++;
        if (end == i) {
            fputs("halo call: there is no function beside a --\n", tool_err);
            return TOOL_EXIT_USAGE;
        }
        code = call(box, options, words + i, end - i);
        i = end;
        if (end == count)
            break;
    }
    return code;
}

/* No more calls: the guest runs to its end, and what its C library holds of its output goes out. */
static int end(struct halo_sandbox *box, const struct tool_options *options, int code)
{
    int ended = 0, error;

    tool_limit(options->timeout_ns);
    error = halo_run(box, tool_time_left(), &ended);
    if (error)
        tool_tell("call", box, error);
    return code ? code : tool_exit_code(error, ended);
}

static void print_stats(const struct halo_sandbox *box)
{
    struct halo_stats stats;

    halo_stats(box, &stats);
    fflush(tool_out);
    fprintf(tool_err, "\n%-8s %10s %10s %8s %10s\n", "backend", "calls", "to host", "exits", "ms");
    fprintf(tool_err, "%-8s %10llu %10llu %8llu %10.3f\n", halo_backend_name(box),
            (unsigned long long)stats.calls_out, (unsigned long long)stats.calls,
            (unsigned long long)stats.exits, (double)stats.elapsed_ns / 1e6);
    if (stats.calls_out + stats.calls == 0)
        return;
    fprintf(tool_err,
            "did not fit at first: %llu calls, %llu answers of the host's; %llu bytes fetched\n"
            "room left over: %llu bytes behind calls, %llu behind answers of the host's\n",
            (unsigned long long)stats.deferred_out, (unsigned long long)stats.deferred,
            (unsigned long long)stats.fetched, (unsigned long long)stats.spare_out,
            (unsigned long long)stats.spare);
}

/* The sandbox is open: its functions are listed, or called. */
static int serve(struct halo_sandbox *box, const struct tool_options *options, char **words,
                 uint32_t count)
{
    int error = tool_attach(box, STDIN_FILENO), code;

    if (!error)
        error = halo_log(box, HALO_LOG_WARN, 0, tool_print_log, NULL);
    if (!error)
        error = halo_serve_begin(box, tool_time_left());
    if (error) {
        tool_tell("call", box, error);
        return tool_exit_code(error, 0);
    }
    code = count ? call_each(box, options, words, count) : list(box);
    if (options->stats)
        print_stats(box);
    if (count && (code == 0 || code == TOOL_EXIT_FAILED))
        code = end(box, options, code);
    return code;
}

int tool_call(int argc, char **argv)
{
    static const struct option longs[] = {TOOL_LONGS,
                                          {"from", required_argument, NULL, TOOL_FROM},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    const char *from = NULL;
    struct tool_options options = {.timeout_ns = HALO_FOREVER};
    struct halo_sandbox *box = NULL;
    struct profile *profile = NULL;
    int option, error, code, trace = -1;

    opterr = 0; /* tool_wrong_option tells */
    /* '+': values may begin with a minus. */
    while ((option = getopt_long(argc, argv, "+:" TOOL_SHORTS "h", longs, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, tool_out);
            return tool_printed("", 0);
        }
        if (option == TOOL_FROM) {
            from = optarg;
            continue;
        }
        error = tool_option("call", &options, option, optarg);
        if (error)
            return tool_printed("",
                                error < 0 ? tool_wrong_option("call", argc, argv, option) : error);
    }
    if (optind == argc && !from) {
        fputs("halo call: which guest? see 'halo call --help'\n", tool_err);
        return tool_printed(" call", TOOL_EXIT_USAGE);
    }
    options.sandbox.args = (const char *const *)(argv + optind);
    options.sandbox.arg_count = 1;
    tool_limit(options.timeout_ns);
    if (from)
        code = tool_open_from("call", &box, from, &options.sandbox);
    else
        code = tool_open("call", &box, argv[optind++], &options.sandbox);
    if (!code)
        code = tool_dump_begin("call", &options);
    if (!code)
        code = tool_trace_begin("call", box, &options, &trace);
    if (!code)
        code = tool_profile_begin("call", box, &options, &profile);
    if (!code)
        code = tool_trace_end("call", box, trace,
                              serve(box, &options, argv + optind, (uint32_t)(argc - optind)));
    code = tool_profile_end("call", box, profile, code);
    halo_close(box);
    return tool_printed(" call", code);
}
