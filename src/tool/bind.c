/* halo bind: read a header, and print what both sides include. */
#include "bind.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "tool.h"

static const char usage[] =
    "usage: halo bind [OPTIONS] HEADER > BOUND\n"
    "\n"
    "Read prototypes in plain C and write a header with typed functions for both sides: the guest\n"
    "has the functions, and the host calls them. man halo-bind has the types and an example.\n"
    "\n"
    "  -H, --host           the host has the functions, and the guest calls them\n"
    "  -n, --name NAME      what their names begin with (the header's name)\n"
    "  -h, --help           this text\n";

/* All of a file, with its length; NULL after a message. */
static char *read_header(const char *path, size_t *len)
{
    char *text = malloc(BIND_INPUT_MAX + 1);
    FILE *file = fopen(path, "re");

    if (text && file) {
        errno = 0;
        *len = fread(text, 1, BIND_INPUT_MAX + 1, file);
        if (!ferror(file) && *len <= BIND_INPUT_MAX) {
            (void)fclose(file);
            return text;
        }
        if (!ferror(file))
            errno = EFBIG;
    }
    tool_say("halo bind: %s: %s\n", path, strerror(errno));
    if (file)
        (void)fclose(file);
    free(text);
    return NULL;
}

/* The file's name without folders and ending; what no name has becomes '_'. */
static void stem_of(const char *path, char *stem)
{
    const char *slash = strrchr(path, '/'), *at = slash ? slash + 1 : path;
    size_t len = 0;

    for (; *at && *at != '.' && len < BIND_NAME_MAX; at++) {
        const bool fits =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');

        stem[len++] = fits ? *at : '_';
    }
    stem[len] = '\0';
}

static int bind_header(struct bind_header *header, const char *path)
{
    size_t len;
    char *text;
    int error;

    if (!bind_name_is_free(header->stem)) {
        tool_say("halo bind: '%s' cannot begin names in C and C++: --name says another\n",
                 header->stem);
        return TOOL_EXIT_USAGE;
    }
    text = read_header(path, &len);
    if (!text)
        return TOOL_EXIT_USAGE;
    error = bind_read(header, text, len);
    free(text);
    if (error) {
        tool_say("%s:%u: %s\n", path, header->line, header->words);
        return TOOL_EXIT_USAGE;
    }
    bind_write(header, tool_out);
    return 0;
}

int tool_bind(int argc, char **argv)
{
    static const struct option longs[] = {{"host", no_argument, NULL, 'H'},
                                          {"name", required_argument, NULL, 'n'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    struct bind_header *header = calloc(1, sizeof(*header));
    const char *name = NULL;
    bool of_host = false;
    int option, code;

    opterr = 0; /* tool_wrong_option tells */
    while ((option = getopt_long(argc, argv, "+:Hn:h", longs, NULL)) != -1) {
        if (option == 'n') {
            name = optarg;
        } else if (option == 'H') {
            of_host = true;
        } else {
            free(header);
            if (option != 'h')
                return tool_printed("", tool_wrong_option("bind", argc, argv, option));
            fputs(usage, tool_out);
            return tool_printed("", 0);
        }
    }
    if (optind != argc - 1 || !header || (name && strlen(name) > BIND_NAME_MAX)) {
        fputs(!header              ? "halo bind: there is no memory\n"
              : optind != argc - 1 ? "halo bind: which header? One; see 'halo bind --help'\n"
                                   : "halo bind: --name is too long: at most 63 characters\n",
              tool_err);
        free(header);
        return tool_printed(" bind", TOOL_EXIT_USAGE);
    }
    header->of_host = of_host;
    if (name)
        memcpy(header->stem, name, strlen(name) + 1);
    else
        stem_of(argv[optind], header->stem);
    code = bind_header(header, argv[optind]);
    free(header);
    return tool_printed(" bind", code);
}
