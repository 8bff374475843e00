/* Why a guest has ended, as the end of one sentence. */
#include "inspect_say.h"
#include <string.h>

/* Where it was, where that can be told. */
static void say_where(struct sentence *sentence, const struct inspected *inspected, bool is_at_once)
{
    const size_t before = sentence->len;
    size_t len;

    inspect_say(sentence, "; it was");
    len = sentence->len;
    inspect_say_place(sentence, inspected, is_at_once);
    if (sentence->len == len) /* nobody knows */
        sentence->len = before;
    sentence->text[sentence->len] = '\0';
}

/* --- Faults ----------------------------------------------------------------------------------- */

#define NULL_PAGES 65536u
#define FAULT_WRITES 2u
#define FAULT_FETCHES 16u

static const char *what_it_did(uint32_t error)
{
    return error & FAULT_FETCHES ? "executed" : error & FAULT_WRITES ? "wrote to" : "read from";
}

static void say_page_fault(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    const struct halo_fault *fault = &picture->fault;
    const struct halo_pictured_range *range = inspect_range(picture, fault->address);
    const unsigned long long at = fault->address;

    if (picture->is_overflow)
        inspect_say(sentence,
                    "its stack overflowed: it touched 0x%llx, below its stack (more of it: "
                    "halo run --stack, or fewer calls inside each other)",
                    at);
    else if (fault->address < NULL_PAGES && fault->error & FAULT_FETCHES)
        inspect_say(sentence, "it called a function by a null pointer: it executed 0x%llx", at);
    else if (fault->address < NULL_PAGES)
        inspect_say(sentence, "it used a null pointer: it %s 0x%llx", what_it_did(fault->error),
                    at);
    else if (range && fault->error & FAULT_FETCHES)
        inspect_say(sentence, "it executed 0x%llx, which is data (%s)", at,
                    inspect_use(range->use));
    else if (range)
        inspect_say(sentence, "it %s 0x%llx, which is in %s and which it may not%s",
                    what_it_did(fault->error), at, inspect_use(range->use),
                    fault->error & FAULT_WRITES ? " write" : "");
    else
        inspect_say(sentence, "it %s 0x%llx, where there is no memory", what_it_did(fault->error),
                    at);
}

/* It executed what is no code: who has called that is what can be told. */
static bool is_astray(const struct halo_picture *picture)
{
    return picture->fault.vector == 14 && picture->fault.error & FAULT_FETCHES;
}

static void say_fault(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;

    if (!picture->has_fault) {
        inspect_say(sentence, "%s", picture->words);
        return;
    }
    if (picture->fault.vector == 14)
        say_page_fault(sentence, inspected);
    else if (strstr(picture->words, "system call"))
        inspect_say(sentence, "%s", picture->words);
    else
        inspect_say(sentence, "its code faulted: %s", halo_fault_name(picture->fault.vector));
    say_where(sentence, inspected, !is_astray(picture));
    if (strncmp(inspected->places[0].function, "halo_", 5) == 0)
        inspect_say_place(sentence, inspected, false);
}

/* --- Rules ------------------------------------------------------------------------------------ */

static const char *explain_ring(const char *rule)
{
    static const struct {
        const char *rule, *words;
    } all[] = {
        {"TORN", "which says that the chain goes on, and the next descriptor is not available"},
        {"OVERCOMMIT", "which makes more descriptors available than the ring has left"},
        {"INDIRECT", "which is an indirect table, and none was offered"},
        {"RESERVED", "which has a reserved flag set"},
        {"ORDER", "which is to be read, behind one that is to be written"},
        {"TOO_LONG", "of a chain that goes round the whole ring and does not end"},
        {"BAD_ID", "whose id is not below the ring's size"},
        {"DUPLICATE_ID", "whose id is still in flight"},
        {"INLINE", "which is inline where it may not be, or has a wrong length"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(rule, all[i].rule) == 0)
            return all[i].words;
    }
    return "which breaks a rule";
}

