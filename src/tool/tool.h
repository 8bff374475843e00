/*
 * The command, from the inside: a file per sub-command, which knows the public headers of hosts and
 * nothing else of the library.
 *
 *     main.c       the sub-command's name; version and help
 *     run.c        halo run
 *     call.c       halo call
 *     bind.c       halo bind, of prototypes in plain C (bind_read.c, bind_write.c)
 *     input.c      the files that are guests, their standard input, or values
 *     output.c     what is printed; the time limit of that and of all else
 *     escape.c     what of that a terminal is sent
 *     options.c    what both can be told; streams, words and exit codes
 *     confine.c    what it may no longer do once its guest is loaded
 *     snapshot.c   halo snapshot, and what goes on from one
 *     inspect.c    halo inspect, and the files beside it (inspect.h), which alone know more of the
 *                  library than its public headers
 *     dump.c       what is left of a guest that went wrong, as a file
 *     live.c       halo run --inspect
 *     progress.c   how far a long transfer is
 *     trace.c      a trace for Perfetto
 *     profile.c    where the guest spends its time, for flame graphs and pprof (profile_pprof.c)
 *     tell.c       what has gone wrong, in words or as JSON
 *     symbols.c    names for a guest's addresses, from a process of their own (elf_symbols.c,
 *                  lines.c)
 *
 * One run: tool_run reads its options (tool_option), opens the sandbox, gives it the command's open
 * standard streams (tool_attach), runs it, and turns what has become of it into words on standard
 * error and an exit code (tool_exit_code). What a guest wrote is printed by tool_print_guest, since
 * a terminal obeys what it is sent.
 */
#ifndef HALO_SRC_TOOL_H
#define HALO_SRC_TOOL_H

#include <halo/halo.h>
#include <halo/inside.h>
#include <stdio.h>

/* Exit codes besides the guest's own. */
enum tool_exit {
    TOOL_EXIT_FAILED = 1,  /* call: the function failed; what there was could not be written */
    TOOL_EXIT_USAGE = 2,   /* wrong use, a file or a machine that is not as it must be */
    TOOL_EXIT_GUEST = 3,   /* the guest faulted, panicked or broke the protocol */
    TOOL_EXIT_TIMEOUT = 4, /* it did not end in time, or used up what it may */
};

int tool_run(int argc, char **argv);
int tool_snapshot(int argc, char **argv);
int tool_call(int argc, char **argv);
int tool_bind(int argc, char **argv);
int tool_inspect(int argc, char **argv);

/*
 * What the command prints. Within a time limit these take no longer than to it, and a little for
 * what is said there; then no more goes out, and tool_printed says so. tool_err goes out by lines.
 */
extern FILE *tool_out, *tool_err;

bool tool_output_begin(void);

/*
 * A message, or a piece of one. Its names are anybody's choice, so that tool_err shows what cannot
 * be printed as \xHH, wherever it goes; and so it does a line end that is not this piece's last
 * byte: no name looks like another message.
 */
void tool_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on there is so much time, or HALO_FOREVER, for all that this command waits for. */
void tool_limit(int64_t timeout_ns);
int64_t tool_time_left(void);

/*
 * What was printed goes out. Returns `code`; where it is 0 and not all could be written, the exit
 * code of that, after a message. `command` has a blank before it: " run".
 */
int tool_printed(const char *command, int code);

/* Write all of it within the time limit, or a little later: 0, or an errno. */
int tool_put(int fd, const char *bytes, size_t len);

/* Without asking a file system that may not answer. */
bool tool_is_terminal(int fd);

/* halo_open, within the time limit: 0, or an exit code after a message. */
int tool_open(const char *command, struct halo_sandbox **box, const char *path,
              const struct halo_options *options);

#define TOOL_FROM 280 /* its option */

/* The same of a file that halo snapshot has written. */
int tool_open_from(const char *command, struct halo_sandbox **box, const char *path,
                   const struct halo_options *options);

/* Open `path` for reading, within the time limit: 0, or an exit code after a message. */
int tool_open_input(const char *path, int *input);

/*
 * All of a file, with a zero byte behind it, in the same way; a longer one than a value may be is
 * cut one byte behind that. NULL and the exit code after a message. To be freed by tool_free_value.
 */
char *tool_read_value(const char *path, size_t *len, int *code);
void tool_free_value(char *bytes);

/*
 * Value number `which`, from 0, of a signature's type, as it is written on the command line: 0, or
 * an exit code after a message. Reading a file is a part of the call's time. The memory, which is
 * all NULL before, is to be freed in any case.
 */
struct tool_memory {
    char *file, *list;
};

int tool_parse_value(uint32_t which, uint8_t type, const char *text, struct halo_value *value,
                     struct tool_memory *memory);
void tool_free_memory(struct tool_memory *memory);

/* A result of a signature's type, to tool_out; one that the signature has not is not printed. */
void tool_print_value(const struct halo_value *value, uint8_t type);

