/* A sentence that is put together piece by piece. */
#include "inspect_say.h"
#include <stdarg.h>
#include <string.h>

void inspect_say(struct sentence *sentence, const char *format, ...)
{
    const size_t left = INSPECT_WHY_MAX - sentence->len;
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(sentence->text + sentence->len, left, format, arguments);
    va_end(arguments);
    sentence->len += n >= 0 && (size_t)n < left ? (size_t)n : left - 1;
}

void inspect_say_age(struct sentence *sentence, uint64_t age_ns)
{
    char text[32];

    if (*inspect_age(age_ns, text))
        inspect_say(sentence, " for %s", text);
}

/* Halo's library in the guest. */
static bool is_library(const struct tool_place *place)
{
    return strncmp(place->function, "halo_", 5) == 0 || strstr(place->file, "src/guest/") ||
           strstr(place->file, "src/queue/");
}

/* The guest's own code, behind that of its library, which waits for it. */
uint32_t inspect_own_frame(const struct inspected *inspected)
{
    for (uint32_t i = 0; i < inspected->picture.frame_count; i++) {
        const struct tool_place *place = &inspected->places[i];

        if (place->function[0] && !place->is_near && !is_library(place))
            return i;
    }
    return 0;
}

/* Of a function without a line, as a C library has them: the first behind it that has one. */
static const struct tool_place *caller_of(const struct inspected *inspected, uint32_t i)
{
    if (!inspected->places[i].function[0] || inspected->places[i].file[0])
        return NULL;
    while (++i < inspected->picture.frame_count) {
        const struct tool_place *place = &inspected->places[i];

        if (place->function[0] && !place->is_near && place->file[0] && !is_library(place))
            return place;
    }
    return NULL;
}

void inspect_say_place(struct sentence *sentence, const struct inspected *inspected,
                       bool is_at_once)
{
    const struct halo_picture *picture = &inspected->picture;
    const uint32_t i = is_at_once ? 0 : inspect_own_frame(inspected);
    const struct tool_place *place = &inspected->places[i];
    const struct tool_place *caller = caller_of(inspected, i);

    if (picture->frame_count == 0)
        return;
    if (place->function[0])
        inspect_say(sentence, " in %s%s", place->is_near ? "or near " : "", place->function);
    if (place->file[0])
        inspect_say(sentence, " at %s:%u", place->file, place->line);
    if (is_at_once || place->function[0])
        inspect_say(sentence, place->function[0] ? " (0x%llx)" : " at 0x%llx",
                    (unsigned long long)picture->frames[i].address);
    if (caller)
        inspect_say(sentence, ", called from %s at %s:%u", caller->function, caller->file,
                    caller->line);
}
