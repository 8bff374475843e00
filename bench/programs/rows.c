/* SQLite, as Debian's archive has it: rows PATH COUNT puts so many rows into a table there, and
 * asks for them. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int ask(void *context, int count, char **values, char **names)
{
    (void)context;
    (void)count;
    (void)names;
    printf("%s %s\n", values[0], values[1]);
    return 0;
}

int main(int argc, char **argv)
{
    const long count = argc < 3 ? 0 : atol(argv[2]);
    sqlite3_stmt *insert;
    sqlite3 *database;

    if (argc < 3 || sqlite3_open(argv[1], &database) ||
        sqlite3_exec(database, "CREATE TABLE rows (number INTEGER, text TEXT)", NULL, NULL, NULL) ||
        sqlite3_prepare_v2(database, "INSERT INTO rows VALUES (?, 'row ' || ?1)", -1, &insert,
                           NULL))
        return 1;
    for (long i = 0; i < count; i++) {
        if (i % 100 == 0 && sqlite3_exec(database, "BEGIN", NULL, NULL, NULL))
            return 1;
        if (sqlite3_bind_int64(insert, 1, i) || sqlite3_step(insert) != SQLITE_DONE ||
            sqlite3_reset(insert))
            return 1;
        if (i % 100 == 99 && sqlite3_exec(database, "COMMIT", NULL, NULL, NULL))
            return 1;
    }
    if (sqlite3_finalize(insert) ||
        sqlite3_exec(database, "SELECT count(*), sum(length(text)) FROM rows WHERE number % 3 = 0",
                     ask, NULL, NULL))
        return 1;
    return sqlite3_close(database) ? 1 : 0;
}
