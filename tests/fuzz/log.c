/*
 * Any message as a line of a guest's log, in any pieces: refused, or given once, with the guest's
 * bytes, a level that there is, and never more lines than there may be.
 */
#include "../unit/port_box.h"

#include "../../src/host/log.h"

#define EXPECT(condition) ((condition) ? (void)0 : abort())
#define LINES 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct {
    const uint8_t *bytes;
    size_t len;
    uint32_t given;
} expected;

static void look(void *context, const struct halo_log_line *line)
{
    (void)context;
    expected.given++;
    EXPECT(line->level >= HALO_LOG_ERROR && line->level <= HALO_LOG_INFO);
    EXPECT(line->len > 0 && line->len <= HALO_LOG_MAX && line->text[line->len] == 0);
    EXPECT(line->len + 16 == expected.len);
    EXPECT(memcmp(line->text, expected.bytes + 16, line->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct halo_port port;
    static struct halo_words words;
    static struct halo_request request;
    static struct halo_log log;
    unsigned char room[16] = {0};
    size_t piece, room_len;

    if (len < 3)
        return 0;
    port_box_open(&port, &words);
    halo__log_init(&log, &port);
    halo__log_listen(&log, HALO_LOG_INFO, LINES, look, NULL);
    piece = data[0] % 64 + 1u;
    room_len = data[1] % 4 ? 0 : sizeof(room);
    memset(&expected, 0, sizeof(expected));
    expected.bytes = data + 2;
    expected.len = len - 2;
    for (uint32_t i = 0; i < 2 * LINES; i++) {
        const uint32_t before = expected.given;
        const char *why;

        port_box_request(&request, 0, expected.bytes, expected.len, piece, room, room_len);
        request.is_there = true;
        why = port_box_take(&port, HALO_QUEUE_G2H, &request, 0);
        EXPECT(!why || expected.given == before);
        EXPECT(room_len == 0 || why);
    }
    EXPECT(expected.given <= LINES + 1);
    for (size_t i = 0; i < sizeof(room); i++)
        EXPECT(room[i] == 0);
    return 0;
}
