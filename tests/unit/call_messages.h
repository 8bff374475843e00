/* Messages of a guest's to the service of calls, and what has become of each. */
#ifndef CALL_MESSAGES_H
#define CALL_MESSAGES_H

#include "call_box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct call_box box;
static unsigned char message[8192], letters[3000];

static inline int open_box(void **state)
{
    (void)state;
    call_box_open(&box);
    memset(letters, 'x', sizeof(letters));
    letters[sizeof(letters) - 1] = '\0';
    return 0;
}

static inline int close_box(void **state)
{
    (void)state;
    call_box_close(&box);
    return 0;
}

static inline size_t good_call(size_t str_len, size_t bytes_len)
{
    const struct halo_value args[] = {
        halo_i32(5), halo_str((const char *)letters + sizeof(letters) - 1 - str_len),
        halo_bytes(letters, bytes_len)};

    return call_box_message(message, 1, args, 3);
}

/* The answer is an error of Halo's own. */
static inline void assert_error(int error)
{
    const char *text;
    int32_t code;
    struct halo_message head;

    assert_int_equal(call_box_kind(&box, ROOM), HALO_KIND_ERROR);
    memcpy(&head, box.room, sizeof(head));
    assert_int_equal(halo__decode_error(box.room + sizeof(head), head.length, &code, &text), 0);
    assert_int_equal(code, error);
    assert_true(text[0]); /* tests/calls/test_words.c looks at the words */
    assert_int_equal(box.called, 0);
}

static inline void assert_refused(size_t len, size_t room, const char *words)
{
    const char *why = call_box_serve(&box, message, len, 64, room);

    assert_non_null(why);
    if (!strstr(why, words))
        fail_msg("'%s' says nothing of '%s'", why, words);
    assert_int_equal(call_box_kind(&box, room), 0);
    assert_int_equal(box.called, 0);
}

static inline void put32(size_t at, uint32_t value)
{
    memcpy(message + at, &value, sizeof(value));
}

/* Message lengths are those of their chains, whatever else is changed. */
static inline void fix_length(size_t len)
{
    put32(4, (uint32_t)(len - sizeof(struct halo_message)));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

#endif
