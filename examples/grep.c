/*
 * grep: a guest that writes the lines of its standard input that hold PATTERN, a plain text; with
 * -n, and their numbers. Like any grep its exit code is 1 where there are none.
 *
 *     halo run grep.halo [-n] PATTERN < file | head
 */
#include <halo/guest.h>

/* Where `word` first is in `text`, or NULL. */
static const char *find(const char *text, size_t len, const char *word, size_t word_len)
{
    const char *at = text;

    if (word_len == 0)
        return text;
    while (len >= word_len && (at = memchr(text, *word, len - word_len + 1))) {
        if (memcmp(at, word, word_len) == 0)
            return at;
        len -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    return NULL;
}

/* A write that fails ends the program: nothing of it has to be looked at. */
static void write_number(unsigned long number)
{
    char digits[24], *at = digits + sizeof(digits);

    *--at = ':';
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    halo_write(HALO_STDOUT, at, (size_t)(digits + sizeof(digits) - at));
}

int main(int argc, char **argv)
{
    const bool numbered = argc == 3 && strlen(argv[1]) == 2 && memcmp(argv[1], "-n", 2) == 0;
    struct halo_reader in;
    unsigned long number = 0;
    size_t len, word_len;
    bool any = false;
    char *line;
    int got, error;

    if (argc != 2 + numbered)
        halo_panic("usage: grep [-n] PATTERN");
    word_len = strlen(argv[argc - 1]);
    error = halo_reader_open(&in, HALO_STDIN);
    if (error)
        halo_panic(halo_strerror(error));
    while ((got = halo_reader_line(&in, &line, &len))) {
        if (got < 0)
            halo_panic(halo_strerror(got));
        number++;
        if (!find(line, len, argv[argc - 1], word_len))
            continue;
        any = true;
        if (numbered)
            write_number(number);
        line[len] = '\n'; /* where its zero byte is */
        halo_write(HALO_STDOUT, line, len + 1);
    }
    halo_reader_close(&in);
    return !any;
}
