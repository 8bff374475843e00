/* The memory functions of a guest without a C library, beside the host's, at every length and
 * overlap. */
#include <stdint.h>
#include <string.h>

#define memcpy guest_memcpy
#define memmove guest_memmove
#define memset guest_memset
#define memcmp guest_memcmp
#define bcmp guest_bcmp
#define memchr guest_memchr
#define strlen guest_strlen
void *guest_memcpy(void *restrict to, const void *restrict from, size_t len);
void *guest_memmove(void *to, const void *from, size_t len);
void *guest_memset(void *to, int byte, size_t len);
int guest_memcmp(const void *a, const void *b, size_t len);
void *guest_memchr(const void *from, int byte, size_t len);
size_t guest_strlen(const char *text);
#include "../../src/guest/libc/memory.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef bcmp
#undef memchr
#undef strlen

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LEN_MAX 150
#define ROOM (4 * LEN_MAX)

static void fill(unsigned char *bytes)
{
    for (size_t i = 0; i < ROOM; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
}

static void a_copy_is_all_bytes_and_no_others(void **state)
{
    unsigned char from[ROOM], to[ROOM], expected[ROOM];

    (void)state;
    fill(from);
    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (size_t at = 1; at < 17; at++) {
            memset(to, 0xee, sizeof(to));
            memset(expected, 0xee, sizeof(expected));
            memcpy(expected + at, from + 3, len);
            assert_ptr_equal(guest_memcpy(to + at, from + 3, len), to + at);
            assert_memory_equal(to, expected, sizeof(to));
        }
    }
}

static void bytes_move_over_themselves(void **state)
{
    unsigned char bytes[ROOM], expected[ROOM];

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (size_t to = 0; to <= 2 * LEN_MAX; to++) {
            fill(bytes);
            fill(expected);
            memmove(expected + to, expected + LEN_MAX, len);
            assert_ptr_equal(guest_memmove(bytes + to, bytes + LEN_MAX, len), bytes + to);
            assert_memory_equal(bytes, expected, sizeof(bytes));
        }
    }
}

static void the_others_do_what_the_hosts_do(void **state)
{
    unsigned char a[ROOM], b[ROOM];

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        memset(a, 'a', sizeof(a));
        memset(b, 'a', sizeof(b));
        assert_ptr_equal(guest_memset(a + 1, 'x', len), a + 1);
        memset(b + 1, 'x', len);
        assert_memory_equal(a, b, sizeof(a));
        assert_int_equal(guest_memcmp(a, b, sizeof(a)), 0);
        b[len + 1] = 'b';
        assert_int_equal(guest_memcmp(a, b, sizeof(a)), -1);
        assert_int_equal(guest_memcmp(b, a, sizeof(a)), 1);
        assert_int_equal(guest_memcmp(a, b, len + 1), 0);
        assert_ptr_equal(guest_memchr(b, 'b', sizeof(b)), b + len + 1);
        assert_null(guest_memchr(b, 'b', len + 1));
        b[len + 1] = '\0';
        assert_int_equal(guest_strlen((const char *)b), len + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_all_bytes_and_no_others),
        cmocka_unit_test(bytes_move_over_themselves),
        cmocka_unit_test(the_others_do_what_the_hosts_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
