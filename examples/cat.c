/* cat: a guest that copies its standard input to its standard output. */
#include <halo/guest.h>

int main(int argc, char **argv)
{
    struct halo_reader in;
    const void *bytes;
    int64_t len;

    (void)argc;
    (void)argv;
    if (halo_reader_open(&in, HALO_STDIN) < 0)
        halo_panic("no buffers to read with");
    while ((len = halo_reader_next(&in, &bytes)) > 0)
        halo_write(HALO_STDOUT, bytes, (size_t)len);
    halo_reader_close(&in);
    return len < 0;
}
