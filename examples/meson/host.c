/* A host that asks a plug-in to greet somebody: host PLUGIN NAME */
#include <halo/halo.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const struct halo_signature type = HALO_FN(HALO_STR, HALO_STR);
    struct halo_future answer;
    struct halo_sandbox *box;
    int error, greet;

    if (argc != 3)
        return 2;
    error = halo_open(&box, argv[1], NULL);
    if (!error)
        error = halo_serve_begin(box, HALO_FOREVER);
    if (!error) {
        greet = halo_lookup(box, "greet", &type);
        error = halo_call(box, &answer, greet, HALO_FOREVER, halo_str(argv[2]));
        if (!error)
            printf("%s\n", answer.result.str);
        else
            fprintf(stderr, "%s\n", answer.text);
        halo_future_free(&answer);
    } else {
        fprintf(stderr, "%s\n", halo_errmsg(box));
    }
    halo_close(box);
    return error ? 1 : 0;
}
