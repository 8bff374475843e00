/*
 * expression: a user-defined function. The guest compiles an expression of x and y once, and
 * evaluates it for all rows that a call has. Its host is examples/expression_host.c.
 *
 *     sum     := product { (+ | -) product }
 *     product := factor { (* | /) factor }
 *     factor  := number | x | y | - factor | ( sum )
 */
#include <halo/guest_rows.h>

#define CODE_MAX 256
#define DEPTH_MAX 64 /* of parentheses and signs; so many values are on the stack at most */

/* The expression in postfix: a number, or what to do. */
static struct step {
    char op; /* 'n' for a number, 'x', 'y', '+', '-', '*', '/', '~' for a sign */
    double number;
} code[CODE_MAX];
static unsigned code_len;

static const char *at, *problem;

static void emit(char op, double number)
{
    if (code_len == CODE_MAX)
        problem = "the expression is too long";
    else
        code[code_len++] = (struct step){op, number};
}

static char peek(void)
{
    while (*at == ' ')
        at++;
    return *at;
}

static void sum(unsigned depth);

static void number(void)
{
    double value = 0, scale = 1;

    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (*at - '0');
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++)
            value += (*at - '0') * (scale /= 10);
    }
    emit('n', value);
}

static void factor(unsigned depth)
{
    const char first = peek();

    if (depth == DEPTH_MAX) {
        problem = "the expression is too deep";
    } else if ((first >= '0' && first <= '9') || (first == '.' && at[1] >= '0' && at[1] <= '9')) {
        number();
    } else if (first == 'x' || first == 'y') {
        at++;
        emit(first, 0);
    } else if (first == '-') {
        at++;
        factor(depth + 1);
        emit('~', 0);
    } else if (first == '(') {
        at++;
        sum(depth + 1);
        if (!problem && peek() != ')')
            problem = "a parenthesis is not closed";
        else
            at++;
    } else {
        problem = "a number, x, y, - or ( is missing";
    }
}

static void product(unsigned depth)
{
    factor(depth);
    while (!problem && (peek() == '*' || *at == '/')) {
        const char op = *at++;

        factor(depth);
        emit(op, 0);
    }
}

static void sum(unsigned depth)
{
    product(depth);
    while (!problem && (peek() == '+' || *at == '-')) {
        const char op = *at++;

        product(depth);
        emit(op, 0);
    }
}

/* Compile; fails with 1 and the reason, and leaves no expression then. */
HALO_EXPORT(compile, "expression.compile", HALO_VOID, HALO_STR)
{
    at = args[0].str;
    problem = NULL;
    code_len = 0;
    sum(0);
    if (!problem && peek())
        problem = "something follows the expression";
    if (problem) {
        code_len = 0;
        halo_fail(call, 1, problem);
    }
}

static double evaluate_row(double x, double y)
{
    double stack[2 * DEPTH_MAX + 2], *top = stack;

    for (const struct step *step = code; step < code + code_len; step++) {
        const double value = step->op == 'n' ? step->number : step->op == 'x' ? x : y;

        switch (step->op) {
        case 'n':
        case 'x':
        case 'y':
            *top++ = value;
            break;
        case '~':
            top[-1] = -top[-1];
            break;
        default:
            top--;
            if (step->op == '+')
                top[-1] += *top;
            else if (step->op == '-')
                top[-1] -= *top;
            else if (step->op == '*')
                top[-1] *= *top;
            else
                top[-1] /= *top;
        }
    }
    return stack[0];
}

/* One call for all rows that the host has columns of; an ordinary call is one of one row. */
HALO_EXPORT_ROWS(evaluate, "expression.evaluate", HALO_F64, HALO_F64, HALO_F64)
{
    const double *x = rows->args[0].values, *y = rows->args[1].values;
    double *result = rows->result;

    if (code_len == 0) {
        halo_rows_fail(rows, HALO_ROW_ALL, 2, "nothing was compiled");
        return;
    }
    for (uint32_t i = 0; i < rows->count; i++)
        result[i] = evaluate_row(x[i], y[i]);
}
