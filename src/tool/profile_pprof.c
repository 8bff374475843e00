/*
 * A profile as pprof reads it: the message Profile of its profile.proto, not compressed. Of that
 * only what is needed: a sample has how many there were, and for how long; a location is an
 * address, a function, and a line.
 */
#include "profile.h"
#include <stdlib.h>
#include <string.h>

struct bytes {
    unsigned char *at;
    size_t len, size;
    bool is_short; /* of memory */
};

static void put(struct bytes *bytes, const void *from, size_t len)
{
    if (len > bytes->size - bytes->len) {
        const size_t size = 2 * bytes->size + len + 256;
        unsigned char *more = realloc(bytes->at, size);

        if (!more) {
            bytes->is_short = true;
            return;
        }
        bytes->at = more;
        bytes->size = size;
    }
    memcpy(bytes->at + bytes->len, from, len);
    bytes->len += len;
}

static void put_varint(struct bytes *bytes, uint64_t value)
{
    do {
        const unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

        put(bytes, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void put_number(struct bytes *bytes, uint32_t field, uint64_t value)
{
    put_varint(bytes, field << 3);
    put_varint(bytes, value);
}

static void put_part(struct bytes *bytes, uint32_t field, const void *from, size_t len)
{
    put_varint(bytes, field << 3 | 2);
    put_varint(bytes, len);
    put(bytes, from, len);
}

/* A message inside: what was put into `part`, which is empty again. */
static void put_message(struct bytes *bytes, uint32_t field, struct bytes *part)
{
    put_part(bytes, field, part->at, part->len);
    bytes->is_short |= part->is_short;
    part->len = 0;
}

/* Strings are numbers in a table: the first is "", then those of the types, then names and files.
 */
enum { SAMPLES = 1, COUNT, WALL, NANOSECONDS, WAITS, FIRST };

static const char *const fixed[] = {"", "samples", "count", "wall", "nanoseconds", "[waits]"};

bool tool_is_pprof(const char *path)
{
    const char *ending = strrchr(path, '.');

    return ending && (strcmp(ending, ".pb") == 0 || strcmp(ending, ".pprof") == 0);
}

static void put_type(struct bytes *bytes, uint32_t field, uint64_t type, uint64_t unit)
{
    struct bytes part = {0};

    put_number(&part, 1, type);
    put_number(&part, 2, unit);
    put_message(bytes, field, &part);
    free(part.at);
}

/* The location of a guest that waits is behind those of all addresses. */
static void put_samples(const struct profile *profile, struct bytes *bytes)
{
    struct bytes part = {0};

    for (uint32_t i = 0; i < PROFILE_STACKS; i++) {
        const struct profile_stack *stack = &profile->stacks[i];

        if (!stack->samples)
            continue;
        if (!stack->runs)
            put_number(&part, 1, profile->name_count + 1u);
        for (uint32_t k = 0; k < stack->count; k++) {
            const struct profile_name *name = tool_profile_name(profile, stack->addresses[k]);

            put_number(&part, 1, (uint64_t)(name - profile->names) + 1);
        }
        put_number(&part, 2, stack->samples);
        put_number(&part, 2, stack->samples * PROFILE_NS);
        put_message(bytes, 2, &part);
    }
    free(part.at);
}

/* Each address is a location with a function of its own: pprof joins those of one name. */
static void put_locations(const struct profile *profile, struct bytes *bytes)
{
    struct bytes part = {0}, line = {0};

    for (uint32_t i = 0; i <= profile->name_count; i++) {
        const bool is_wait = i == profile->name_count;

        put_number(&part, 1, i + 1u);
        if (!is_wait)
            put_number(&part, 3, profile->names[i].address);
        put_number(&line, 1, i + 1u);
        put_number(&line, 2, is_wait ? 0 : profile->names[i].line);
        put_message(&part, 4, &line);
        put_message(bytes, 4, &part);
    }
    for (uint32_t i = 0; i <= profile->name_count; i++) {
        const bool is_wait = i == profile->name_count;

        put_number(&part, 1, i + 1u);
        put_number(&part, 2, is_wait ? WAITS : FIRST + 2 * i);
        put_number(&part, 4, is_wait ? 0 : FIRST + 2 * i + 1);
        put_message(bytes, 5, &part);
    }
    free(part.at);
    free(line.at);
}

bool tool_profile_pprof(const struct profile *profile, FILE *file)
{
    struct bytes bytes = {0};
    bool is_good;

    put_type(&bytes, 1, SAMPLES, COUNT);
    put_type(&bytes, 1, WALL, NANOSECONDS);
    put_samples(profile, &bytes);
    put_locations(profile, &bytes);
    for (uint32_t i = 0; i < FIRST; i++)
        put_part(&bytes, 6, fixed[i], strlen(fixed[i]));
    for (uint32_t i = 0; i < profile->name_count; i++) {
        put_part(&bytes, 6, profile->names[i].text, strlen(profile->names[i].text));
        put_part(&bytes, 6, profile->names[i].file, strlen(profile->names[i].file));
    }
    put_type(&bytes, 11, WALL, NANOSECONDS);
    put_number(&bytes, 12, PROFILE_NS);
    is_good = !bytes.is_short && fwrite(bytes.at, 1, bytes.len, file) == bytes.len;
    free(bytes.at);
    return is_good;
}
