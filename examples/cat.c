/* cat: a guest that copies its standard input to its standard output. */
#include <halo/guest.h>

int main(int argc, char **argv)
{
    struct halo_reader in;
    const void *bytes;
    int64_t len;
    int error;

    (void)argc;
    (void)argv;
    error = halo_reader_open(&in, HALO_STDIN);
    if (error)
        halo_panic(halo_strerror(error));
    while ((len = halo_reader_next(&in, &bytes)) > 0)
        halo_write(HALO_STDOUT, bytes, (size_t)len);
    halo_reader_close(&in);
    return len < 0;
}
