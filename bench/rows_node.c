/* Rows by wasm in node: bench/rows_node.js runs them, and says how long they took. */
#include "bench.h"
#include "rows_table.h"
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef BENCH_WASM

const char *rows_node_absent(void)
{
    return "built without clang or lld, which make wasm";
}

double rows_node(enum rows_function function, uint32_t slice)
{
    (void)function;
    (void)slice;
    return 0;
}

#else

static FILE *to, *from; /* a child, as long as this process lives */

static void become_node(const int *there, const int *back)
{
    char table[16], text_len[16];

    (void)snprintf(table, sizeof(table), "%u", ROWS_TABLE);
    (void)snprintf(text_len, sizeof(text_len), "%u", ROWS_TEXT_LEN);
    (void)dup2(there[0], STDIN_FILENO);
    (void)dup2(back[1], STDOUT_FILENO);
    close(there[1]); /* else its input would have no end */
    close(back[0]);
    execlp("node", "node", BENCH_NODE, BENCH_WASM, table, text_len, (char *)NULL);
    _exit(127);
}

/* ns a row, or below 0 where there is no node. */
static double ask(enum rows_function function, uint32_t slice)
{
    char line[64];

    if (fprintf(to, "%d %u %u\n", (int)function, slice, ROWS_TABLE) < 0 || fflush(to) != 0 ||
        !fgets(line, sizeof(line), from))
        return -1;
    return strtod(line, NULL);
}

static const char *open_node(void)
{
    int there[2], back[2];
    pid_t child;

    bench_must(pipe(there) == 0 && pipe(back) == 0, "no pipe");
    (void)signal(SIGPIPE, SIG_IGN); /* it may have ended before it is asked */
    bench_spread();                 /* it compiles beside what it runs */
    child = fork();
    bench_must(child >= 0, "no child");
    if (child == 0)
        become_node(there, back);
    bench_stay();
    close(there[0]);
    close(back[1]);
    to = fdopen(there[1], "w");
    from = fdopen(back[0], "r");
    bench_must(to && from, "no memory");
    if (ask(ROWS_MUL, 4096) > 0)
        return NULL;
    (void)waitpid(child, NULL, 0);
    return "there is no node (nodejs)";
}

const char *rows_node_absent(void)
{
    static const char *why;

    if (!to)
        why = open_node();
    return why;
}

double rows_node(enum rows_function function, uint32_t slice)
{
    double sum = 0;

    for (int i = 0; i < BENCH_SLICES; i++) {
        const double ns = ask(function, slice);

        bench_must(ns > 0, "node ended");
        bench_slice(ns);
        sum += ns;
    }
    return sum / BENCH_SLICES;
}

#endif
