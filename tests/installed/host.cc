// A host in C++: every form of the headers that C++ can use. host GUEST
#include <cstdio>
#include <cstring>
#include <halo/draft.h>
#include <halo/executor.h>
#include <halo/fleet.h>
#include <halo/halo.h>
#include <halo/halves.h>
#include <halo/inside.h>
#include <halo/receiver.h>
#include <halo/rows.h>
#include <halo/sender.h>
#include <halo/snapshot.h>
#include <poll.h>
#include <string>

static void ask(struct halo_call *call, const struct halo_value *args, void *)
{
    halo_return(call, halo_i64(args[0].i64 + static_cast<int64_t>(args[1].len)));
}

static void nothing(struct halo_call *call, const struct halo_value *, void *context)
{
    halo_return(call, halo_i64(*static_cast<int64_t *>(context)));
}

// Compiled, not run: a chain, whose parts are in order.
int chain(struct halo_driver *driver, struct halo_buf *room)
{
    const auto begun = halo_draft_begin(room, 4);
    const auto asked = halo_draft_add_readable(halo_draft_add_readable(begun, 1, 1), 2, 2);

    return halo_draft_submit(driver, halo_draft_add_writable(asked, 3, 3));
}

// How a guest's program gets to its host.
enum class From { path, memory, descriptor };

static int open_from(halo_sandbox **box, const char *guest, From from,
                     const struct halo_options *options)
{
    std::FILE *file = std::fopen(guest, "rb");
    static char bytes[4 << 20];
    const size_t len = file ? std::fread(bytes, 1, sizeof(bytes), file) : 0;
    int error;

    if (from == From::memory)
        error = halo_open_memory(box, bytes, len, options);
    else if (from == From::descriptor) // which stands at the file's end
        error = halo_open_fd(box, file ? fileno(file) : -1, options);
    else
        error = halo_open(box, guest, options);
    if (file)
        std::fclose(file);
    return error;
}

// Text by rows; the last one is absent.
static int shout(halo_sandbox *box)
{
    static const halo_signature type = HALO_FN(HALO_STR, HALO_STR);
    static const int32_t offsets[] = {0, 2, 5, 6};
    static const unsigned char validity[] = {3};
    const halo_column column = halo_texts(HALO_STR, offsets, "no!yes", validity);
    static halo_rows rows;
    size_t len = 0;
    int wrong = halo_call_rows(box, &rows, halo_lookup(box, "cxx.shout", &type), HALO_FOREVER, 3,
                               &column, 1);

    wrong = wrong || std::strncmp(halo_column_text(&rows.result, 1, &len), "!y", 2) || len != 2 ||
            halo_column_has(&rows.result, 2);
    halo_rows_free(&rows);
    return wrong;
}

// The bytes of all texts, in two slices.
static int total(halo_sandbox *box)
{
    static const halo_signature type = HALO_FN(HALO_I64, HALO_STR);
    static const int32_t offsets[] = {0, 2, 5, 6};
    halo_column column = halo_texts(HALO_STR, offsets, "no!yes", nullptr);
    const int function = halo_lookup(box, "cxx.total", &type);
    static halo_rows rows;
    int wrong;

    (void)halo_call_rows_start(box, &rows, function, 2, &column, 1, HALO_ROWS_MORE);
    wrong = halo_wait(&rows.future, HALO_FOREVER);
    column.first = 2;
    wrong = wrong || halo_call_rows(box, &rows, function, HALO_FOREVER, 1, &column, 1) ||
            *static_cast<const int64_t *>(rows.result.values) != 6;
    halo_rows_free(&rows);
    return wrong;
}

// It is called, and brought back to before that.
static int twice_in_turn(halo_sandbox *box)
{
    static const halo_signature type = HALO_FN(HALO_I64);
    int64_t last = 0;
    struct halo_snapshot *snapshot;
    int wrong = halo_snapshot(box, &snapshot);

    for (int i = 0; i < 2 && !wrong; i++) {
        struct halo_future answer;

        wrong = halo_call(box, &answer, halo_lookup(box, "cxx.count", &type), HALO_FOREVER) ||
                (i > 0 && answer.result.i64 != last);
        last = answer.result.i64;
        halo_future_free(&answer);
        wrong = wrong || halo_restore(box, snapshot);
    }
    halo_snapshot_free(snapshot);
    return wrong;
}

static int64_t thousand = 1000;

static int provide(halo_sandbox *box, void *)
{
    static const halo_signature ask_type = HALO_FN(HALO_I64, HALO_I64, HALO_STR);
    static const halo_signature nothing_type = HALO_FN(HALO_I64);
    const int error = halo_provide(box, "host.ask", &ask_type, ask, nullptr);

    return error ? error : halo_provide(box, "host.nothing", &nothing_type, nothing, &thousand);
}

