/*
 * Idle sandboxes. Each list has those that some threads gave: which list is a thread's follows from
 * its pthread_self, so that threads need no state of a fleet's. Within a list, those of one
 * snapshot are a stack, and the tops of the stacks are found by the snapshot's serial, which is a
 * random number.
 */
#include "fleet.h"

void halo__fleet_lists_init(struct halo_fleet_lists *lists)
{
    for (uint32_t i = 0; i < HALO_FLEET_LISTS; i++) {
        struct halo_fleet_list *const list = &lists->each[i];

        (void)pthread_mutex_init(&list->lock, NULL); /* it cannot fail for one without attributes */
        TAILQ_INIT(&list->all);
        for (uint32_t k = 0; k < HALO_FLEET_BUCKETS; k++)
            LIST_INIT(&list->tops[k]);
    }
}

void halo__fleet_lists_free(struct halo_fleet_lists *lists)
{
    for (uint32_t i = 0; i < HALO_FLEET_LISTS; i++)
        (void)pthread_mutex_destroy(&lists->each[i].lock);
}

/* Threads' addresses differ in the middle: by a multiplication, that comes to the top. */
static uint32_t own_list(void)
{
    const uint64_t mixed = (uint64_t)pthread_self() * 0x9e3779b97f4a7c15ull;

    return (uint32_t)(mixed >> 32) % HALO_FLEET_LISTS;
}

static struct halo_fleet_slot *find_top(struct halo_fleet_list *list, uint64_t serial)
{
    struct halo_fleet_slot *top;

    LIST_FOREACH(top, &list->tops[serial % HALO_FLEET_BUCKETS], of_bucket)
    {
        if (top->serial == serial)
            return top;
    }
    return NULL;
}

static void insert(struct halo_fleet_list *list, struct halo_fleet_slot *slot)
{
    struct halo_fleet_slot *const top = find_top(list, slot->serial);

    slot->above = NULL;
    slot->below = top;
    if (top) {
        top->above = slot;
        LIST_REMOVE(top, of_bucket);
    }
    LIST_INSERT_HEAD(&list->tops[slot->serial % HALO_FLEET_BUCKETS], slot, of_bucket);
    TAILQ_INSERT_HEAD(&list->all, slot, of_list);
    list->count++;
}

static void take_out(struct halo_fleet_list *list, struct halo_fleet_slot *slot)
{
    if (slot->above) {
        slot->above->below = slot->below;
    } else {
        if (slot->below)
            LIST_INSERT_AFTER(slot, slot->below, of_bucket);
        LIST_REMOVE(slot, of_bucket);
    }
    if (slot->below)
        slot->below->above = slot->above;
    TAILQ_REMOVE(&list->all, slot, of_list);
    list->count--;
}

void halo__fleet_push(struct halo_fleet_lists *lists, struct halo_fleet_slot *slot, bool given)
{
    struct halo_fleet_list *const list = &lists->each[own_list()];

    pthread_mutex_lock(&list->lock);
    insert(list, slot);
    list->gives += given;
    pthread_mutex_unlock(&list->lock);
}

struct halo_fleet_slot *halo__fleet_pop(struct halo_fleet_lists *lists, uint64_t serial)
{
    const uint32_t first = own_list();

    for (uint32_t i = 0; i < HALO_FLEET_LISTS; i++) {
        struct halo_fleet_list *const list = &lists->each[(first + i) % HALO_FLEET_LISTS];
        struct halo_fleet_slot *slot;

        pthread_mutex_lock(&list->lock);
        slot = find_top(list, serial);
        if (slot) {
            take_out(list, slot);
            list->ready++;
        }
        pthread_mutex_unlock(&list->lock);
        if (slot)
            return slot;
    }
    return NULL;
}

struct halo_fleet_slot *halo__fleet_pop_old(struct halo_fleet_lists *lists)
{
    const uint32_t first = own_list();

    for (uint32_t i = 0; i < HALO_FLEET_LISTS; i++) {
        struct halo_fleet_list *const list = &lists->each[(first + i) % HALO_FLEET_LISTS];
        struct halo_fleet_slot *slot;

        pthread_mutex_lock(&list->lock);
        slot = TAILQ_LAST(&list->all, halo_fleet_all);
        if (slot)
            take_out(list, slot);
        pthread_mutex_unlock(&list->lock);
        if (slot)
            return slot;
    }
    return NULL;
}

uint32_t halo__fleet_idle(struct halo_fleet_lists *lists, uint64_t serial)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < HALO_FLEET_LISTS; i++) {
        struct halo_fleet_list *const list = &lists->each[i];

        pthread_mutex_lock(&list->lock);
        for (const struct halo_fleet_slot *slot = find_top(list, serial); slot; slot = slot->below)
            count++;
        pthread_mutex_unlock(&list->lock);
    }
    return count;
}

uint32_t halo__fleet_count(struct halo_fleet_lists *lists, uint64_t *ready, uint64_t *gives)
{
    uint32_t count = 0;

    *ready = *gives = 0;
    for (uint32_t i = 0; i < HALO_FLEET_LISTS; i++) {
        struct halo_fleet_list *const list = &lists->each[i];

        pthread_mutex_lock(&list->lock);
        count += list->count;
        *ready += list->ready;
        *gives += list->gives;
        pthread_mutex_unlock(&list->lock);
    }
    return count;
}
