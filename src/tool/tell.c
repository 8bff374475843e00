/*
 * What has gone wrong, said: in words, or for another program in one line of JSON. Numbers of a
 * guest's memory are strings there, for not every reader of JSON has all 64 bits of a number.
 */
#include "symbols.h"
#include "tool.h"
#include <string.h>

#define FRAMES_SHOWN 32
#define REGISTER_COUNT 18

/* The calls of a guest that was ended, with names, where its file has some. */
struct calls {
    struct halo_frame frames[FRAMES_SHOWN + 1];
    struct tool_place places[FRAMES_SHOWN];
    int shown;
    bool has_more;
};

struct value {
    const char *name;
    uint64_t value;
};

/* A call's address is that behind it, which may be the next line's, or the next function's. */
static void find_calls(struct halo_sandbox *box, struct calls *calls)
{
    uint64_t addresses[FRAMES_SHOWN];
    const int count = halo_backtrace(box, calls->frames, FRAMES_SHOWN + 1);

    memset(calls->places, 0, sizeof(calls->places));
    calls->shown = count < FRAMES_SHOWN ? count : FRAMES_SHOWN;
    calls->has_more = count > calls->shown;
    for (int i = 0; i < calls->shown; i++)
        addresses[i] = calls->frames[i].address - (calls->frames[i].kind != HALO_FRAME_AT);
    if (calls->shown <= 0 ||
        !tool_symbols_find(addresses, (uint32_t)calls->shown, calls->places, tool_time_left()))
        return;
    for (int i = 0; i < calls->shown; i++)
        calls->places[i].offset += calls->frames[i].kind != HALO_FRAME_AT;
}

/* By name; false where not all are known. */
static bool find_registers(struct halo_sandbox *box, struct value *values)
{
    struct halo_processor at;

    if (halo_processor(box, &at) || at.known != HALO_PROCESSOR_ALL)
        return false;
    const struct value all[REGISTER_COUNT] = {
        {"rax", at.rax}, {"rbx", at.rbx}, {"rcx", at.rcx},      {"rdx", at.rdx}, {"rsi", at.rsi},
        {"rdi", at.rdi}, {"rbp", at.rbp}, {"rsp", at.rsp},      {"r8", at.r8},   {"r9", at.r9},
        {"r10", at.r10}, {"r11", at.r11}, {"r12", at.r12},      {"r13", at.r13}, {"r14", at.r14},
        {"r15", at.r15}, {"rip", at.rip}, {"rflags", at.rflags}};

    memcpy(values, all, sizeof(all));
    return true;
}

static const char *words_for(const struct halo_sandbox *box, int error)
{
    return *halo_errmsg(box) ? halo_errmsg(box) : halo_strerror(error);
}

/* --- In words --------------------------------------------------------------------------------- */

static void tell_poison(const char *command, const struct halo_poison *poison)
{
    const struct halo_processor *at = &poison->processor;

    tool_say("halo %s: rule: %s;", command, poison->rule);
    if (poison->queue == HALO_POISON_NO_QUEUE)
        fputs(" no queue;", tool_err);
    else
        fprintf(tool_err, " queue %u, id %u;", poison->queue, poison->id);
    if (poison->kind == HALO_POISON_RING)
        fprintf(tool_err, " slot %u;", poison->slot);
    fprintf(tool_err, " words 0x%llx 0x%llx", (unsigned long long)poison->words[0],
            (unsigned long long)poison->words[1]);
    if (at->known)
        fprintf(tool_err, "; rip 0x%llx rax 0x%llx rdi 0x%llx rsi 0x%llx rdx 0x%llx",
                (unsigned long long)at->rip, (unsigned long long)at->rax,
                (unsigned long long)at->rdi, (unsigned long long)at->rsi,
                (unsigned long long)at->rdx);
    if (at->known == HALO_PROCESSOR_ALL)
        fprintf(tool_err, " rsp 0x%llx rbp 0x%llx", (unsigned long long)at->rsp,
                (unsigned long long)at->rbp);
    fputc('\n', tool_err);
}

static void tell_place(const struct tool_place *place)
{
    if (place->function[0])
        fprintf(tool_err, " %s%s+0x%llx", place->is_near ? "near " : "", place->function,
                (unsigned long long)place->offset);
    if (place->file[0])
        fprintf(tool_err, " at %s:%u", place->file, place->line);
}

static void tell_calls(const char *command, struct halo_sandbox *box)
{
    struct calls calls;

    find_calls(box, &calls);
    for (int i = 0; i < calls.shown; i++) {
        tool_say("halo %s: #%d 0x%llx", command, i, (unsigned long long)calls.frames[i].address);
        tell_place(&calls.places[i]);
        fputs(calls.frames[i].kind == HALO_FRAME_GUESS ? " (a guess)\n" : "\n", tool_err);
    }
    if (calls.has_more)
        tool_say("halo %s: ... and more\n", command);
}

static void tell_registers(const char *command, struct halo_sandbox *box)
{
    struct value all[REGISTER_COUNT];

    for (size_t i = 0; i < REGISTER_COUNT && (i > 0 || find_registers(box, all)); i++) {
        if (i % 6 == 0)
            tool_say("halo %s:", command);
        fprintf(tool_err, " %s 0x%llx%s", all[i].name, (unsigned long long)all[i].value,
                i % 6 == 5 ? "\n" : "");
    }
}

