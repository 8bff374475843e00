/* A plug-in with one function: it greets whom it is told to. */
#include <halo/guest.h>

HALO_EXPORT(greet, "greet", HALO_STR, HALO_STR)
{
    char text[64] = "hello, ";
    const size_t len = args[0].len < 50 ? args[0].len : 50;

    memcpy(text + 7, args[0].str, len);
    halo_return(call, halo_str(text));
}
