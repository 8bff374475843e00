/* A host that asks a plug-in to greet somebody: host PLUGIN NAME */
#include <halo/halo.h>
#include <stdio.h>

/* A plug-in may answer anything: what a terminal would obey, also within UTF-8, becomes a '?'. */
static void print_visible(const char *text)
{
    unsigned char before = 0;

    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        const int is_control = byte < ' ' || byte == 0x7f || (before == 0xc2 && byte < 0xa0);

        putchar(is_control ? '?' : byte);
        before = byte;
    }
    putchar('\n');
}

static int greet(struct halo_sandbox *box, const char *name)
{
    static const struct halo_signature type = HALO_FN(HALO_STR, HALO_STR);
    struct halo_future answer;
    int error = halo_serve_begin(box, HALO_FOREVER), function;

    if (error)
        return error;
    function = halo_lookup(box, "greet", &type);
    if (function < 0)
        return function;
    error = halo_call(box, &answer, function, HALO_FOREVER, halo_str(name));
    if (!error)
        print_visible(answer.result.str);
    halo_future_free(&answer);
    return error;
}

int main(int argc, char **argv)
{
    struct halo_sandbox *box;
    int error;

    if (argc != 3) {
        fprintf(stderr, "usage: host PLUGIN NAME\n");
        return 2;
    }
    error = halo_open(&box, argv[1], NULL);
    if (!error)
        error = greet(box, argv[2]);
    if (error)
        fprintf(stderr, "host: %s\n", halo_errmsg(box));
    halo_close(box);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "host: standard output cannot be written\n");
        return 1;
    }
    return error ? 1 : 0;
}
