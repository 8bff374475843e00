/* libhalo inside of a library that a host loads and unloads: the exit code of a guest, or -1. */
#include <halo/halo.h>

int plugin_run(const char *path, const char *mode);

__attribute__((visibility("default"))) int plugin_run(const char *path, const char *mode)
{
    const char *args[] = {"guest", mode};
    const struct halo_options options = {
        .backend = HALO_BACKEND_PROCESS, .args = args, .arg_count = 2};
    struct halo_sandbox *box;
    int code = -1;
    int error = halo_open(&box, path, &options);

    if (!error)
        error = halo_run(box, 20000000000, &code);
    halo_close(box);
    return error ? -1 : code;
}
