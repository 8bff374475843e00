/*
 * Names for addresses come from a process of their own, which reads a file that may say anything:
 * the names of this program's functions, and whatever is made of the file, an answer in time whose
 * texts end and can be shown.
 */
#include "../../src/tool/symbols.h"
#include <dirent.h>
#include <halo/abi.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 40

/* Where the linker has put this program. */
extern const char __executable_start[];

int known_function(int number);

static volatile int sink;

__attribute__((noinline)) int known_function(int number)
{
    sink += number;
    return sink * 3;
}

/* Where a guest would have it. */
static uint64_t address_of(uintptr_t function)
{
    return HALO_PROGRAM_BASE + (function - (uintptr_t)__executable_start);
}

static char *read_self(size_t *len)
{
    FILE *self = fopen("/proc/self/exe", "rb");
    char *bytes = malloc(64u << 20);

    assert_non_null(self);
    assert_non_null(bytes);
    *len = fread(bytes, 1, 64u << 20, self);
    assert_true(*len > 1000 && *len < 64u << 20);
    fclose(self);
    return bytes;
}

/* The answer for a file with these bytes. */
static bool find_in(const char *bytes, size_t len, uint64_t address, struct tool_place *place)
{
    char name[] = "/tmp/symbols-XXXXXX";
    const int fd = mkstemp(name);
    bool found;

    assert_true(fd >= 0);
    for (size_t at = 0; at < len;) {
        const ssize_t n = write(fd, bytes + at, len - at);

        assert_true(n > 0);
        at += (size_t)n;
    }
    close(fd);
    tool_symbols_begin(name);
    found = tool_symbols_find(&address, 1, place, INT64_MAX);
    unlink(name);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    return found;
}

static void a_function_has_its_name_and_its_line(void **state)
{
    const uint64_t addresses[] = {address_of((uintptr_t)known_function),
                                  address_of((uintptr_t)known_function) + 1, 8};
    struct tool_place places[3];

    (void)state;
    tool_symbols_begin("/proc/self/exe");
    assert_true(tool_symbols_find(addresses, 3, places, INT64_MAX));
    for (uint64_t i = 0; i < 2; i++) {
        assert_string_equal(places[i].function, "known_function");
        assert_int_equal(places[i].offset, i);
        assert_int_equal(places[i].is_near, 0);
#ifdef HALO_HAS_DW
        assert_non_null(strstr(places[i].file, "test_symbols.c"));
        assert_in_range(places[i].line, 30, 50);
#endif
    }
    assert_string_equal(places[2].function, "");
    assert_string_equal(places[2].file, "");
}

/* How many entries a directory has, or -1. */
static int count_in(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    if (!dir)
        return -1;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static bool has_line(const char *path, const char *wanted)
{
    FILE *file = fopen(path, "r");
    char line[256];
    bool has = false;

    while (file && !has && fgets(line, sizeof(line), file))
        has = strcmp(line, wanted) == 0;
    if (file)
        fclose(file);
    return has;
}

/* By the kernel's word, while it waits to be asked. */
static void who_reads_the_file_can_do_nothing_else(void **state)
{
    const uint64_t address = address_of((uintptr_t)known_function);
    struct tool_place place;
    char path[64], status[64];
    FILE *children;
    int child = 0;

    (void)state;
    tool_symbols_begin("/proc/self/exe");
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    children = fopen(path, "r");
    assert_non_null(children);
    while (fscanf(children, "%d", &child) == 1) /* the last one is the newest */
        continue;
    fclose(children);
    assert_true(child > 0);
    (void)snprintf(status, sizeof(status), "/proc/%d/status", child);
    for (int i = 0; i < 3000 && !has_line(status, "Seccomp:\t2\n"); i++)
        usleep(10000); /* for as long as it may take to begin */
    assert_true(has_line(status, "Seccomp:\t2\n"));
    assert_true(has_line(status, "NoNewPrivs:\t1\n"));
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", child);
    assert_int_equal(count_in(path), 2); /* to who asks, and what it ends with */
    assert_true(tool_symbols_find(&address, 1, &place, INT64_MAX));
    assert_string_equal(place.function, "known_function");
}

/* As a profile asks. */
static void it_answers_as_often_as_it_is_asked(void **state)
{
    const uint64_t address = address_of((uintptr_t)known_function);
    struct tool_place place;

    (void)state;
    for (int i = 0; i < 3; i++) {
        memset(&place, 0, sizeof(place));
        assert_true(tool_symbols_find(&address, 1, &place, INT64_MAX));
        assert_string_equal(place.function, "known_function");
    }
}

static void what_is_no_file_has_no_names(void **state)
{
    const char *const paths[] = {"/", "/dev/zero", "/dev/null", "/no/such/file"};
    const uint64_t address = address_of((uintptr_t)known_function);
    struct tool_place place;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        tool_symbols_begin(paths[i]);
        assert_false(tool_symbols_find(&address, 1, &place, INT64_MAX));
    }
}

static bool can_be_shown(const char *text, size_t max)
{
    const char *end = memchr(text, '\0', max);

    for (; end && text < end; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return end != NULL;
}

/* ELF-17: of those that are spoiled anywhere, some kill it, and some make it give up. */
static void elf_17_a_spoiled_file_costs_names_alone(void **state)
{
    size_t len;
    char *good = read_self(&len), *bytes = malloc(len);
    const uint64_t address = address_of((uintptr_t)known_function);
    uint32_t random = 4711;
    int found = 0;

    (void)state;
    assert_non_null(bytes);
    for (int i = 0; i < ROUNDS; i++) {
        struct tool_place place;

        memset(&place, 0, sizeof(place));
        memcpy(bytes, good, len);
        for (int k = 0; k < 1 << i % 14; k++) {
            random = random * 1664525 + 1013904223;
            bytes[(i % 4 == 0 ? random % 64 : random >> 3) % len] = (char)(random >> 24);
        }
        found += find_in(bytes, i % 5 == 4 ? random % len : len, address, &place);
        assert_true(can_be_shown(place.function, sizeof(place.function)));
        assert_true(can_be_shown(place.file, sizeof(place.file)));
    }
    assert_true(found > 0); /* so that something was read at all */
    free(bytes);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_has_its_name_and_its_line),
        cmocka_unit_test(who_reads_the_file_can_do_nothing_else),
        cmocka_unit_test(it_answers_as_often_as_it_is_asked),
        cmocka_unit_test(what_is_no_file_has_no_names),
        cmocka_unit_test(elf_17_a_spoiled_file_costs_names_alone),
    };

    return cmocka_run_group_tests_name("symbols", tests, NULL, NULL);
}
