/*
 * SQLite as a guest, in memory, from Debian's archive as it is. Rows come from the host, as lines
 * of standard input or by calls:
 *
 *     seq 1000 | halo run sqlite.halo 'SELECT count(*), sum(value) FROM rows'
 *     halo call sqlite.halo sql.query 'SELECT sqlite_version()'
 */
#include <halo/guest.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 60000

static sqlite3 *database;
static sqlite3_stmt *insert;

__attribute__((constructor)) static void begin(void)
{
    if (sqlite3_open(":memory:", &database) != SQLITE_OK ||
        sqlite3_exec(database, "CREATE TABLE rows (value)", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(database, "INSERT INTO rows VALUES (?)", -1, &insert, NULL) != SQLITE_OK)
        abort();
}

static int add(const char *text, size_t len)
{
    int code = sqlite3_bind_text64(insert, 1, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);

    if (code == SQLITE_OK)
        code = sqlite3_step(insert);
    if (code != SQLITE_DONE)
        return -1;
    return sqlite3_reset(insert) == SQLITE_OK ? 0 : -1;
}

/* A row of a result as a line, values between bars, behind what is there. */
static int append(void *context, int count, char **values, char **names)
{
    char *text = context;
    size_t len = strlen(text);

    (void)names;
    for (int i = 0; i < count; i++) {
        const int more = snprintf(text + len, TEXT_MAX - len, "%s%s%s", i ? "|" : "",
                                  values[i] ? values[i] : "", i + 1 < count ? "" : "\n");

        if (more < 0 || len + (size_t)more >= TEXT_MAX)
            return 1;
        len += (size_t)more;
    }
    return 0;
}

static char text[TEXT_MAX];

HALO_EXPORT(sql_add, "sql.add", HALO_VOID, HALO_STR)
{
    if (add(args[0].str, args[0].len))
        halo_fail(call, 1, sqlite3_errmsg(database));
}

HALO_EXPORT(sql_query, "sql.query", HALO_STR, HALO_STR)
{
    char *query = strndup(args[0].str, args[0].len);

    text[0] = '\0';
    if (!query || sqlite3_exec(database, query, append, text, NULL) != SQLITE_OK)
        halo_fail(call, 1, sqlite3_errmsg(database));
    else
        halo_return(call, halo_str(text));
    free(query);
}

static int failed(const char *what)
{
    fprintf(stderr, "sqlite: %s: %s\n", what, sqlite3_errmsg(database));
    return 1;
}

/* All lines of standard input become rows, in one transaction: 0, or 1 after a message. */
static int read_rows(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;

    if (sqlite3_exec(database, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return failed("begin");
    while ((len = getline(&line, &room, stdin)) >= 0) {
        if (add(line, line[len - 1] == '\n' ? (size_t)len - 1 : (size_t)len))
            return failed("a row");
    }
    free(line);
    if (!feof(stdin)) {
        perror("sqlite: standard input");
        return 1;
    }
    return sqlite3_exec(database, "COMMIT", NULL, NULL, NULL) == SQLITE_OK ? 0 : failed("commit");
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return halo_serve();
    if (read_rows())
        return 1;
    if (sqlite3_exec(database, argv[1], append, text, NULL) != SQLITE_OK)
        return failed("the query");
    if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
        perror("sqlite: standard output");
        return 1;
    }
    return 0;
}
