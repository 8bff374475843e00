/*
 * score: how well texts fit a query, as a function of theirs for rows. A search in a table calls it
 * once for thousands of texts; its host is examples/score_host.c.
 *
 * A text's score is how many of its words are words of the query, of all that it has: 0 to 1.
 * Words are letters and digits, of any case. A text without words has no score.
 */
#include <halo/guest_rows.h>

#define WORDS_MAX 32u

struct word {
    const char *at;
    size_t len;
};

static bool is_of_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* The next word of a text, from *at on; false behind the last one. */
static bool next_word(const char **at, const char *end, struct word *word)
{
    while (*at < end && !is_of_word(**at))
        ++*at;
    word->at = *at;
    while (*at < end && is_of_word(**at))
        ++*at;
    word->len = (size_t)(*at - word->at);
    return word->len > 0;
}

static bool is_same(const struct word *a, const struct word *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++) {
        if (lower(a->at[i]) != lower(b->at[i]))
            return false;
    }
    return true;
}

/* The words of a query; more than WORDS_MAX of them are one too many. */
static uint32_t split(const char *query, size_t len, struct word *words)
{
    const char *at = query;
    struct word word;
    uint32_t count = 0;

    while (next_word(&at, query + len, &word)) {
        if (count == WORDS_MAX)
            return WORDS_MAX + 1;
        words[count++] = word;
    }
    return count;
}

/* Of a text; below 0 for one without words. */
static double score_of(const char *text, size_t len, const struct word *words, uint32_t count)
{
    const char *at = text;
    struct word word;
    size_t all = 0, hits = 0;

    for (; next_word(&at, text + len, &word); all++) {
        for (uint32_t i = 0; i < count; i++) {
            if (is_same(&word, &words[i])) {
                hits++;
                break;
            }
        }
    }
    return all > 0 ? (double)hits / (double)all : -1;
}

/* Texts, and a query: one for all of them, or one for each. */
HALO_EXPORT_ROWS(score, "score.text", HALO_F64, HALO_STR, HALO_STR)
{
    const struct halo_column *texts = &rows->args[0], *queries = &rows->args[1];
    double *result = rows->result;
    struct word words[WORDS_MAX];
    uint32_t count = 0;

    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len;
        const char *text = halo_column_text(queries, i, &len);

        if (i == 0 || !queries->same)
            count = split(text, len, words);
        if (count > WORDS_MAX) {
            if (halo_rows_fail(rows, queries->same ? HALO_ROW_ALL : i, 1,
                               "a query of more than 32 words"))
                return;
            continue;
        }
        text = halo_column_text(texts, i, &len);
        result[i] = score_of(text, len, words, count);
        if (result[i] < 0)
            halo_rows_absent(rows, i);
    }
}
