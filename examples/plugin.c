/*
 * plugin: a plug-in of an editor's, its host is examples/plugin_host.c. It numbers lines, and
 * leaves those out that hold a word that the setting "drop" names.
 */
#include <halo/guest.h>
#include "plugin.h"

HALO_IMPORT(setting, HOST_SETTING);
HALO_IMPORT(tell, HOST_LOG);

static char drop[257]; /* the word, or "" */
static bool is_set_up;
static unsigned dropped, lines;

static bool contains(const char *text, const char *word)
{
    const size_t len = strlen(word);

    for (; len > 0 && strlen(text) >= len; text++) {
        if (memcmp(text, word, len) == 0)
            return true;
    }
    return false;
}

/* Ask the editor once what it wants. Returns whether the call can be served. */
static bool set_up(struct halo_call *call)
{
    struct halo_future answer;

    if (is_set_up)
        return true;
    if (halo_call(&answer, &setting, halo_str("drop")) == HALO_ENAME) {
        is_set_up = true; /* an editor without settings */
    } else if (answer.error) {
        halo_fail(call, 3, answer.text);
    } else if (answer.result.len >= sizeof(drop)) {
        halo_fail(call, 3, "the setting \"drop\" is too long");
    } else {
        memcpy(drop, answer.result.str, answer.result.len + 1);
        is_set_up = true;
    }
    halo_future_free(&answer);
    return is_set_up;
}

/* Tell the editor, once, that lines are missing. Returns whether it has taken that. */
static bool tell_once(struct halo_call *call)
{
    struct halo_future told;

    if (dropped++ > 0 || halo_call(&told, &tell, halo_str("some lines are left out")) == 0)
        return true;
    halo_fail(call, 4, told.text);
    return false;
}

HALO_EXPORT(name, PLUGIN_NAME)
{
    halo_return(call, halo_str("numbers lines"));
}

HALO_EXPORT(line, PLUGIN_LINE)
{
    const size_t len = args[0].len;
    char *text = malloc(len + 12), *at = text;
    unsigned number;

    if (!text) {
        halo_fail(call, 2, "no memory for so long a line");
        return;
    }
    if (!set_up(call)) {
        free(text);
        return;
    }
    if (contains(args[0].str, drop)) {
        if (tell_once(call))
            halo_fail(call, PLUGIN_DROP, "left out");
        free(text);
        return;
    }
    number = ++lines;
    for (unsigned digit = 100000; digit > 0; digit /= 10)
        *at++ = number >= digit ? (char)('0' + number / digit % 10) : ' ';
    *at++ = ' ';
    memcpy(at, args[0].str, len + 1);
    halo_return(call, halo_str(text));
    free(text);
}