/* What every command that starts a guest can be told. */
struct tool_options {
    struct halo_options sandbox;
    int64_t timeout_ns;
    const char *trace; /* a file for one, or NULL */
    uint32_t trace_events;
    const char *profile; /* a file for one, or NULL */
    bool stats;
    bool quiet;
    const char *dump; /* --dump-on-error, or NULL */
    bool dump_memory;
};

/* Their letters for getopt, their long names, and their lines of a usage text. */
#define TOOL_SHORTS "b:m:qst:"
#define TOOL_LONGS                                                                                 \
    {"backend", required_argument, NULL, 'b'}, {"memory", required_argument, NULL, 'm'},           \
        {"quiet", no_argument, NULL, 'q'}, {"stats", no_argument, NULL, 's'},                      \
        {"timeout", required_argument, NULL, 't'}, {"stack", required_argument, NULL, TOOL_STACK}, \
        {"transport", required_argument, NULL, TOOL_TRANSPORT},                                    \
        {"queue", required_argument, NULL, TOOL_QUEUE},                                            \
        {"call-queue", required_argument, NULL, TOOL_CALLS},                                       \
        {"pool", required_argument, NULL, TOOL_POOL},                                              \
        {"cpu-limit", required_argument, NULL, TOOL_CPU},                                          \
        {"exit-limit", required_argument, NULL, TOOL_EXITS},                                       \
        {"reserve", no_argument, NULL, TOOL_RESERVE},                                              \
        {"keep-code", no_argument, NULL, TOOL_KEEP_CODE},                                          \
        {"threaded", no_argument, NULL, TOOL_THREADED},                                            \
        {"dump-on-error", required_argument, NULL, TOOL_DUMP},                                     \
        {"dump-memory", no_argument, NULL, TOOL_DUMP_MEMORY},                                      \
        {"profile", required_argument, NULL, TOOL_PROFILE},                                        \
        {"trace", required_argument, NULL, TOOL_TRACE},                                            \
        {"trace-events", required_argument, NULL, TOOL_TRACE_EVENTS},                              \
    {                                                                                              \
        "strict", no_argument, NULL, TOOL_STRICT                                                   \
    }
#define TOOL_TRANSPORT 256
#define TOOL_STACK 257
#define TOOL_STRICT 258
#define TOOL_QUEUE 259
#define TOOL_CALLS 260
#define TOOL_POOL 261
#define TOOL_RESERVE 262
#define TOOL_CPU 263
#define TOOL_EXITS 264
#define TOOL_THREADED 265
#define TOOL_DUMP 266
#define TOOL_DUMP_MEMORY 267
#define TOOL_TRACE 268
#define TOOL_TRACE_EVENTS 269
#define TOOL_PROFILE 270
#define TOOL_KEEP_CODE 271
#define TOOL_USAGE                                                                                 \
    "  -b, --backend KIND   kvm, process, or auto (the default: kvm where it is usable)\n"         \
    "  -m, --memory MIB     memory of the guest, 6 to 1024 MiB (16); 16M, 1G are fine, too\n"      \
    "      --call-queue N   descriptors of the queue to the guest, two for each call (256)\n"      \
    "      --cpu-limit SECS stop the guest after so much processor time\n"                         \
    "      --dump-on-error FILE\n"                                                                 \
    "                       where the guest faults, panics, breaks a rule, is stopped or cannot\n" \
    "                       go on: what halo inspect shows; else FILE stays empty\n"               \
    "      --dump-memory    with the guest's memory in it, secrets and all\n"                      \
    "      --exit-limit N   stop the guest when it leaves for its host so often in a second\n"     \
    "      --keep-code      a program of Linux's: rewrite no place of many system calls\n"         \
    "      --pool KIB       memory for buffers (a quarter of -m, 2 to 4 MiB)\n"                    \
    "      --profile FILE   write where the guest spends its time, by samples of its calls\n"      \
    "      --queue N        descriptors of the queue to the host (as many as the guest takes)\n"   \
    "  -q, --quiet          do not show how far a long transfer is\n"                              \
    "      --reserve        find all of guest memory before the guest begins, or fail\n"           \
    "  -s, --stats          print a table of what it took, on standard error\n"                    \
    "      --stack KIB      stack of the guest, 64 to 524288 KiB (1024)\n"                         \
    "  -t, --timeout SECS   stop the guest after so long; fractions are allowed\n"                 \
    "      --strict         process: do without no wall, and have namespaces besides\n"            \
    "      --threaded       run the guest on a thread of its own, beside the host's\n"             \
    "      --trace FILE     write what host and guest did and when, for ui.perfetto.dev\n"         \
    "      --trace-events N of the host's events keep so many, the newest (65536)\n"               \
    "      --transport KIND ring (the default), or stack: one call for each exit, no streams\n"

/* Seconds, above 0 and with fractions: nanoseconds. */
bool tool_parse_seconds(const char *text, int64_t *ns);

