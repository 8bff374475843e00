/*
 * The guest's log: lines that go to the host and get no answer. Each lies in memory of this file's
 * until its chain has come back, so that nothing is taken from the pool that others wait for.
 */
#include "format.h"
#include "port.h"
#include "trace.h"

#define LINES 32u

static struct line {
    struct halo_op op;
    bool is_out;
    struct {
        struct halo_message message;
        struct halo_log_head head;
        char text[HALO_LOG_MAX];
    } bytes;
} lines[LINES];
static uint32_t dropped;

/* Its chain is back. There is no answer in it. */
static bool come_back(struct halo_op *op, struct halo_answer *answer)
{
    (void)answer;
    ((struct line *)op)->is_out = false;
    return false;
}

static struct line *find_free(void)
{
    for (uint32_t i = 0; i < LINES; i++) {
        if (!lines[i].is_out)
            return &lines[i];
    }
    return NULL;
}

/* Where all of them are out, the host is to have a look: one exit for so many. */
static struct line *find(void)
{
    struct line *line = find_free();

    if (line)
        return line;
    if (!halo__port_take()) {
        halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_G2H, 0);
        (void)halo__port_take();
    }
    return find_free();
}

/* It takes no room that is kept for others. */
static bool send(struct line *line, uint32_t len)
{
    struct halo_token token;
    struct halo_send send;
    int error;

    if (halo_sender_room(&halo__port) <= halo__port_reserved)
        return false;
    halo_send_begin(&send, &halo__port);
    error = halo_send_lend_readable(&send, &line->bytes, len);
    if (!error)
        error = halo_send_submit(&send, (uintptr_t)&line->op, &token);
    if (error) {
        halo_send_drop(&send);
        halo__check(error == HALO_EFULL || error == HALO_ENOMEM ? 0 : error,
                    "the ring refuses a line of the log");
        return false;
    }
    halo__trace(HALO_EVENT_SUBMIT, halo_token_id(token), 0);
    /* From now on the host finds it, however this guest goes on. */
    halo__port_flush();
    return true;
}

static bool may_log(enum halo_log_level level)
{
    return halo_boot_page()->log_max >= HALO_LOG_MAX && level >= HALO_LOG_ERROR &&
           level <= HALO_LOG_DEBUG;
}

static void send_line(struct line *line, enum halo_log_level level, size_t text_len)
{
    const uint32_t len = (uint32_t)(sizeof(line->bytes.head) + text_len);

    line->op = (struct halo_op){come_back};
    line->bytes.message = (struct halo_message){.kind = HALO_KIND_LOG, .length = len};
    line->bytes.head = (struct halo_log_head){.level = (uint32_t)level, .dropped = dropped};
    line->is_out = send(line, (uint32_t)sizeof(line->bytes.message) + len);
    dropped = line->is_out ? 0 : dropped + 1;
}

void halo_log_text(enum halo_log_level level, const char *text, size_t len)
{
    struct line *line;

    if (!may_log(level) || len == 0)
        return;
    line = find();
    if (!line) {
        dropped++;
        return;
    }
    len = len < HALO_LOG_MAX ? len : HALO_LOG_MAX;
    memcpy(line->bytes.text, text, len);
    send_line(line, level, len);
}

void halo_log(enum halo_log_level level, const char *format, ...)
{
    struct line *line;
    va_list args;
    size_t len;

    if (!may_log(level))
        return;
    line = find();
    if (!line) {
        dropped++;
        return;
    }
    va_start(args, format);
    len = halo__format(line->bytes.text, HALO_LOG_MAX, format, args);
    va_end(args);
    if (len > 0)
        send_line(line, level, len);
}
