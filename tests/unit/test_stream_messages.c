/* The headers of stream requests, as a guest may send them: groups DEV, TOC, STR. */
#include "../../src/stream/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct wire {
    struct halo_message message;
    struct halo_stream_request stream;
};

static struct wire wire;
static unsigned char room[64];

/* A request whose header lies in pieces of at most `piece` bytes. */
static struct halo_request request(size_t len, size_t piece, size_t writable)
{
    struct halo_request r = {.readable_len = len, .writable_len = writable};
    unsigned char *bytes = halo_shm_expose(halo_shm_share(&wire));

    for (size_t at = 0; at < len; at += piece)
        r.spans[r.readable_count++] =
            (struct halo_span){halo_shm_share(bytes + at), len - at < piece ? len - at : piece};
    r.spans[r.readable_count] = (struct halo_span){halo_shm_share(room), writable};
    r.writable_count = 1;
    return r;
}

static const char *parse(struct halo_request *r)
{
    const char *why = halo__request_parse(r, HALO_ANSWER_MIN);

    return why ? why : halo__stream_parse(r);
}

static int setup(void **state)
{
    (void)state;
    wire = (struct wire){{HALO_KIND_STREAM_READ, 0, 7, 8}, {HALO_STDIN, 0}};
    return 0;
}

static void dev_18_a_header_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= sizeof(wire); piece++) {
        struct halo_request r = request(sizeof(wire), piece, 64);

        assert_null(parse(&r));
        assert_int_equal(r.message.kind, HALO_KIND_STREAM_READ);
        assert_int_equal(r.message.request, 7);
        assert_int_equal(r.stream.handle, HALO_STDIN);
    }
}

static void dev_18_dev_19_short_chains_are_refused(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof(wire); len++) {
        struct halo_request r = request(len, 16, 64);

        assert_non_null(parse(&r));
    }
    for (size_t writable = 0; writable < 12; writable++) {
        struct halo_request r = request(sizeof(wire), 16, writable);

        assert_non_null(parse(&r));
    }
}

static void toc_04_a_header_that_changes_later_changes_nothing(void **state)
{
    struct halo_request r = request(sizeof(wire), 16, 64);

    (void)state;
    assert_null(parse(&r));
    memset(&wire, 0xff, sizeof(wire));
    assert_int_equal(r.message.kind, HALO_KIND_STREAM_READ);
    assert_int_equal(r.message.length, 8);
    assert_int_equal(r.stream.handle, HALO_STDIN);
}

static void str_07_rpc_06_every_other_header_is_refused(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 256; kind++) {
        struct halo_request r = request(sizeof(wire), 16, 64);

        wire.message.kind = (uint8_t)kind;
        if (kind == HALO_KIND_STREAM_READ || kind == HALO_KIND_STREAM_WRITE)
            assert_null(parse(&r));
        else
            assert_non_null(parse(&r));
    }
    wire.message.kind = HALO_KIND_STREAM_READ;
    for (unsigned bit = 0; bit < 32; bit++) {
        struct halo_request r = request(sizeof(wire), 16, 64);

        wire.message.length = 8 ^ 1u << bit;
        assert_non_null(parse(&r));
        wire.message.length = 8;
        wire.stream.reserved = 1u << bit;
        assert_non_null(parse(&r));
        wire.stream.reserved = 0;
        wire.message.flags = (uint8_t)(1u << bit % 8);
        assert_non_null(parse(&r));
        wire.message.flags = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(dev_18_a_header_may_be_cut_anywhere, setup),
        cmocka_unit_test_setup(dev_18_dev_19_short_chains_are_refused, setup),
        cmocka_unit_test_setup(toc_04_a_header_that_changes_later_changes_nothing, setup),
        cmocka_unit_test_setup(str_07_rpc_06_every_other_header_is_refused, setup),
    };

    return cmocka_run_group_tests_name("stream messages", tests, NULL, NULL);
}
