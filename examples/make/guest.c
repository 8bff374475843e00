/* A plug-in with one function: it greets whom it is told to. */
#include <halo/guest.h>

HALO_EXPORT(greet, "greet", HALO_STR, HALO_STR)
{
    char text[64] = "hello, ";

    if (args[0].len >= sizeof(text) - 7) {
        halo_fail(call, 1, "the name is too long");
        return;
    }
    memcpy(text + 7, args[0].str, args[0].len);
    halo_return(call, halo_str(text));
}
