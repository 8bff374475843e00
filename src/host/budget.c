/*
 * Blocks that know whose budget they are of: see budget.h. They are taken by the thread that owns
 * the sandbox, and given back by any, so the counts are atomic; but for the last holder's there is
 * no order to be kept.
 */
#include "budget.h"
#include <stdlib.h>

struct head {
    _Alignas(16) struct halo_budget *budget;
    size_t len;
};

static void let_go(struct halo_budget *budget)
{
    /* Release pairs with the acquire of the last one, which frees what all have used. */
    if (__atomic_sub_fetch(&budget->holders, 1, __ATOMIC_ACQ_REL) == 0)
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
    const uint64_t used = __atomic_load_n(&budget->used, __ATOMIC_RELAXED);
    struct head *head = NULL;

    if (len <= budget->max && used <= budget->max - len) /* RES-04 */
        head = malloc(sizeof(*head) + len);
    if (!head)
        return NULL;
    *head = (struct head){budget, len};
    __atomic_fetch_add(&budget->used, len, __ATOMIC_RELAXED);
    __atomic_fetch_add(&budget->holders, 1, __ATOMIC_RELAXED);
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
    __atomic_fetch_sub(&budget->used, head->len, __ATOMIC_RELAXED);
    free(head);
    let_go(budget);
}
