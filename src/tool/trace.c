/* --trace FILE: what host and guest did and when, for Perfetto. */
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <halo/trace.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int tool_open_written(const char *command, const char *path, int *fd)
{
    *fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600)
               : -1;
    if (!path || *fd >= 0)
        return 0;
    fprintf(tool_err, "halo %s: %s: %s\n", command, path, strerror(errno));
    return TOOL_EXIT_USAGE;
}

int tool_trace_begin(const char *command, struct halo_sandbox *box,
                     const struct tool_options *options, int *fd)
{
    const int code = tool_open_written(command, options->trace, fd);

    if (code || *fd < 0)
        return code;
    if (!halo_trace_begin(box, options->trace_events))
        return 0;
    fprintf(tool_err, "halo %s: %s\n", command, halo_errmsg(box));
    return TOOL_EXIT_USAGE;
}

int tool_trace_end(const char *command, struct halo_sandbox *box, int fd, int code)
{
    if (fd < 0)
        return code;
    if (halo_trace_write(box, fd)) {
        fprintf(tool_err, "halo %s: %s\n", command, halo_errmsg(box));
        code = code ? code : TOOL_EXIT_FAILED;
    }
    close(fd);
    return code;
}
