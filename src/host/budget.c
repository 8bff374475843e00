/* Blocks that know whose budget they are of: see budget.h. */
#include "budget.h"
#include <stdlib.h>

struct head {
    _Alignas(16) struct halo_budget *budget;
    size_t len;
};

static void let_go(struct halo_budget *budget)
{
    if (--budget->holders == 0)
        free(budget);
}

struct halo_budget *halo__budget_new(uint64_t max)
{
    struct halo_budget *budget = malloc(sizeof(*budget));

    if (budget)
        *budget = (struct halo_budget){.max = max, .holders = 1};
    return budget;
}

void halo__budget_close(struct halo_budget *budget)
{
    if (budget)
        let_go(budget);
}

void *halo__budget_take(struct halo_budget *budget, size_t len)
{
    struct head *head = NULL;

    if (len <= budget->max && budget->used <= budget->max - len) /* RES-04 */
        head = malloc(sizeof(*head) + len);
    if (!head)
        return NULL;
    *head = (struct head){budget, len};
    budget->used += len;
    budget->holders++;
    return head + 1;
}

void halo__budget_give(void *block)
{
    struct halo_budget *budget;
    struct head *head;

    if (!block)
        return;
    head = (struct head *)block - 1;
    budget = head->budget;
    budget->used -= head->len;
    free(head);
    let_go(budget);
}
