/* A guest, its dump, and what `halo inspect` says of that. */
#ifndef INSPECT_BOX_H
#define INSPECT_BOX_H

#include "ways.h"
#include <fcntl.h>
#include <halo/inside.h>
#include <halo/snapshot.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define SECONDS 1000000000ll
#define FN(...) ((struct halo_signature)HALO_FN(__VA_ARGS__))

static struct halo_sandbox *box;
static const char *guest;
static char path[64], said[1u << 20];
static int pipes[2];

static inline int begin(void **state)
{
    int fd;

    (void)state;
    box = NULL;
    pipes[0] = pipes[1] = -1;
    strcpy(path, "/tmp/test_inspect.XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    halo_close(box);
    for (int i = 0; i < 2; i++) {
        if (pipes[i] >= 0)
            close(pipes[i]);
    }
    return unlink(path);
}

/* --- The guest, its dump, and what is said of it ---------------------------------------------- */

static inline void open_guest(void **state, const char *file, const char *argument)
{
    struct halo_options options = way_options(state);
    const char *const args[] = {"guest", argument};

    options.args = args;
    options.arg_count = argument ? 2 : 1;
    guest = file;
    if (halo_open(&box, file, &options))
        fail_msg("%s", halo_errmsg(box));
}

static inline void dump(uint32_t flags)
{
    const int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    if (halo_dump(box, fd, flags))
        fail_msg("%s", halo_errmsg(box));
    close(fd);
}

/* Run `halo inspect` with these options: its exit code, and what it says, with errors. */
static inline int inspect(const char *options)
{
    char command[1024];
    size_t len = 0, n;
    FILE *from;
    int status;

    (void)snprintf(command, sizeof(command), "%s inspect %s %s 2>&1", HALO, options, path);
    from = popen(command, "re");
    assert_non_null(from);
    while ((n = fread(said + len, 1, sizeof(said) - 1 - len, from)) > 0)
        len += n;
    said[len] = '\0';
    status = pclose(from);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static inline void expect_said(const char *words)
{
    if (!strstr(said, words))
        fail_msg("'%s' is not in: %s", words, said);
}

static inline void expect_why(const char *words)
{
    char options[512];

    (void)snprintf(options, sizeof(options), "--why --guest %s", guest);
    assert_int_equal(inspect(options), 0);
    if (!strchr(said, '\n') || strchr(said, '\n')[1])
        fail_msg("it is more than a line: %s", said);
    expect_said(words);
}

/* Let it run into what its argument says, and look. */
static inline void run_into(void **state, const char *way, int error)
{
    int code;

    open_guest(state, TROUBLE, way);
    assert_int_equal(halo_run(box, error == HALO_ETIMEDOUT ? SECONDS / 5 : 30 * SECONDS, &code),
                     error);
    dump(0);
}

/* It waits for its standard input, a pipe, until its time is over. */
static inline void read_a_pipe(void **state)
{
    int code;

    open_guest(state, CAT, NULL);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(halo_attach(box, HALO_STDIN, halo_end_fd(pipes[0])), 0);
    assert_int_equal(halo_run(box, SECONDS / 5, &code), HALO_ETIMEDOUT);
    dump(0);
}

static inline int function(const char *name, struct halo_signature signature)
{
    const int found = halo_lookup(box, name, &signature);

    if (found < 0)
        fail_msg("%s", halo_errmsg(box));
    return found;
}

#endif
