/* halo inspect: what a dump, a snapshot or a live sandbox says of itself. */
#define _GNU_SOURCE
#include "inspect.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char usage[] =
    "usage: halo inspect [OPTIONS] FILE|SOCKET\n"
    "\n"
    "Says in one sentence what a sandbox waits for and why, or why it has ended, and shows the\n"
    "rest of what its host knows of it: calls and streams that are under way, both rings slot by\n"
    "slot, registers, back trace, memory map, counters. FILE is a dump (halo run\n"
    "--dump-on-error, halo_dump) or a snapshot; SOCKET is where a host offers to be asked (halo\n"
    "run --inspect, halo_inspect). Whatever they say is read in a process that can do nothing\n"
    "else.\n"
    "\n"
    "  -a, --all            every slot of the rings, not only those near where the host stands\n"
    "  -g, --guest GUEST    the guest's file: its functions, files and lines are named\n"
    "      --json           one line of JSON\n"
    "      --memory ADDRESS[,LEN]\n"
    "                       of a dump with memory: LEN (256) bytes at ADDRESS, and nothing else\n"
    "      --svg            a drawing of the rings and their messages, in SVG\n"
    "  -w, --why            the sentence, and nothing else\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit codes: 0; 2 wrong use, or a file that cannot be read.\n";

#define JSON 512
#define MEMORY 513
#define SVG 514
#define MEMORY_MAX (1u << 20)

struct inspect_options {
    const char *path, *guest;
    bool all, json, svg, why, help, has_memory;
    uint64_t address, len;
};

static int wrong(const char *what)
{
    tool_say("halo inspect: %s; see 'halo inspect --help'\n", what);
    return TOOL_EXIT_USAGE;
}

static bool parse_memory(const char *text, struct inspect_options *options)
{
    char *end;

    errno = 0;
    options->has_memory = true;
    options->address = strtoull(text, &end, 0);
    options->len = 256;
    if (*end == ',')
        options->len = strtoull(end + 1, &end, 0);
    return !errno && !*end && end != text && options->len <= MEMORY_MAX &&
           options->address <= UINT64_MAX - MEMORY_MAX;
}

static int parse(int argc, char **argv, struct inspect_options *options)
{
    static const struct option longs[] = {
        {"all", no_argument, NULL, 'a'},   {"guest", required_argument, NULL, 'g'},
        {"json", no_argument, NULL, JSON}, {"memory", required_argument, NULL, MEMORY},
        {"svg", no_argument, NULL, SVG},   {"why", no_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},  {NULL, 0, NULL, 0}};
    int option;

    opterr = 0; /* tool_wrong_option tells */
    while ((option = getopt_long(argc, argv, ":ag:wh", longs, NULL)) != -1) {
        switch (option) {
        case 'a':
            options->all = true;
            break;
        case 'g':
            options->guest = optarg;
            break;
        case JSON:
            options->json = true;
            break;
        case SVG:
            options->svg = true;
            break;
        case MEMORY:
            if (!parse_memory(optarg, options))
                return wrong("--memory takes an address, and how many bytes, up to 1 MiB");
            break;
        case 'w':
            options->why = true;
            break;
        case 'h':
            options->help = true;
            return 0;
        default:
            return tool_wrong_option("inspect", argc, argv, option);
        }
    }
    if (optind + 1 != argc)
        return wrong(optind == argc ? "it takes a dump, a snapshot or a socket"
                                    : "one file at a time");
    options->path = argv[optind];
    return 0;
}

/* --- Opening ---------------------------------------------------------------------------------- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = INSPECT_ENTRY_S};

    /* A host that takes no connections, and has as many waiting as there may be, lets others wait.
     */
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    errno = strlen(path) < sizeof(address.sun_path) ? errno : ENAMETOOLONG;
    if (fd < 0 || strlen(path) >= sizeof(address.sun_path))
        return -1;
    strcpy(address.sun_path, path);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

static int open_it(const char *path, bool *is_socket)
{
    struct stat st;

    *is_socket = stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
    return *is_socket ? connect_to(path) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* --- Showing ---------------------------------------------------------------------------------- */

/* A call's address is that behind it, which may be the next line's, or the next function's. */
static void find_places(struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    uint64_t addresses[HALO_PICTURE_FRAMES];

    _Static_assert(HALO_PICTURE_FRAMES <= SYMBOLS_MAX, "all of them are asked for at once");
    for (uint32_t i = 0; i < picture->frame_count; i++)
        addresses[i] = picture->frames[i].address - (picture->frames[i].kind != HALO_FRAME_AT);
    if (picture->frame_count == 0 ||
        !tool_symbols_find(addresses, picture->frame_count, inspected->places, tool_time_left()))
        return;
    for (uint32_t i = 0; i < picture->frame_count; i++)
        inspected->places[i].offset += picture->frames[i].kind != HALO_FRAME_AT;
}

static int show_memory(const struct inspected *inspected, const struct inspect_options *options,
                       int fd)
{
    unsigned char page[HALO_PAGE];
    uint64_t have = UINT64_MAX;

    for (uint64_t at = options->address; at < options->address + options->len; at++) {
        const uint64_t base = at & ~(HALO_PAGE - 1);

        if (base != have && !inspect_page(inspected, fd, base, page)) {
            tool_say("halo inspect: %s: it has no memory at 0x%llx\n", options->path,
                     (unsigned long long)at);
            return TOOL_EXIT_USAGE;
        }
        have = base;
        if ((at - options->address) % 16 == 0)
            fprintf(tool_out, "%s0x%llx ", at > options->address ? "\n" : "",
                    (unsigned long long)at);
        fprintf(tool_out, " %02x", page[at - base]);
    }
    fputc('\n', tool_out);
    return 0;
}

static int show(struct inspected *inspected, const struct inspect_options *options, int fd)
{
    char why[INSPECT_WHY_MAX];

    if (options->has_memory)
        return show_memory(inspected, options, fd);
    find_places(inspected);
    if (options->json) {
        inspect_json(inspected);
    } else if (options->svg) {
        inspect_svg(inspected);
    } else if (options->why) {
        inspect_why(inspected, why);
        fprintf(tool_out, "%s\n", why);
    } else {
        inspect_text(inspected);
    }
    return 0;
}

static int inspect(const struct inspect_options *options)
{
    struct inspected *inspected = calloc(1, sizeof(*inspected));
    bool is_socket;
    int fd, code = 0;

    if (!inspected)
        return wrong("no memory");
    if (options->guest)
        tool_symbols_begin(options->guest);
    inspected->all = options->all;
    fd = open_it(options->path, &is_socket);
    if (fd < 0) {
        tool_say("halo inspect: %s: %s\n", options->path,
                 is_socket && errno == EAGAIN ? INSPECT_NO_ANSWER : strerror(errno));
        code = TOOL_EXIT_USAGE;
    }
    if (!code && !tool_confine_reader())
        code = TOOL_EXIT_USAGE;
    if (!code && !inspect_read(inspected, fd, is_socket)) {
        tool_say("halo inspect: %s: %s\n", options->path, inspected->wrong);
        code = TOOL_EXIT_USAGE;
    }
    if (!code)
        code = show(inspected, options, fd);
    if (fd >= 0)
        close(fd);
    halo__picture_free(&inspected->picture);
    free(inspected);
    return code;
}

int tool_inspect(int argc, char **argv)
{
    struct inspect_options options = {.path = NULL};
    int code = parse(argc, argv, &options);

    if (!code && options.help)
        fputs(usage, tool_out);
    else if (!code)
        code = inspect(&options);
    return tool_printed(options.help ? "" : " inspect", code);
}
