/* A guest in C and in C++, by what halo bind has written. */
#include <halo/guest.h>
#include "bound_plugin.h"
#include "bound_service.h"

static uint64_t number_of_calls;
static char text[64];

double score(const char *words, int64_t weight)
{
    number_of_calls++;
    return (double)strlen(words) * (double)weight;
}

const char *greet(const char *name)
{
    return name[0] ? name : (const char *)0;
}

const void *reverse(const void *data, size_t data_len, size_t *result_len)
{
    const char *from = (const char *)data;

    *result_len = data_len;
    for (size_t i = 0; i < data_len && i < sizeof(text); i++)
        text[i] = from[data_len - 1 - i];
    return text;
}

void nothing(void)
{
    number_of_calls++;
}

double mixed(int32_t a, uint32_t b, uint64_t c, float d, double e, bool f, const void *bytes,
             size_t bytes_len, int32_t g, uint32_t h, uint32_t i, const char *words,
             const void *more, size_t more_len, bool j)
{
    const double numbers = (double)a + (double)b + (double)c + (double)d + e + (double)f +
                           (double)g + (double)h + (double)i + (double)j;

    return numbers + *(const char *)bytes + (double)bytes_len + (double)strlen(words) +
           *(const char *)more + (double)more_len;
}

uint64_t calls(void)
{
    return number_of_calls;
}

double sum(const double *numbers, size_t count)
{
    double total = 0;

    for (size_t i = 0; i < count; i++)
        total += numbers[i];
    return total;
}

const int32_t *squares(const int32_t *numbers, size_t count, const bool *which, size_t flags,
                       size_t *made)
{
    static int32_t results[8];

    *made = 0;
    for (size_t i = 0; i < count && i < flags && i < 8; i++) {
        if (which[i])
            results[(*made)++] = numbers[i] * numbers[i];
    }
    return results;
}

struct halo_handle pass(struct halo_handle thing)
{
    return thing;
}

/* All of the host's functions: 2 * number, or a number below 0 for what went wrong. */
int32_t ask(int32_t number)
{
    struct halo_future future;
    const void *bytes;
    const char *name;
    int32_t result = 0;
    size_t bytes_len;
    bool is_odd = true;
    int wrong = 0;
    const uint64_t numbers[] = {1, 4};
    const float *halves;
    struct halo_handle thing = {0};
    int64_t number_of = 0;

    if (service_twice(&future, number, &result))
        wrong = -1;
    halo_future_free(&future);
    if (service_name_of(&future, "key", 3, &name) || strlen(name) != 3 || memcmp(name, "key", 3))
        wrong = -2;
    halo_future_free(&future);
    if (service_copy(&future, "a\0b", 3, &bytes, &bytes_len) || bytes_len != 3 ||
        memcmp(bytes, "a\0b", 3))
        wrong = -3;
    halo_future_free(&future);
    if (service_count(&future))
        wrong = -4;
    halo_future_free(&future);
    if (service_is_odd(&future, 1ull << 40, &is_odd) || is_odd)
        wrong = -5;
    halo_future_free(&future);
    if (service_thing(&future, 77, &thing) || !thing.number)
        wrong = -6;
    halo_future_free(&future);
    if (service_number_of(&future, thing, &number_of) || number_of != 77)
        wrong = -7;
    halo_future_free(&future);
    thing.number++;
    if (service_number_of(&future, thing, &number_of) != HALO_ESTALE)
        wrong = -8;
    halo_future_free(&future);
    if (service_halves(&future, numbers, 2, &halves, &bytes_len) || bytes_len != 2 ||
        halves[0] != 0.5f || halves[1] != 2)
        wrong = -9;
    halo_future_free(&future);
    return wrong ? wrong : result;
}