void tool_tell(const char *command, struct halo_sandbox *box, int error)
{
    tool_say("halo %s: %s\n", command, words_for(box, error));
    if (halo_poison(box))
        tell_poison(command, halo_poison(box));
    if (error == HALO_EFAULT)
        tell_registers(command, box);
    if (tool_was_ended(error))
        tell_calls(command, box);
    tool_dump_now(box);
}

/* --- As JSON ---------------------------------------------------------------------------------- */

static const char *kind_of(int error)
{
    switch (error) {
    case HALO_EFAULT:
        return "fault";
    case HALO_EPANIC:
        return "panic";
    case HALO_EPOISONED:
        return "rule";
    case HALO_ETIMEDOUT:
        return "time";
    case HALO_ELIMIT:
        return "limit";
    default:
        return "other";
    }
}

/* Text that is fit for a terminal has nothing else to be escaped. */
static void put_text(const char *name, const char *text)
{
    fprintf(tool_err, "\"%s\":\"", name);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', tool_err);
        fputc(*text >= ' ' && *text <= '~' ? *text : '?', tool_err);
    }
    fputc('"', tool_err);
}

static void put_number(const char *name, uint64_t value)
{
    fprintf(tool_err, "\"%s\":\"0x%llx\"", name, (unsigned long long)value);
}

static void put_fault(const struct halo_fault *fault)
{
    fprintf(tool_err, ",\"fault\":{\"vector\":%u,", fault->vector);
    put_text("name", halo_fault_name(fault->vector));
    fprintf(tool_err, ",\"error\":%u,", fault->error);
    put_number("address", fault->address);
    fputc('}', tool_err);
}

static void put_poison(const struct halo_poison *poison)
{
    fputs(",\"rule\":{", tool_err);
    put_text("name", poison->rule);
    if (poison->queue != HALO_POISON_NO_QUEUE)
        fprintf(tool_err, ",\"queue\":%u,\"id\":%u", poison->queue, poison->id);
    if (poison->kind == HALO_POISON_RING)
        fprintf(tool_err, ",\"slot\":%u", poison->slot);
    fprintf(tool_err, ",\"words\":[\"0x%llx\",\"0x%llx\"]}", (unsigned long long)poison->words[0],
            (unsigned long long)poison->words[1]);
}

static void put_call(const struct halo_frame *frame, const struct tool_place *place)
{
    static const char *const kinds[] = {"", "at", "caller", "guess"};

    fputc('{', tool_err);
    put_number("address", frame->address);
    fputc(',', tool_err);
    put_text("kind", kinds[frame->kind]);
    if (place->function[0]) {
        fputc(',', tool_err);
        put_text("function", place->function);
        fprintf(tool_err, ",\"offset\":%llu,\"near\":%s", (unsigned long long)place->offset,
                place->is_near ? "true" : "false");
    }
    if (place->file[0]) {
        fputc(',', tool_err);
        put_text("file", place->file);
        fprintf(tool_err, ",\"line\":%u", place->line);
    }
    fputc('}', tool_err);
}

void tool_tell_json(struct halo_sandbox *box, int error)
{
    struct value all[REGISTER_COUNT];
    struct calls calls;

    fputc('{', tool_err);
    put_text("end", kind_of(error));
    fputc(',', tool_err);
    put_text("message", words_for(box, error));
    fputc(',', tool_err);
    put_text("backend", halo_backend_name(box));
    if (halo_fault(box))
        put_fault(halo_fault(box));
    if (halo_poison(box))
        put_poison(halo_poison(box));
    if (tool_was_ended(error)) {
        for (size_t i = 0; i < REGISTER_COUNT && (i > 0 || find_registers(box, all)); i++) {
            fputs(i == 0 ? ",\"registers\":{" : ",", tool_err);
            put_number(all[i].name, all[i].value);
            fputs(i == REGISTER_COUNT - 1 ? "}" : "", tool_err);
        }
        find_calls(box, &calls);
        fputs(",\"calls\":[", tool_err);
        for (int i = 0; i < calls.shown; i++) {
            fputs(i > 0 ? "," : "", tool_err);
            put_call(&calls.frames[i], &calls.places[i]);
        }
        fprintf(tool_err, "],\"more\":%s", calls.has_more ? "true" : "false");
    }
    fputs("}\n", tool_err);
    tool_dump_now(box);
}

/* --- The guest's log -------------------------------------------------------------------------- */

static const char *const levels[] = {"none", "error", "warn", "info", "debug"};

bool tool_log_level(const char *name, enum halo_log_level *level)
{
    for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(name, levels[i]) == 0) {
            *level = (enum halo_log_level)i;
            return true;
        }
    }
    return false;
}

/* Wherever it goes: a line of the guest's is to look like no other, and like one. */
void tool_print_log(void *context, const struct halo_log_line *line)
{
    (void)context;
    if (line->dropped > 0)
        fprintf(tool_err, "guest: %llu lines were dropped\n", (unsigned long long)line->dropped);
    fprintf(tool_err, "guest: %s: ", levels[line->level]);
    for (size_t i = 0; i < line->len; i++) {
        const unsigned char byte = (unsigned char)line->text[i];

        if ((byte >= ' ' && byte <= '~') || byte == '\t')
            fputc(byte, tool_err);
        else
            fprintf(tool_err, "\\x%02x", byte);
    }
    fputc('\n', tool_err);
}
