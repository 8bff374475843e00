/*
 * A queue from the inside: a ring with buffers, tokens and flow control.
 *
 *     send.c      the sender: building requests, submitting them
 *     answer.c    the sender: answers, waiting, the end of a queue
 *     receiver.c  the device's end: reading requests, writing answers
 *     parked.c    requests that wait there for long, with no pointer in them
 *     check.c     what holds between any two operations, in a build with -Dchecks=true
 *     exported.c  the inline functions of all public headers of the library, for other languages
 *
 * This header is what the sender's two files share. Neither end may assume anything of the other's
 * bytes, lengths, ids or order: the ring beneath has judged descriptors and addresses, and what the
 * bytes say is for the program to judge, in a copy. A request's way:
 *
 *     sender    halo_send_begin, halo_send_write, …    buffers of the pool's, or lent ones
 *     sender    halo_send_submit                       a chain in the ring; the token names it
 *     sender    halo_sender_flush                      visible, and one notification at most
 *     receiver  halo_receiver_poll                     its segments, as spans
 *     receiver  halo_received_read, …_write            copied in; written within the room there is
 *     receiver  halo_receiver_complete, …_flush        now or later, in any order; visible
 *     sender    halo_sender_poll                       harvest: what was read is free again
 *     sender    halo_answer_read, halo_answer_free     and so is what was written
 */
#ifndef HALO_SRC_QUEUE_SENDER_H
#define HALO_SRC_QUEUE_SENDER_H

#include <halo/sender.h>

#define NONE UINT16_MAX /* no request, no part */

/* Send the notification that was held back, where it is still due. Returns whether it was. */
int halo__sender_release(struct halo_sender *sender);

/* --- Parts ------------------------------------------------------------------------------------ */

/* Give one part's memory back to whom it belongs, and the part itself. Returns the next one. */
static inline uint32_t free_part(struct halo_sender *sender, uint32_t index)
{
    struct halo_part *part = &sender->parts[index];
    const uint32_t next = part->next;

    if (part->owner == HALO_PART_POOL) {
        (void)sender->provider->free(sender->provider, part->base, HALO_LENT);
    } else if (part->owner == HALO_PART_BORROWED) {
        uint32_t len;
        void *buf = sender->provider->find(sender->provider, part->base, &len);

        (void)sender->provider->hand_over(sender->provider, buf, HALO_LENT);
    }
    part->next = (uint16_t)sender->free_part;
    sender->free_part = index;
    sender->free_parts++;
    return next;
}

static inline uint32_t free_some(struct halo_sender *sender, uint32_t index, uint32_t count)
{
    for (; count > 0; count--)
        index = free_part(sender, index);
    return index;
}

/* Where the messages of a slot lie; any address where there are no slots. */
static inline unsigned char *slot_of(const struct halo_sender *sender, uint32_t index)
{
    return (unsigned char *)((uintptr_t)sender->slots + (size_t)index * HALO_SLOT_LEN);
}

/* --- Taking answers in ------------------------------------------------------------------------ */

/* One chain that came back: what the device read is free, what it wrote is the answer's. */
static inline uint32_t answer_came(struct halo_sender *sender, const struct halo_used *used)
{
    struct halo_sender_request *request = &sender->requests[used->id];

    if (request->part_count > 0) {
        request->first = (uint16_t)free_some(sender, request->first, request->readable_count);
        request->part_count = (uint16_t)(request->part_count - request->readable_count);
        request->readable_count = 0;
    }
    request->state = HALO_REQUEST_ANSWERED;
    request->len = used->len;
    request->kind = (uint16_t)used->kind;
    request->word = used->word;
    sender->stats.in_flight--;
    sender->stats.answers++;
    sender->stats.truncated += used->kind == HALO_DESC_TRUNCATED;
    return used->id;
}

static inline void remember_answer(struct halo_sender *sender, uint32_t index)
{
    struct halo_sender_request *request = &sender->requests[index];

    request->prev = (uint16_t)sender->last_answered;
    request->next = NONE;
    if (sender->last_answered == NONE)
        sender->first_answered = index;
    else
        sender->requests[sender->last_answered].next = (uint16_t)index;
    sender->last_answered = index;
    sender->answered++;
}

/* Take in all that the device has used. Returns how many, or HALO_EBROKEN. */
static inline int harvest(struct halo_sender *sender)
{
    struct halo_used used;
    int count = 0, got;

    while ((got = halo_driver_poll_held(&sender->driver, &used)) > 0) {
        remember_answer(sender, answer_came(sender, &used));
        count++;
    }
    return count > 0 ? count : got;
}

#endif
