/* The dump of a guest that went wrong: --dump-on-error. Its file is opened before the guest is run,
 * for nothing can be opened by a command that has confined itself. */
#include "tool.h"
#include <unistd.h>

static int dump = -1;
static uint32_t dump_flags;
static const char *dump_command;

int tool_dump_option(struct tool_options *options, int option, const char *value)
{
    switch (option) {
    case TOOL_DUMP:
        options->dump = value;
        return 0;
    case TOOL_DUMP_MEMORY:
        options->dump_memory = true;
        return 0;
    default:
        return -1;
    }
}

int tool_dump_begin(const char *command, const struct tool_options *options)
{
    if (!options->dump)
        return 0;
    dump_command = command;
    dump_flags = options->dump_memory ? HALO_DUMP_MEMORY : 0;
    return tool_open_written(command, options->dump, &dump);
}

void tool_dump_now(struct halo_sandbox *box)
{
    if (dump < 0)
        return;
    if (halo_dump(box, dump, dump_flags))
        tool_say("halo: %s\n", halo_errmsg(box));
    (void)tool_send_written(dump_command, dump);
    (void)close(dump);
    dump = -1;
}
