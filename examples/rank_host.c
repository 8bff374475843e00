/*
 * The most frequent words of a text, counted by a plug-in, examples/rank.cc. This is C and C++
 * alike:
 *
 *     rank_host [--backend kvm|process] PLUGIN [WORD] < text
 */
#include <halo/halo.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MOST 5

struct ranking {
    struct halo_sandbox *box;
    int add, count, print;
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
    char line[4096];
    int error = 0;

    while (!error && fgets(line, sizeof(line), stdin)) {
        error = call(ranking, ranking->add, halo_str(line), &more);
        words += error ? 0 : more;
    }
    if (!error)
        error = call(ranking, ranking->print, halo_i64(MOST), &more);
    if (!error && word) {
        error = call(ranking, ranking->count, halo_str(word), &more);
        if (!error)
            printf("%" PRId64 " of %" PRId64 " words are '%s'\n", more, words, word);
        (void)fflush(
            stdout); /* before the plug-in's last words; main looks whether it was written */
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
        at = 3;
    }
    if (at >= argc) {
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
    if (ferror(stdin) || fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "rank_host: %s\n",
                ferror(stdin) ? "the text cannot be read" : "standard output cannot be written");
        return 1;
    }
    return error || code ? 1 : 0;
}
