/* Every test on every backend: over rings with extensions, over plain ones, and over stacks. */
#ifndef WAYS_H
#define WAYS_H

#include <halo/halo.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A test's state is a number: its backend, and how messages travel. */
#define WAY_PLAIN 16u
#define WAY_STACKS 32u
#define WAY_RINGS 64u
#define WAY_THREADED 128u
#define WAY_IN_TURNS 256u

static inline struct halo_options way_options(void **state)
{
    const uintptr_t way = (uintptr_t)*state;

    return (struct halo_options){
        .backend = (enum halo_backend_choice)(way & 15),
        .plain_ring = way & WAY_PLAIN,
        .threaded = way & WAY_THREADED,
        .transport = way & WAY_STACKS ? HALO_TRANSPORT_STACK : HALO_TRANSPORT_RING,
    };
}

static inline bool way_is_stacks(void **state)
{
    return (uintptr_t)*state & WAY_STACKS;
}

/* The number of what the guest exports by this name, or 0. */
static inline int way_function(const struct halo_sandbox *box, const char *name)
{
    struct halo_signature signature;
    const char *exported;

    for (uint32_t i = 0; halo_exported(box, i, &exported, &signature); i++) {
        if (strcmp(exported, name) == 0)
            return (int)i + 1;
    }
    return 0;
}

/* Open a guest with so much memory, 0: as it is chosen, and run it until it serves calls: 0. */
static inline int open_to_serve(struct halo_sandbox **box, void **state, const char *path,
                                uint64_t ram_len)
{
    struct halo_options options = way_options(state);

    options.ram_len = ram_len;
    if (halo_open(box, path, &options) || halo_serve_begin(*box, HALO_FOREVER))
        fail_msg("%s", halo_errmsg(*box));
    return 0;
}

struct way_test {
    const char *name;
    CMUnitTestFunction test;
    uintptr_t not_on; /* WAY_STACKS where it is about what stacks cannot do; WAY_RINGS */
};

#define WAY_TEST(function, not_on)  \
    {                               \
#function, function, not_on \
    }
#define TEST(function) WAY_TEST(function, 0)
#define RINGS(function) WAY_TEST(function, WAY_STACKS)
/* What is counted, or seen half-way, where host and guest take turns alone. */
#define IN_TURNS(function) WAY_TEST(function, WAY_STACKS | WAY_THREADED)
#define THREADED(function) WAY_TEST(function, WAY_STACKS | WAY_IN_TURNS)
#define STACKS(function) WAY_TEST(function, WAY_RINGS)

/*
 * Without /dev/kvm those of KVM are run inside QEMU: tests/qemu. With SHORT in the environment, as
 * `make test` has it for sanitizers, messages travel each way on one backend or the other.
 */
static inline int run_every_way(const char *group, const struct way_test *tests, size_t count,
                                CMFixtureFunction setup, CMFixtureFunction teardown)
{
    static const struct {
        const char *name;
        uintptr_t way;
        bool is_second; /* these messages travel so on the other backend, too */
    } ways[] = {
        {"kvm", HALO_BACKEND_KVM | WAY_RINGS | WAY_IN_TURNS, false},
        {"kvm, plain ring", HALO_BACKEND_KVM | WAY_RINGS | WAY_IN_TURNS | WAY_PLAIN, true},
        {"kvm, stacks", HALO_BACKEND_KVM | WAY_STACKS, false},
        {"kvm, threaded", HALO_BACKEND_KVM | WAY_RINGS | WAY_THREADED, true},
        {"process", HALO_BACKEND_PROCESS | WAY_RINGS | WAY_IN_TURNS, true},
        {"process, plain ring", HALO_BACKEND_PROCESS | WAY_RINGS | WAY_IN_TURNS | WAY_PLAIN, false},
        {"process, stacks", HALO_BACKEND_PROCESS | WAY_STACKS, true},
        {"process, threaded", HALO_BACKEND_PROCESS | WAY_RINGS | WAY_THREADED, false},
    };
    const size_t first = access("/dev/kvm", F_OK) == 0 ? 0 : 4;
    const bool is_short = getenv("SHORT") && first == 0;
    struct CMUnitTest *all = calloc(8 * count, sizeof(*all));
    size_t n = 0;
    int failed;

    for (size_t i = 0; i < count; i++) {
        for (size_t w = first; w < 8; w++) {
            char name[200];

            if (tests[i].not_on & ways[w].way || (is_short && ways[w].is_second))
                continue;
            (void)snprintf(name, sizeof(name), "%s: %s", ways[w].name, tests[i].name);
            all[n++] = (struct CMUnitTest){strdup(name), tests[i].test, setup, teardown,
                                           (void *)ways[w].way};
        }
    }
    failed = _cmocka_run_group_tests(group, all, n, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)all[i].name);
    free(all);
    return failed;
}

#endif
