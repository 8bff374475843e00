/*
 * The most frequent words of a text, counted by a plug-in, examples/rank.cc. This is C and C++
 * alike:
 *
 *     rank_host [--backend kvm|process] PLUGIN [WORD] < text
 */
#include <errno.h>
#include <halo/halo.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 5

struct ranking {
    struct halo_sandbox *box;
    int add, count, print;
    int input_error; /* an errno, or 0 */
};

static int load(struct ranking *ranking, const char *path, const struct halo_options *options)
{
    static const struct halo_signature add = HALO_FN(HALO_I64, HALO_STR);
    static const struct halo_signature print = HALO_FN(HALO_VOID, HALO_I64);
    int error = halo_open(&ranking->box, path, options);

    if (!error)
        error = halo_attach(ranking->box, HALO_STDOUT, halo_end_fd(1));
    if (!error)
        error = halo_serve_begin(ranking->box, HALO_FOREVER);
    if (error)
        return error;
    ranking->add = halo_lookup(ranking->box, "rank.add", &add);
    if (ranking->add < 0)
        return ranking->add;
    ranking->count = halo_lookup(ranking->box, "rank.count", &add);
    if (ranking->count < 0)
        return ranking->count;
    ranking->print = halo_lookup(ranking->box, "rank.print", &print);
    return ranking->print < 0 ? ranking->print : 0;
}

/* Call one function. Where it fails, halo_errmsg has its words, fit for a terminal. */
static int call(struct ranking *ranking, int function, struct halo_value arg, int64_t *result)
{
    struct halo_future future;
    const int error = halo_call(ranking->box, &future, function, HALO_FOREVER, arg);

    if (!error)
        *result = future.result.i64;
    halo_future_free(&future);
    return error;
}

static int run(struct ranking *ranking, const char *word)
{
    int64_t words = 0, more;
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    int error = 0;

    while (!error && (len = getline(&line, &room, stdin)) >= 0) {
        struct halo_value text = halo_str(line);

        text.len = (size_t)len; /* a zero byte in it is an error, not its end */
        error = call(ranking, ranking->add, text, &more);
        words += error ? 0 : more;
    }
    ranking->input_error = error || feof(stdin) ? 0 : errno;
    free(line);
    if (!error)
        error = call(ranking, ranking->print, halo_i64(MOST), &more);
    if (!error && word) {
        error = call(ranking, ranking->count, halo_str(word), &more);
        if (!error)
            printf("%" PRId64 " of %" PRId64 " words are '%s'\n", more, words, word);
        (void)fflush(stdout); /* before the plug-in's last words; main looks for its error */
    }
    return error;
}

int main(int argc, char **argv)
{
    struct halo_options options;
    struct ranking ranking;
    int error, code = 0, at = 1;

    memset(&options, 0, sizeof(options));
    memset(&ranking, 0, sizeof(ranking));
    if (argc > 2 && strcmp(argv[1], "--backend") == 0) {
        options.backend = strcmp(argv[2], "kvm") == 0 ? HALO_BACKEND_KVM : HALO_BACKEND_PROCESS;
        at = strcmp(argv[2], "kvm") == 0 || strcmp(argv[2], "process") == 0 ? 3 : argc;
    }
    if (at >= argc || argc > at + 2) {
        fprintf(stderr, "usage: rank_host [--backend kvm|process] PLUGIN [WORD] < text\n");
        return 2;
    }
    error = load(&ranking, argv[at], &options);
    if (!error)
        error = run(&ranking, at + 1 < argc ? argv[at + 1] : NULL);
    if (!error) /* there are no more calls: its destructors run, and it ends */
        error = halo_run(ranking.box, HALO_FOREVER, &code);
    if (error)
        fprintf(stderr, "rank_host: %s\n", halo_errmsg(ranking.box));
    halo_close(ranking.box);
    if (ranking.input_error)
        fprintf(stderr, "rank_host: standard input: %s\n", strerror(ranking.input_error));
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "rank_host: standard output cannot be written\n");
        return 1;
    }
    return error || code || ranking.input_error ? 1 : 0;
}
