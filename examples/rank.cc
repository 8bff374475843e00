/*
 * rank: a plug-in in ordinary C++, built by halo-c++. It counts words for its host,
 * examples/rank_host.c, with all that a program is used to: an object that is there before main, a
 * map, an exception, qsort and printf.
 */
#include <halo/guest.h>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace
{

class Ranking
{
  public:
    Ranking()
    {
        std::printf("ready\n");
    }
    ~Ranking()
    {
        std::printf("%zu words, the end\n", counts.size());
    }

    int64_t add(const char *text)
    {
        std::string word;
        int64_t words = 0;

        for (;; text++) {
            if (std::isalpha(static_cast<unsigned char>(*text))) {
                word += static_cast<char>(std::tolower(static_cast<unsigned char>(*text)));
                continue;
            }
            if (!word.empty()) {
                counts[word]++;
                words++;
            }
            word.clear();
            if (*text == '\0')
                return words;
        }
    }

    int64_t count(const char *word) const
    {
        return counts.at(word);
    }

    /* The most frequent, as many as asked for; of the same number in alphabetical order. */
    void print(int64_t most) const
    {
        std::vector<const Entry *> entries;

        for (const Entry &entry : counts)
            entries.push_back(&entry);
        std::qsort(entries.data(), entries.size(), sizeof(entries[0]), compare);
        for (int64_t i = 0; i < most && i < static_cast<int64_t>(entries.size()); i++)
            std::printf("%6lld %s\n", static_cast<long long>(entries[i]->second),
                        entries[i]->first.c_str());
    }

  private:
    using Entry = std::map<std::string, int64_t>::value_type;

    static int compare(const void *a, const void *b)
    {
        const Entry &one = **static_cast<const Entry *const *>(a);
        const Entry &other = **static_cast<const Entry *const *>(b);

        if (one.second != other.second)
            return one.second < other.second ? 1 : -1;
        return one.first.compare(other.first);
    }

    std::map<std::string, int64_t> counts;
};

Ranking ranking;

} // namespace

HALO_EXPORT(add, "rank.add", HALO_I64, HALO_STR)
{
    halo_return(call, halo_i64(ranking.add(args[0].str)));
}

HALO_EXPORT(count, "rank.count", HALO_I64, HALO_STR)
{
    try {
        halo_return(call, halo_i64(ranking.count(args[0].str)));
    } catch (const std::out_of_range &) {
        halo_fail(call, 1, "there is no such word");
    }
}

HALO_EXPORT(print, "rank.print", HALO_VOID, HALO_I64)
{
    ranking.print(args[0].i64);
    // The host prints next: wait until this has arrived.
    if (std::fflush(stdout) != 0 || halo_flush() != 0)
        halo_fail(call, 2, "standard output cannot be written");
}
