/*
 * An editor with a plug-in, examples/plugin.c, whose interface is examples/plugin.h:
 *
 *     plugin_host [--backend kvm|process] [--transport ring|stack] PLUGIN [DROP] < text
 *
 * Each line of its input becomes what the plug-in makes of it. With the ring, 64 lines go to the
 * plug-in with one exit.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <halo/halo.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "plugin.h"
#include "hosts.h"

#define BATCH 64

/* An interface's name and signature. */
#define NAME(name, ...) name
#define SIGNATURE(name, ...) ((const struct halo_signature)HALO_FN(__VA_ARGS__))
#define NAME_OF(function) NAME(function)
#define SIGNATURE_OF(function) SIGNATURE(function)

struct editor {
    struct halo_sandbox *box;
    const char *drop;
    bool incomplete; /* a line is missing that should not be */
    int input_error; /* an errno, or 0 */
    int line;        /* the plug-in's functions */
    int name;
};

static void setting(struct halo_call *call, const struct halo_value *args, void *context)
{
    const struct editor *editor = context;

    halo_return(call, halo_str(strcmp(args[0].str, "drop") == 0 ? editor->drop : ""));
}

static void tell(struct halo_call *call, const struct halo_value *args, void *context)
{
    (void)call;
    (void)context;
    fputs("plug-in: ", stderr);
    print_visible(stderr, args[0].str);
    fputc('\n', stderr);
}

/* Returns 0, or an error that halo_errmsg tells of. */
static int load(struct editor *editor, const char *path, const struct halo_options *options)
{
    const struct halo_signature setting_type = SIGNATURE_OF(HOST_SETTING);
    const struct halo_signature tell_type = SIGNATURE_OF(HOST_LOG);
    const struct halo_signature name_type = SIGNATURE_OF(PLUGIN_NAME);
    const struct halo_signature line_type = SIGNATURE_OF(PLUGIN_LINE);
    int error = halo_open(&editor->box, path, options);

    if (!error)
        error = halo_provide(editor->box, NAME_OF(HOST_SETTING), &setting_type, setting, editor);
    if (!error)
        error = halo_provide(editor->box, NAME_OF(HOST_LOG), &tell_type, tell, editor);
    if (!error)
        error = halo_serve_begin(editor->box, HALO_FOREVER);
    if (!error)
        error = editor->name = halo_lookup(editor->box, NAME_OF(PLUGIN_NAME), &name_type);
    if (error > 0)
        error = editor->line = halo_lookup(editor->box, NAME_OF(PLUGIN_LINE), &line_type);
    return error < 0 ? error : 0;
}

/* What became of one line. Returns 0, or an error: the plug-in works no more. */
static int show(struct editor *editor, struct halo_future *future)
{
    const int error = halo_wait(future, HALO_FOREVER);

    if (error == 0) {
        print_visible(stdout, future->result.str);
        putchar('\n');
    } else if (error == HALO_ECALL && future->code != PLUGIN_DROP) {
        editor->incomplete = true;
        fprintf(stderr, "plug-in: error %" PRId32 ": ", future->code);
        print_visible(stderr, future->text);
        fputc('\n', stderr);
    }
    halo_future_free(future);
    return error == HALO_ECALL ? 0 : error;
}

/* Up to `batch` lines go to the plug-in together. Returns 1 where there may be more, 0, or an
 * error.
 */
static int edit(struct editor *editor, int batch)
{
    static struct halo_future futures[BATCH];
    static char *lines[BATCH];
    static size_t capacities[BATCH];
    int count = 0, error = 0;

    while (count < batch) {
        ssize_t len = getline(&lines[count], &capacities[count], stdin);
        struct halo_value line;

        if (len < 0) {
            editor->input_error = feof(stdin) ? 0 : errno;
            break;
        }
        if (lines[count][len - 1] == '\n')
            lines[count][--len] = '\0';
        line = halo_str(lines[count]);
        line.len = (size_t)len; /* a zero byte in it is an error, not its end */
        /* One that cannot be started is done, with its error. */
        (void)halo_call_start(editor->box, &futures[count], editor->line, &line, 1);
        count++;
    }
    for (int i = 0; i < count; i++) {
        const int failed = show(editor, &futures[i]);

        error = error ? error : failed;
    }
    return error ? error : count == batch;
}

int main(int argc, char **argv)
{
    struct halo_options options = {.backend = HALO_BACKEND_AUTO};
    struct editor editor = {.drop = ""};
    struct halo_future future;
    struct halo_stats stats;
    int error = 0, first = 1;

    for (; !error && argc > first + 1 && strncmp(argv[first], "--", 2) == 0; first += 2)
        error = take_option(&options, argv[first], argv[first + 1]);
    if (error || argc <= first || argc > first + 2) {
        fprintf(stderr, "usage: plugin_host [--backend kvm|process] [--transport ring|stack] "
                        "PLUGIN [DROP] < text\n");
        return 2;
    }
    if (argc > first + 1)
        editor.drop = argv[first + 1];
    error = load(&editor, argv[first], &options);
    if (!error) {
        (void)halo_call_start(editor.box, &future, editor.name, NULL, 0);
        error = halo_wait(&future, HALO_FOREVER);
        if (!error) {
            fputs("plug-in: ", stderr);
            print_visible(stderr, future.result.str);
            fputc('\n', stderr);
        }
        halo_future_free(&future);
    }
    if (!error) /* stacks hold one call at a time */
        do
            error = edit(&editor, options.transport == HALO_TRANSPORT_RING ? BATCH : 1);
        while (error > 0);
    if (error)
        fprintf(stderr, "plugin_host: %s\n", halo_errmsg(editor.box));
    if (editor.input_error)
        fprintf(stderr, "plugin_host: standard input: %s\n", strerror(editor.input_error));
    halo_stats(editor.box, &stats);
    fprintf(stderr, "%" PRIu64 " calls, %" PRIu64 " exits\n", stats.calls_out, stats.exits);
    halo_close(editor.box);
    return finish_output("plugin_host") || error || editor.incomplete || editor.input_error;
}
