/* Its host, in C and in C++: host BACKEND GUEST. Says "fine", or what is not. */
#include <halo/handle.h>
#include <stdio.h>
#include <string.h>
#include "bound_plugin.h"
#include "bound_service.h"

#define EXPECT(condition)                                  \
    do {                                                   \
        if (!(condition)) {                                \
            printf("line %d: " #condition "\n", __LINE__); \
            return 1;                                      \
        }                                                  \
    } while (0)
#define TIME (60ll * 1000000000ll)

static char name[64];
static struct halo_sandbox *the_box;
static const struct halo_handle_kind things = {"thing", NULL};
static int64_t number_of_thing;

int32_t twice(void *context, int32_t number)
{
    ++*(int *)context;
    return 2 * number;
}

const char *name_of(void *context, const void *key, size_t key_len)
{
    ++*(int *)context;
    memcpy(name, key, key_len);
    name[key_len] = '\0';
    return name;
}

const void *copy(void *context, const void *data, size_t data_len, size_t *copied)
{
    ++*(int *)context;
    *copied = data_len;
    return data;
}

void count(void *context)
{
    ++*(int *)context;
}

bool is_odd(void *context, uint64_t number)
{
    ++*(int *)context;
    return number % 2 == 1;
}

struct halo_handle thing(void *context, int64_t number)
{
    struct halo_handle made;

    ++*(int *)context;
    number_of_thing = number;
    (void)halo_handle_create(the_box, &things, &number_of_thing, &made);
    return made;
}

int64_t number_of(void *context, struct halo_handle thing)
{
    void *object;

    ++*(int *)context;
    return halo_handle_find(the_box, &things, thing, &object) == 0 ? *(int64_t *)object : -1;
}

const float *halves(void *context, const uint64_t *numbers, size_t numbers_count, size_t *made)
{
    static float results[8];

    ++*(int *)context;
    *made = numbers_count;
    for (size_t i = 0; i < numbers_count && i < 8; i++)
        results[i] = (float)numbers[i] / 2;
    return results;
}

static int talk(struct halo_sandbox *box, const int *count_of_calls)
{
    struct halo_bound_plugin plugin;
    struct halo_future future;
    const char *words = NULL;
    const void *bytes = NULL;
    double number = 0;
    int32_t small = 0;
    uint64_t large = 0;
    size_t bytes_len = 0;
    const double numbers[] = {1, 2.5, 4};
    const int32_t integers[] = {3, 4, 5};
    const bool flags[] = {true, false, true};
    const int32_t *squares = NULL;
    struct halo_handle handle = {0}, back = {0};

    EXPECT(halo_bind_plugin(&plugin, box) == 0);
    EXPECT(plugin_score(&plugin, &future, TIME, "four", -3, &number) == 0 && number == -12);
    halo_future_free(&future);
    EXPECT(plugin_greet(&plugin, &future, TIME, "you", &words) == 0 && !strcmp(words, "you"));
    halo_future_free(&future);
    EXPECT(plugin_greet(&plugin, &future, TIME, "", &words) == HALO_ETYPE);
    halo_future_free(&future);
    EXPECT(plugin_reverse(&plugin, &future, TIME, "a\0b", 3, &bytes, &bytes_len) == 0);
    EXPECT(bytes_len == 3 && memcmp(bytes, "b\0a", 3) == 0);
    halo_future_free(&future);
    EXPECT(plugin_reverse(&plugin, &future, TIME, NULL, 0, &bytes, &bytes_len) == 0);
    EXPECT(bytes_len == 0);
    halo_future_free(&future);
    EXPECT(plugin_nothing(&plugin, &future, TIME) == 0);
    halo_future_free(&future);
    EXPECT(plugin_mixed(&plugin, &future, TIME, -1, 2, 3, 4.5f, 5.5, true, "\7", 1, 8, 9, 10,
                        "seven", "\13\0", 2, true, &number) == 0);
    EXPECT(number == 69); /* -1+2+3+4.5+5.5+1 +7+1 +8+9+10 +5 +11+2 +1 */
    halo_future_free(&future);
    EXPECT(plugin_calls(&plugin, &future, TIME, &large) == 0 && large == 2);
    halo_future_free(&future);
    EXPECT(plugin_ask(&plugin, &future, TIME, 21, &small) == 0 && small == 42);
    halo_future_free(&future);
    EXPECT(*count_of_calls == 8); /* one of them was with a handle that there is not */
    EXPECT(plugin_sum(&plugin, &future, TIME, numbers, 3, &number) == 0 && number == 7.5);
    halo_future_free(&future);
    EXPECT(plugin_squares(&plugin, &future, TIME, integers, 3, flags, 3, &squares, &bytes_len) ==
           0);
    EXPECT(bytes_len == 2 && squares[0] == 9 && squares[1] == 25);
    halo_future_free(&future);
    EXPECT(halo_handle_create(box, &things, NULL, &handle) == 0);
    EXPECT(plugin_pass(&plugin, &future, TIME, handle, &back) == 0);
    EXPECT(back.number == handle.number);
    halo_future_free(&future);
    return 0;
}

int main(int argc, char **argv)
{
    struct halo_options options;
    struct halo_sandbox *box = NULL;
    int count_of_calls = 0, wrong;

    EXPECT(argc == 3);
    memset(&options, 0, sizeof(options));
    options.backend = strcmp(argv[1], "kvm") == 0 ? HALO_BACKEND_KVM : HALO_BACKEND_PROCESS;
    EXPECT(halo_open(&box, argv[2], &options) == 0);
    the_box = box;
    EXPECT(halo_bind_service(box, &count_of_calls) == 0);
    EXPECT(halo_serve_begin(box, TIME) == 0);
    wrong = talk(box, &count_of_calls);
    if (wrong)
        puts(halo_errmsg(box));
    halo_close(box);
    if (!wrong)
        puts("fine");
    return wrong;
}
