/* cat: a guest that copies its standard input to its standard output. */
#include <halo/guest.h>

int main(int argc, char **argv)
{
    static const char failed[] = "cat: the input cannot be read\n";
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
        halo_write(HALO_STDOUT, bytes, (size_t)len); /* where that fails, the program ends */
    halo_reader_close(&in);
    if (len < 0)
        halo_write(HALO_STDERR, failed, sizeof(failed) - 1);
    return len < 0;
}
