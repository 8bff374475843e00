/* both: a main program and functions for its host. It ends with how often it was called. */
#include <halo/guest.h>

HALO_IMPORT(ask, "host.ask", HALO_I64, HALO_I64);

static int called;

HALO_EXPORT(add, "add", HALO_I64, HALO_I64, HALO_I64)
{
    called++;
    halo_return(call, halo_i64(args[0].i64 + args[1].i64));
}

/* Asks the host, whose answers need this program. */
int main(int argc, char **argv)
{
    static struct halo_future futures[64];

    (void)argv;
    for (int i = 0; i < 64; i++) {
        const struct halo_value value = halo_i64(i);

        halo_call_start(&futures[i], &ask, &value, 1);
    }
    for (int i = 0; i < 64; i++) {
        if (halo_wait(&futures[i]) || futures[i].result.i64 != i + 1000)
            halo_panic(futures[i].error ? futures[i].text : "another answer");
    }
    if (argc > 1)
        halo_serve();
    return called;
}