// Each that is taken counts from where the snapshot does.
static int one_of_a_fleet(halo_sandbox *kept)
{
    static const halo_signature type = HALO_FN(HALO_I64);
    struct halo_fleet_options options = {};
    struct halo_snapshot *snapshot;
    struct halo_fleet *fleet;
    halo_sandbox *box;
    int64_t first = 0;
    int wrong;

    options.max = 1;
    options.prepare = provide;
    if (halo_snapshot(kept, &snapshot) || halo_fleet_open(&fleet, &options))
        return 1;
    wrong = halo_fleet_warm(fleet, snapshot, 1);
    for (int i = 0; i < 2 && !wrong; i++) {
        struct halo_future answer;

        wrong = halo_fleet_take(fleet, snapshot, HALO_FOREVER, nullptr, &box) ||
                halo_call(box, &answer, halo_lookup(box, "cxx.count", &type), HALO_FOREVER);
        if (wrong)
            break;
        wrong = i > 0 && answer.result.i64 != first;
        first = answer.result.i64;
        halo_future_free(&answer);
        wrong |= halo_fleet_give(fleet, box);
    }
    halo_fleet_close(fleet);
    halo_snapshot_free(snapshot);
    return wrong;
}

static void answered(struct halo_task *task, void *count)
{
    *static_cast<int64_t *>(count) = task->error ? -1 : task->future.result.i64;
    halo_future_free(&task->future);
}

// A worker calls it, and this thread is told.
static int once_by_an_executor(halo_sandbox *box)
{
    static const halo_signature type = HALO_FN(HALO_I64);
    const int function = halo_lookup(box, "cxx.count", &type);
    struct halo_executor *executor;
    struct halo_task task = {};
    int64_t count = 0;

    task.done = answered;
    task.context = &count;
    if (halo_executor_open(&executor, 1) || halo_executor_attach(executor, box) ||
        halo_submit(box, &task, function, nullptr, 0, HALO_FOREVER))
        return 1;
    while (count == 0) {
        struct pollfd ready = {halo_fd(executor), POLLIN, 0};

        (void)poll(&ready, 1, -1);
        (void)halo_turn(executor);
    }
    return halo_executor_detach(box) || halo_executor_close(executor) || count != 1;
}

static void hear(void *context, const struct halo_log_line *line)
{
    static_cast<std::string *>(context)->append(line->text, line->len);
}

// What it logs is heard; and where it waits can be seen.
static int look(halo_sandbox *box, const std::string &heard)
{
    struct halo_processor processor;
    struct halo_frame frames[4];

    return heard != "counting" || halo_processor(box, &processor) ||
           processor.known == HALO_PROCESSOR_NOTHING || halo_backtrace(box, frames, 4) < 1 ||
           frames[0].kind != HALO_FRAME_AT || halo_interrupt(box) != HALO_ESTATE;
}

static int talk(const char *guest, enum halo_backend_choice backend, From from)
{
    static const halo_signature twice_type = HALO_FN(HALO_I64, HALO_I64);
    struct halo_options options = {};
    struct halo_future answer;
    halo_sandbox *box;
    std::string heard;
    char said[64] = "";

    options.backend = backend;
    options.threaded = from == From::memory;
    if (open_from(&box, guest, from, &options) ||
        halo_attach(box, HALO_STDOUT, halo_end_memory(nullptr, 0, said, sizeof(said) - 1)) ||
        provide(box, nullptr) || halo_log(box, HALO_LOG_INFO, 0, hear, &heard) ||
        halo_serve_begin(box, HALO_FOREVER) ||
        halo_call(box, &answer, halo_lookup(box, "cxx.twice", &twice_type), HALO_FOREVER,
                  halo_i64(20)) ||
        shout(box) || total(box) || look(box, heard) || twice_in_turn(box) || one_of_a_fleet(box) ||
        (!options.threaded && once_by_an_executor(box))) { // it has threads of its own for guests
        std::puts(halo_errmsg(box));
        return 1;
    }
    std::printf("%s%lld\n", said, static_cast<long long>(answer.result.i64));
    halo_future_free(&answer);
    halo_close(box);
    return 0;
}

// What is no program is an error in words, wherever it comes from.
static int refuses()
{
    halo_sandbox *box;
    int wrong = halo_open_memory(&box, "no program", 10, nullptr) != HALO_EGUEST;

    wrong |= !std::strstr(halo_errmsg(box), "the program: ");
    halo_close(box);
    wrong |= halo_open_memory(&box, nullptr, 0, nullptr) != HALO_EGUEST;
    halo_close(box);
    wrong |= halo_open_fd(&box, -1, nullptr) != HALO_EFILE;
    halo_close(box);
    return wrong;
}

int main(int, char **argv)
{
    return talk(argv[1], HALO_BACKEND_AUTO, From::path) ||
           talk(argv[1], HALO_BACKEND_PROCESS, From::memory) ||
           talk(argv[1], HALO_BACKEND_AUTO, From::descriptor) || refuses();
}
