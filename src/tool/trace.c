/* --trace FILE: what host and guest did and when, for Perfetto. */
#include "tool.h"
#include <halo/trace.h>
#include <stdio.h>
#include <unistd.h>

int tool_trace_begin(const char *command, struct halo_sandbox *box,
                     const struct tool_options *options, int *fd)
{
    const int code = tool_open_written(command, options->trace, fd);

    if (code || *fd < 0)
        return code;
    if (!halo_trace_begin(box, options->trace_events))
        return 0;
    tool_say("halo %s: %s\n", command, halo_errmsg(box));
    return TOOL_EXIT_USAGE;
}

int tool_trace_end(const char *command, struct halo_sandbox *box, int fd, int code)
{
    int sent;

    if (fd < 0)
        return code;
    if (halo_trace_write(box, fd)) {
        tool_say("halo %s: %s\n", command, halo_errmsg(box));
        code = code ? code : TOOL_EXIT_FAILED;
    }
    sent = tool_send_written(command, fd);
    close(fd);
    return code ? code : sent;
}
