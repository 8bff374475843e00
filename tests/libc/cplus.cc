// C++ with all of its library, as a guest and as a program of Linux.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <unordered_map>
#include <vector>

namespace {

struct Loud {
    std::string name;
    explicit Loud(std::string n) : name(std::move(n)) { std::cout << "made " << name << '\n'; }
    ~Loud() { std::cout << "gone " << name << std::endl; }
};

Loud first("first"), second("second");
thread_local Loud local("local");
std::once_flag once;

struct Base {
    virtual ~Base() = default;
    virtual int id() const { return 1; }
};
struct Derived : Base {
    int id() const override { return 2; }
};

struct Own : std::runtime_error {
    using std::runtime_error::runtime_error;
};

int deep(int depth)
{
    Loud *none = nullptr;
    std::unique_ptr<Loud> held(depth == 2 ? new Loud("held") : none);

    if (depth == 0)
        throw Own("from the depth");
    return deep(depth - 1) + 1;
}

int compare(const void *a, const void *b)
{
    if (*static_cast<const int *>(a) == 3)
        throw 42; // through qsort, which is C
    return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

void exceptions()
{
    try {
        deep(5);
    } catch (const std::exception &e) {
        std::cout << "caught " << e.what() << ' ' << (dynamic_cast<const Own *>(&e) != nullptr) << '\n';
    }
    try {
        std::map<int, int>().at(1);
    } catch (...) {
        try {
            std::throw_with_nested(std::logic_error("outer"));
        } catch (const std::logic_error &e) {
            std::cerr << e.what() << std::endl;
            try {
                std::rethrow_if_nested(e);
            } catch (const std::out_of_range &) {
                std::cout << "nested\n";
            }
        }
    }
    try {
        int list[] = {5, 3, 1};
        qsort(list, 3, sizeof(int), compare);
    } catch (int number) {
        std::cout << number << '\n';
    }
    try {
        std::vector<char> much(std::size_t(1) << 60);
    } catch (const std::bad_alloc &) {
        std::cout << "bad_alloc\n";
    } catch (const std::length_error &) {
        std::cout << "length_error\n";
    }
    std::unique_ptr<Base> base(new Derived);
    std::cout << base->id() << ' ' << typeid(*base).name() << '\n';
}

void library()
{
    std::unordered_map<std::string, int> counts;
    std::string line;
    std::size_t bytes = 0, lines = 0;
    std::ostringstream out;

    while (std::getline(std::cin, line)) {
        lines++;
        bytes += line.size();
        counts[line.substr(0, 1)]++;
    }
    std::cout << lines << ' ' << bytes << ' ' << counts["1"] << '\n';
    out << std::setw(8) << std::setfill('*') << std::hex << 255 << ' ' << std::setprecision(3) << 3.14159
        << ' ' << std::boolalpha << true;
    std::cout << out.str() << '\n';
    std::mt19937 random(7);
    std::vector<int> numbers(1000);
    std::generate(numbers.begin(), numbers.end(), std::ref(random));
    std::stable_sort(numbers.begin(), numbers.end());
    std::cout << numbers[0] << ' ' << std::is_sorted(numbers.begin(), numbers.end()) << '\n';
    std::cout << std::regex_replace(std::string("the quick fox"), std::regex("([a-z]+)"), "<$1>") << '\n';
    for (int i = 0; i < 3; i++)
        std::call_once(once, [] { std::cout << "once\n"; });
    auto start = std::chrono::steady_clock::now();
    std::cout << (std::chrono::steady_clock::now() >= start) << '\n';
    std::printf("printf between %d\n", 1);
    std::cout << local.name << '\n';
}

} // namespace

int main(int argc, char **argv)
{
    std::atexit([] { std::cout << "atexit\n"; });
    if (argc > 1 && std::string(argv[1]) == "exit")
        std::exit(9);
    if (argc > 1) {
        std::set_terminate([] {
            std::cout << "terminate" << std::endl;
            std::_Exit(11);
        });
        throw Own("nobody catches it");
    }
    exceptions();
    library();
    return 3;
}
