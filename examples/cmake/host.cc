// A host in C++ that asks a plug-in to greet somebody: host PLUGIN NAME
#include <halo/halo.h>
#include <iostream>
#include <memory>
#include <string>

namespace
{

struct Close {
    void operator()(halo_sandbox *box) const { halo_close(box); }
};
using Sandbox = std::unique_ptr<halo_sandbox, Close>;

// A plug-in may answer anything: what a terminal would obey, also within UTF-8, becomes a '?'.
std::string visible(std::string text)
{
    unsigned char before = 0;

    for (char &character : text) {
        const unsigned char byte = static_cast<unsigned char>(character);

        if (byte < ' ' || byte == 0x7f || (before == 0xc2 && byte < 0xa0))
            character = '?';
        before = byte;
    }
    return text;
}

// 0 or an error, for which halo_errmsg has words.
int greet(halo_sandbox *box, const char *name)
{
    const halo_signature type = HALO_FN(HALO_STR, HALO_STR);
    halo_future answer;
    int error = halo_serve_begin(box, HALO_FOREVER);

    if (error)
        return error;
    const int function = halo_lookup(box, "greet", &type);
    if (function < 0)
        return function;
    error = halo_call(box, &answer, function, HALO_FOREVER, halo_str(name));
    if (!error)
        std::cout << visible(answer.result.str) << '\n';
    halo_future_free(&answer);
    return error;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::cerr << "usage: host PLUGIN NAME\n";
        return 2;
    }

    halo_sandbox *opened;
    int error = halo_open(&opened, argv[1], nullptr);
    const Sandbox box(opened);

    if (!error)
        error = greet(opened, argv[2]);
    if (error)
        std::cerr << "host: " << halo_errmsg(opened) << '\n';
    if (!std::cout.flush()) {
        std::cerr << "host: standard output cannot be written\n";
        return 1;
    }
    return error ? 1 : 0;
}
