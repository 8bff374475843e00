/*
 * --profile FILE: where the guest spends its time, by samples of its calls. A line of FILE is one
 * way of calls, the outermost first, and how many samples had it: what flame graphs are made of.
 * With another ending of its name FILE is a profile for pprof (profile_pprof.c).
 */
#define _GNU_SOURCE
#include "profile.h"
#include "symbols.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Guesses behind the last frame that is none are noise, but for the only ones that there are. */
static uint32_t cut_guesses(const struct halo_frame *frames, uint32_t count)
{
    uint32_t kept = count;

    while (kept > 1 && frames[kept - 1].kind == HALO_FRAME_GUESS)
        kept--;
    return kept > 1 ? kept : count < 3 ? count : 3;
}

static uint64_t hash(const struct profile_stack *stack)
{
    uint64_t value = stack->runs;

    for (uint32_t i = 0; i < stack->count; i++)
        value = (value ^ stack->addresses[i]) * 0x9e3779b97f4a7c15;
    return value ^ value >> 29;
}

static bool is_same(const struct profile_stack *a, const struct profile_stack *b)
{
    return a->runs == b->runs && a->count == b->count &&
           memcmp(a->addresses, b->addresses, a->count * sizeof(a->addresses[0])) == 0;
}

/* The place of such calls in the table, or of a free one; NULL where it is full. */
static struct profile_stack *find(struct profile *profile, const struct profile_stack *wanted)
{
    uint64_t place = hash(wanted);

    for (uint32_t i = 0; i < PROFILE_STACKS; i++, place++) {
        struct profile_stack *stack = &profile->stacks[place % PROFILE_STACKS];

        if (stack->samples == 0 || is_same(stack, wanted))
            return stack;
    }
    return NULL;
}

static void take(struct halo_sandbox *box, bool runs, void *context)
{
    struct profile *profile = context;
    struct halo_frame frames[PROFILE_DEPTH];
    struct profile_stack wanted = {.runs = runs}, *stack;
    const int count = halo_backtrace(box, frames, PROFILE_DEPTH);

    profile->samples++;
    wanted.count = count > 0 ? cut_guesses(frames, (uint32_t)count) : 0;
    for (uint32_t i = 0; i < wanted.count; i++)
        wanted.addresses[i] = frames[i].address - (i > 0); /* the call, not what is behind it */
    stack = profile->used < PROFILE_STACKS / 2 ? find(profile, &wanted) : NULL;
    if (!stack) {
        profile->lost++;
        return;
    }
    if (stack->samples++ == 0) {
        const uint64_t samples = stack->samples;

        *stack = wanted;
        stack->samples = samples;
        profile->used++;
    }
}

int tool_profile_begin(const char *command, struct halo_sandbox *box,
                       const struct tool_options *options, struct profile **made)
{
    struct profile *profile;
    int code;

    *made = NULL;
    if (!options->profile)
        return 0;
    profile = calloc(1, sizeof(*profile));
    if (profile)
        profile->stacks = calloc(PROFILE_STACKS, sizeof(*profile->stacks));
    if (!profile || !profile->stacks) {
        free(profile);
        tool_say("halo %s: no memory\n", command);
        return TOOL_EXIT_USAGE;
    }
    profile->is_pprof = tool_is_pprof(options->profile);
    code = tool_open_written(command, options->profile, &profile->fd);
    if (!code && halo_sample(box, PROFILE_NS, take, profile)) {
        tool_say("halo %s: %s\n", command, halo_errmsg(box));
        close(profile->fd);
        code = TOOL_EXIT_USAGE;
    }
    if (code) {
        free(profile->stacks);
        free(profile);
        return code;
    }
    *made = profile;
    return 0;
}

/* --- Names ------------------------------------------------------------------------------------ */

/* Each address once, in their order. */
static bool collect(struct profile *profile)
{
    uint32_t count = 0, kept = 0;

    for (uint32_t i = 0; i < PROFILE_STACKS; i++)
        count += profile->stacks[i].samples ? profile->stacks[i].count : 0;
    profile->names = calloc(count + 1u, sizeof(*profile->names));
    if (!profile->names)
        return false;
    count = 0;
    for (uint32_t i = 0; i < PROFILE_STACKS; i++) {
        const struct profile_stack *stack = &profile->stacks[i];

        for (uint32_t k = 0; stack->samples && k < stack->count; k++)
            profile->names[count++].address = stack->addresses[k];
    }
    qsort(profile->names, count, sizeof(*profile->names), tool_compare_names);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || profile->names[kept - 1].address != profile->names[i].address)
            profile->names[kept++] = profile->names[i];
    }
    profile->name_count = kept;
    return true;
}

