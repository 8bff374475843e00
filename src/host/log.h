/* A service: the guest's log. Its lines come one way, and are given to the host's program at once.
 */
#ifndef HALO_SRC_LOG_H
#define HALO_SRC_LOG_H

#include <halo/inside.h>
#include "port.h"

struct halo_log {
    struct halo_port *port;
    halo_logger *logger; /* or NULL */
    void *context;
    enum halo_log_level level;
    int64_t line_ns;  /* what each line takes of a second, */
    int64_t until;    /* of which so much is used up, by the clock */
    uint64_t dropped; /* since the last line */
    uint64_t all_given, all_dropped;
};

void halo__log_init(struct halo_log *log, struct halo_port *port);
void halo__log_listen(struct halo_log *log, enum halo_log_level level, uint32_t lines_per_second,
                      halo_logger *logger, void *context);

#endif
