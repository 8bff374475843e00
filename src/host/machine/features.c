/* What a guest is told of the processor: see features.h. */
#include "features.h"
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

/* What programs choose their code by. */
static const struct {
    const char *name;
    uint8_t word, bit;
} named[] = {
    {"sse3", 0, 0},       {"pclmul", 0, 1},      {"ssse3", 0, 9},         {"fma", 0, 12},
    {"cx16", 0, 13},      {"sse4.1", 0, 19},     {"sse4.2", 0, 20},       {"movbe", 0, 22},
    {"popcnt", 0, 23},    {"aes", 0, 25},        {"avx", 0, 28},          {"f16c", 0, 29},
    {"rdrand", 0, 30},    {"bmi1", 1, 3},        {"avx2", 1, 5},          {"bmi2", 1, 8},
    {"erms", 1, 9},       {"avx512f", 1, 16},    {"avx512dq", 1, 17},     {"rdseed", 1, 18},
    {"adx", 1, 19},       {"avx512ifma", 1, 21}, {"clflushopt", 1, 23},   {"clwb", 1, 24},
    {"avx512cd", 1, 28},  {"sha", 1, 29},        {"avx512bw", 1, 30},     {"avx512vl", 1, 31},
    {"avx512vbmi", 2, 1}, {"avx512vbmi2", 2, 6}, {"gfni", 2, 8},          {"vaes", 2, 9},
    {"vpclmul", 2, 10},   {"avx512vnni", 2, 11}, {"avx512bitalg", 2, 12}, {"avx512vpopcnt", 2, 14},
    {"fsrm", 3, 4},       {"lzcnt", 4, 5},
};

void halo__features_set(struct halo_features *features, uint32_t leaf, uint32_t ebx, uint32_t ecx,
                        uint32_t edx)
{
    if (leaf == 1)
        features->words[0] = ecx;
    if (leaf == 7) {
        features->words[1] = ebx;
        features->words[2] = ecx;
        features->words[3] = edx;
    }
    if (leaf == 0x80000001)
        features->words[4] = ecx;
}

void halo__features_of_host(struct halo_features *features)
{
    static const uint32_t leaves[] = {1, 7, 0x80000001};
    unsigned eax, ebx, ecx, edx;

    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        if (__get_cpuid_count(leaves[i], 0, &eax, &ebx, &ecx, &edx))
            halo__features_set(features, leaves[i], ebx, ecx, edx);
    }
}

bool halo__features_lack(const struct halo_features *has, const struct halo_features *wants,
                         char *names, size_t len)
{
    size_t used = 0;

    names[0] = '\0';
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
        const uint32_t lacking = wants->words[named[i].word] & ~has->words[named[i].word];

        if (!(lacking >> named[i].bit & 1) || used + strlen(named[i].name) + 2 > len)
            continue;
        used += (size_t)snprintf(names + used, len - used, "%s%s", used ? " " : "", named[i].name);
    }
    return used > 0;
}
