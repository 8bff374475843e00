/*
 * A guest's log: see log.h. A line is judged and copied before anybody sees it, its chain comes
 * back in the same drain, and a guest that logs without end costs no more than so many lines:
 * LOG-01.
 */
#include "log.h"
#include "deadline.h"

#define SECOND_NS 1000000000

/* Whether there is room for another line within a second's worth of them. */
static bool may_pass(struct halo_log *log)
{
    const int64_t now = halo__now();

    if (log->until < now)
        log->until = now;
    if (log->until - now > SECOND_NS - log->line_ns)
        return false;
    log->until += log->line_ns;
    return true;
}

static void give(struct halo_log *log, const struct halo_log_head *head, const char *text,
                 size_t len)
{
    struct halo_log_line line = {
        .level = (enum halo_log_level)head->level, .text = text, .len = len};

    if (!log->logger)
        return;
    log->dropped += head->dropped;
    halo__count(&log->all_dropped, head->dropped);
    if (line.level > log->level)
        return;
    if (!may_pass(log)) {
        log->dropped++;
        halo__count(&log->all_dropped, 1);
        return;
    }
    line.dropped = log->dropped;
    log->dropped = 0;
    halo__count(&log->all_given, 1);
    log->logger(log->context, &line);
}

static const char *take(void *self, struct halo_request *request)
{
    struct halo_log *log = self;
    struct halo_port *port = log->port;
    struct halo_log_head head;
    char text[HALO_LOG_MAX + 1];
    uint64_t len;

    if (request->parked.writable_len > 0 || port->on_stacks)
        return "a line of a log with room for an answer"; /* LOG-02 */
    if (request->message.length <= sizeof(head) ||
        request->message.length > sizeof(head) + HALO_LOG_MAX)
        return "a line of a log that is empty or too long"; /* LOG-02 */
    len = request->message.length - sizeof(head);
    if (!halo__request_read(port, request, HALO_PAYLOAD, &head, sizeof(head)) ||
        !halo__request_read(port, request, HALO_PAYLOAD + sizeof(head), text, (size_t)len))
        return HALO_NOT_THERE;
    if (head.level < HALO_LOG_ERROR || head.level > HALO_LOG_DEBUG)
        return "a line of a log of no level that there is"; /* LOG-02 */
    text[len] = '\0';
    if (!port->closed)
        (void)halo_receiver_answer(&port->queues[HALO_QUEUE_G2H], &request->parked, 0);
    HALO_TRACE(port->trace, ANSWER, halo__traced_chain(HALO_QUEUE_G2H, request), 0);
    give(log, &head, text, (size_t)len);
    return NULL;
}

/* Its last lines tell most: they are taken in when it has ended, too. */
static void halt(void *self)
{
    (void)self;
}

void halo__log_init(struct halo_log *log, struct halo_port *port)
{
    static const struct halo_service service = {
        .kinds = {[HALO_QUEUE_G2H] = HALO_KIND_BIT(HALO_KIND_LOG)},
        .take = take,
        .halt = halt,
    };

    *log = (struct halo_log){.port = port};
    halo__port_attach(port, &service, log);
}

void halo__log_listen(struct halo_log *log, enum halo_log_level level, uint32_t lines_per_second,
                      halo_logger *logger, void *context)
{
    const uint32_t lines = lines_per_second ? lines_per_second : HALO_LOG_LINES_DEFAULT;

    log->logger = logger;
    log->context = context;
    log->level = level;
    log->line_ns = SECOND_NS / lines;
    log->until = 0;
    log->dropped = 0;
}