/* What is known of them, from who reads the guest's file; else they are numbers. */
static void name_all(struct profile *profile)
{
    static struct tool_place places[SYMBOLS_MAX];
    uint64_t addresses[SYMBOLS_MAX];

    for (uint32_t i = 0; i < profile->name_count;) {
        uint32_t count = 0;
        bool is_known;

        for (; count < SYMBOLS_MAX && i + count < profile->name_count; count++)
            addresses[count] = profile->names[i + count].address;
        is_known = tool_symbols_find(addresses, count, places, tool_time_left());
        for (uint32_t k = 0; k < count; k++, i++) {
            struct profile_name *name = &profile->names[i];

            if (is_known && places[k].function[0])
                (void)snprintf(name->text, sizeof(name->text), "%s%s",
                               places[k].is_near ? "near " : "", places[k].function);
            else
                (void)snprintf(name->text, sizeof(name->text), "0x%llx",
                               (unsigned long long)name->address);
            if (is_known) {
                memcpy(name->file, places[k].file, sizeof(name->file));
                name->line = places[k].line;
            }
            for (char *at = name->text; *at; at++) /* what separates calls, and them from numbers */
                *at = *at == ';' ? ':' : *at;
        }
    }
}

/* --- The file --------------------------------------------------------------------------------- */

/* A line of the file, to be freed; NULL where there is no memory. */
struct line {
    char *text;
    uint64_t samples;
};

static char *make_text(const struct profile *profile, const struct profile_stack *stack)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = open_memstream(&text, &len);

    if (!memory)
        return NULL;
    for (uint32_t i = stack->count; i-- > 0;)
        fprintf(memory, "%s;", tool_profile_name(profile, stack->addresses[i])->text);
    fputs(stack->runs ? "[runs]" : "[waits]", memory);
    if (fclose(memory) == 0)
        return text;
    free(text);
    return NULL;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

/* Each way of calls once, whatever addresses it had. */
static bool write_lines(const struct profile *profile, FILE *file)
{
    struct line *lines = calloc(profile->used + 1u, sizeof(*lines));
    uint32_t count = 0;
    bool is_good = lines;

    for (uint32_t i = 0; i < PROFILE_STACKS && is_good; i++) {
        if (!profile->stacks[i].samples)
            continue;
        lines[count].text = make_text(profile, &profile->stacks[i]);
        lines[count].samples = profile->stacks[i].samples;
        is_good = lines[count].text;
        count += is_good;
    }
    if (is_good)
        qsort(lines, count, sizeof(*lines), compare_lines);
    for (uint32_t i = 0; i < count && is_good; i++) {
        if (i + 1 < count && strcmp(lines[i].text, lines[i + 1].text) == 0)
            lines[i + 1].samples += lines[i].samples;
        else
            fprintf(file, "%s %llu\n", lines[i].text, (unsigned long long)lines[i].samples);
    }
    if (is_good && profile->lost)
        fprintf(file, "[others] %llu\n", (unsigned long long)profile->lost);
    while (count > 0)
        free(lines[--count].text);
    free(lines);
    return is_good;
}

int tool_profile_end(const char *command, struct halo_sandbox *box, struct profile *profile,
                     int code)
{
    FILE *file;
    bool is_good;
    int sent = 0;

    if (!profile)
        return code;
    (void)halo_sample(box, 0, NULL, NULL);
    file = fdopen(profile->fd, "w");
    is_good = file && collect(profile);
    if (is_good) {
        name_all(profile);
        is_good =
            profile->is_pprof ? tool_profile_pprof(profile, file) : write_lines(profile, file);
    }
    if (is_good && fflush(file) == 0)
        sent = tool_send_written(command, profile->fd);
    if (file ? fclose(file) != 0 || !is_good : true) {
        tool_say("halo %s: the profile cannot be written\n", command);
        code = code ? code : TOOL_EXIT_FAILED;
    }
    free(profile->names);
    free(profile->stacks);
    free(profile);
    return code ? code : sent;
}
