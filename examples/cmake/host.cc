// A host in C++ that asks a plug-in to greet somebody: host PLUGIN NAME
#include <halo/halo.h>
#include <iostream>
#include <memory>

namespace
{

struct Close {
    void operator()(halo_sandbox *box) const { halo_close(box); }
};
using Sandbox = std::unique_ptr<halo_sandbox, Close>;

int say(const Sandbox &box)
{
    std::cerr << halo_errmsg(box.get()) << '\n';
    return 1;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;

    halo_sandbox *opened;
    const int error = halo_open(&opened, argv[1], nullptr);
    const Sandbox box(opened);

    if (error || halo_serve_begin(opened, HALO_FOREVER))
        return say(box);

    const halo_signature type = HALO_FN(HALO_STR, HALO_STR);
    const int greet = halo_lookup(opened, "greet", &type);
    halo_future answer;

    if (halo_call(opened, &answer, greet, HALO_FOREVER, halo_str(argv[2]))) {
        std::cerr << answer.text << '\n';
        return 1;
    }
    std::cout << answer.result.str << '\n';
    halo_future_free(&answer);
}