/* Take one of them. 0; TOOL_EXIT_USAGE after a message; -1 where it is none of them. */
int tool_option(const char *command, struct tool_options *options, int option, const char *value);

/*
 * A file that is written later, where nothing can be opened any more; -1 for none: 0, or an exit
 * code after a message. What is written goes out by tool_send_written, which leaves the descriptor
 * to its caller: 0, or an exit code after a message.
 */
int tool_open_written(const char *command, const char *path, int *fd);
int tool_send_written(const char *command, int fd);

/* A trace, where one is asked for: 0, or an exit code after a message; and at the end the code, or
 * another where it could not be written. */
int tool_trace_begin(const char *command, struct halo_sandbox *box,
                     const struct tool_options *options, int *fd);
int tool_trace_end(const char *command, struct halo_sandbox *box, int fd, int code);

/* A profile, where one is asked for, in the same way. */
struct profile;
int tool_profile_begin(const char *command, struct halo_sandbox *box,
                       const struct tool_options *options, struct profile **made);
int tool_profile_end(const char *command, struct halo_sandbox *box, struct profile *profile,
                     int code);

/* What getopt has found wrong with the words is told; TOOL_EXIT_USAGE. */
int tool_wrong_option(const char *command, int argc, char **argv, int option);

/* The exit code for a result of libhalo's; `code` is the guest's own. */
int tool_exit_code(int error, int code);

/* It is an error with which a guest was ended or stopped, for what it did or for how long. */
bool tool_was_ended(int error);

/* What has gone wrong, in words; of a guest that was ended, where it was; of one that broke a rule,
 * with which words. */
void tool_tell(const char *command, struct halo_sandbox *box, int error);

/* A level of a guest's log by its name: false where there is none such; 0 is none of it. */
bool tool_log_level(const char *name, enum halo_log_level *level);

/* Print a line of it, as what a guest chose: nothing in it is obeyed by a terminal. */
void tool_print_log(void *context, const struct halo_log_line *line);

/* Its options, as tool_option; the file of --dump-on-error, where there is to be one: 0, or an exit
 * code after a message; and the dump, once, of a guest that went wrong. */
int tool_dump_option(struct tool_options *options, int option, const char *value);
int tool_dump_begin(const char *command, const struct tool_options *options);
void tool_dump_now(struct halo_sandbox *box);

/* The same as one line of JSON. */
void tool_tell_json(struct halo_sandbox *box, int error);

/*
 * The guest could not write. Where that is because the reader of standard output has left, this
 * command ends as any other would: by SIGPIPE, and without a word.
 */
void tool_leave_with_reader(struct halo_sandbox *box);

/*
 * Print a result that a guest chose. A terminal obeys what it is sent, so that it gets only what
 * can be printed, line ends and tabs; the rest is shown as \xHH. A file or pipe gets the bytes
 * themselves.
 */
void tool_print_guest(const char *bytes, size_t len);

#define TOOL_ESCAPED_MAX 64 /* of a character: four for each byte of it */

/* The first character of these bytes, as a terminal is sent it. Returns how many of them it is. */
size_t tool_escape(const char *bytes, size_t len, char *shown, size_t *shown_len);

/* The command's standard streams become the guest's; one that is closed is EBADF to it. One that a
 * guest had closed when it was kept stays so. */
int tool_attach(struct halo_sandbox *box, int input);

/*
 * From now on this command can do no more than run that sandbox, with the streams that it has.
 * False after a message: where that cannot be had, and `strict` says that no wall is done without.
 */
bool tool_confine(const struct halo_sandbox *box, bool strict);

/* From now on this command can do no more than read what is open, and print. False after a message:
 * then nothing foreign is to be read. */
bool tool_confine_reader(void);

/*
 * --inspect: from now on whoever connects to this path is answered while the guest runs. 0, or an
 * exit code after a message; without effect where the path is NULL. Where what ran the guest has
 * returned this error because somebody is to be answered: he is, and it goes on (true).
 */
int tool_live_begin(struct halo_sandbox *box, const char *path);
/* A listening socket of that path for its user alone, perhaps in place of one that nobody listens
 * at any more; or -1 with errno. */
int tool_listen_at(const char *path, bool replaces);
bool tool_live_answer(int error);
void tool_live_end(void);

/*
 * --gdb: listen at this port, and say so; without effect where it is NULL. And wait for gdb, and
 * have it hold the guest: the time limit begins anew. Between the two the command confines itself,
 * so that nothing takes long behind the second, for gdb is not patient. 0, or an exit code after a
 * message.
 */
int tool_gdb_begin(const char *port);
int tool_gdb_await(struct halo_sandbox *box, int64_t timeout_ns);

/* Shows how far a transfer is, on a terminal, where that is in nobody's way. */
struct tool_progress {
    uint64_t total; /* bytes of the input, or 0 where that is not known */
    double start;   /* seconds */
    bool shown;
};

void tool_progress_begin(struct halo_sandbox *box, struct tool_progress *progress, int input);
void tool_progress_end(const struct tool_progress *progress);

#endif