static void say_ring(struct sentence *sentence, const struct halo_picture *picture)
{
    const struct halo_poison *poison = &picture->poison;
    const uint32_t size =
        poison->queue < HALO_QUEUE_COUNT ? picture->queues[poison->queue].size : 0;

    inspect_say(sentence,
                "it broke the ring %s its host: in slot %u of %u it put a descriptor %s (%s; id "
                "%u, flags 0x%x, %u bytes at 0x%llx)",
                poison->queue == HALO_QUEUE_H2G ? "from" : "to", poison->slot, size,
                explain_ring(poison->rule), poison->rule, poison->id,
                halo_meta_flags(poison->words[1]), halo_meta_len(poison->words[1]),
                (unsigned long long)poison->words[0]);
}

static void say_buffer(struct sentence *sentence, const struct halo_picture *picture)
{
    const struct halo_poison *poison = &picture->poison;
    const struct halo_pictured_range *range = inspect_range(picture, poison->words[0]);

    inspect_say(sentence, "it named a buffer at 0x%llx to its host (chain %u, %s), ",
                (unsigned long long)poison->words[0], poison->id, poison->rule);
    if (strcmp(poison->rule, "RANGE") != 0 && strcmp(poison->rule, "PERMISSION") != 0)
        inspect_say(sentence, "and the chain is empty, too long or in too many pieces");
    else if (range)
        inspect_say(sentence, "which is in %s and reaches beyond what its host may touch there",
                    inspect_use(range->use));
    else
        inspect_say(sentence, "where it has no memory");
}

static void say_message(struct sentence *sentence, const struct halo_poison *poison)
{
    struct halo_message message;

    memcpy(&message, &poison->words[0], sizeof(message));
    inspect_say(sentence, "it sent its host what cannot be understood: %s", poison->rule);
    if (poison->words[0])
        inspect_say(sentence, " (kind %u, %s; %u bytes of payload, request %u)", message.kind,
                    inspect_kind(message.kind), message.length, message.request);
}

static void say_poison(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    const struct halo_poison *poison = &picture->poison;

    switch (poison->kind) {
    case HALO_POISON_RING:
        say_ring(sentence, picture);
        break;
    case HALO_POISON_BUFFER:
        say_buffer(sentence, picture);
        break;
    case HALO_POISON_MESSAGE:
        say_message(sentence, poison);
        break;
    case HALO_POISON_DOORBELL:
        inspect_say(sentence, "it rang its doorbell for 0x%llx, which there is not",
                    (unsigned long long)poison->words[0]);
        break;
    case HALO_POISON_WAIT:
        inspect_say(sentence, "it waits for what nobody will ever send: %s", poison->rule);
        break;
    default:
        inspect_say(sentence, "%s", picture->words);
    }
    say_where(sentence, inspected, false);
}

/* --- All ends --------------------------------------------------------------------------------- */

void inspect_say_end(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;

    if (picture->error == 0) {
        inspect_say(sentence, "The guest has ended by itself, with exit code %u",
                    picture->exit_code);
        return;
    }
    inspect_say(sentence, "The guest was ended, for ");
    switch (-(int64_t)picture->error) {
    case HALO_EFAULT:
        say_fault(sentence, inspected);
        break;
    case HALO_EPANIC:
        inspect_say(sentence, "it gave up itself: %s", picture->words);
        say_where(sentence, inspected, false);
        break;
    case HALO_EPOISONED:
        say_poison(sentence, inspected);
        break;
    case HALO_ETIMEDOUT:
        inspect_say(sentence, "its time was over: it ");
        inspect_say_doing(sentence, inspected);
        break;
    case HALO_ELIMIT:
        inspect_say(sentence, "it used up what it may: %s; it ", picture->words);
        inspect_say_doing(sentence, inspected);
        break;
    default:
        inspect_say(sentence, "%s", picture->words);
    }
}
