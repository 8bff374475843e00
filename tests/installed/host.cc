// A host in C++: every form of the headers that C++ can use. host GUEST
#include <cstdio>
#include <cstring>
#include <halo/draft.h>
#include <halo/halo.h>
#include <halo/receiver.h>
#include <halo/sender.h>

static void ask(struct halo_call *call, const struct halo_value *args, void *)
{
    halo_return(call, halo_i64(args[0].i64 + static_cast<int64_t>(args[1].len)));
}

static void nothing(struct halo_call *call, const struct halo_value *, void *context)
{
    halo_return(call, halo_i64(*static_cast<int64_t *>(context)));
}

// Compiled, not run: a chain, whose parts are in order.
int chain(struct halo_driver *driver, struct halo_buf *room)
{
    const auto begun = halo_draft_begin(room, 4);
    const auto asked = halo_draft_add_readable(halo_draft_add_readable(begun, 1, 1), 2, 2);

    return halo_draft_submit(driver, halo_draft_add_writable(asked, 3, 3));
}

static int talk(const char *guest, enum halo_backend_choice backend)
{
    static const halo_signature ask_type = HALO_FN(HALO_I64, HALO_I64, HALO_STR);
    static const halo_signature nothing_type = HALO_FN(HALO_I64);
    static const halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);
    int64_t thousand = 1000;
    struct halo_options options = {};
    struct halo_future answer;
    halo_sandbox *box;
    char said[64] = "";

    options.backend = backend;
    if (halo_open(&box, guest, &options) ||
        halo_attach(box, HALO_STDOUT, halo_end_memory(nullptr, 0, said, sizeof(said) - 1)) ||
        halo_provide(box, "host.ask", &ask_type, ask, nullptr) ||
        halo_provide(box, "host.nothing", &nothing_type, nothing, &thousand) ||
        halo_serve_begin(box, HALO_FOREVER) ||
        halo_call(box, &answer, halo_lookup(box, "cxx.twice", &twice_type), HALO_FOREVER,
                  halo_i64(20))) {
        std::puts(halo_errmsg(box));
        return 1;
    }
    std::printf("%s%lld\n", said, static_cast<long long>(answer.result.i64));
    halo_future_free(&answer);
    halo_close(box);
    return 0;
}

int main(int, char **argv)
{
    return talk(argv[1], HALO_BACKEND_AUTO) || talk(argv[1], HALO_BACKEND_PROCESS);
}
