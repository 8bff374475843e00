/* The receiver's user of queue_user.h: what it may take, read, write, answer and put back. */
#ifndef RECEIVER_USER_H
#define RECEIVER_USER_H

#include "queue_record.h"

static struct work *some_work(struct user *u, bool open)
{
    const uint32_t first = choose(HELD);

    for (uint32_t i = 0; i < HELD; i++) {
        if (u->work[(first + i) % HELD].open == open)
            return &u->work[(first + i) % HELD];
    }
    return NULL;
}

static void take_request(struct user *u)
{
    struct work *work = some_work(u, false);
    const struct halo_received *request;
    uint64_t sum = 0;
    int got;

    if (!work)
        return;
    got = halo_receiver_poll(&u->q->receiver, &work->request, work->spans, 8);
    if (u->honest)
        assert_int_equal(got, u->taken < u->flushed);
    if (got == HALO_EREJECT) /* it was taken, too, after the one that was the newest */
        u->newest = HELD;
    if (got <= 0)
        return;
    request = &work->request;
    assert_true(request->chain.slots >= 1 && request->chain.slots <= RING);
    for (uint32_t i = 0; i < request->chain.readable_count + request->chain.writable_count; i++)
        sum += work->spans[i].len;
    assert_true(sum == request->chain.readable_len + request->chain.writable_len && sum <= 1000);
    assert_true(halo_receiver_stats(&u->q->receiver).in_flight <= RING);
    work->open = true;
    work->read = work->written = 0;
    u->newest = (uint32_t)(work - u->work);
    if (u->honest) {
        work->serial = u->order[u->taken++ % RECORDS];
        assert_true(halo_received_len(request) == record_of(u, work->serial)->len);
        assert_true(request->chain.writable_len == record_of(u, work->serial)->room);
        assert_int_equal(request->chain.slots, record_of(u, work->serial)->slots);
    }
}

static void read_some(struct user *u, struct work *work)
{
    const uint32_t len = (uint32_t)halo_received_len(&work->request);
    const uint32_t max = choose(REQUEST_MAX);
    unsigned char got[REQUEST_MAX];
    const size_t some = halo_received_read(&work->request, got, max);

    assert_true(some == (len - work->read < max ? len - work->read : max));
    for (uint32_t i = 0; u->honest && i < some; i++)
        assert_int_equal(got[i], request_byte(record_of(u, work->serial)->key, work->read + i));
    work->read += (uint32_t)some;
}

static void write_some(struct work *work)
{
    const uint32_t max = choose(60);
    unsigned char bytes[60];
    int got;

    for (uint32_t i = 0; i < max; i++)
        bytes[i] = answer_byte(work->serial, work->written + i);
    if (work->written + max > ANSWER_MAX)
        return;
    got = halo_received_write(&work->request, bytes, max);
    assert_in_range(got, 0, max);
    work->written += max;
}

static void write_in_place(struct user *u, struct work *work)
{
    struct halo_span spans[8];
    uint32_t count = halo_received_reserve(&work->request, spans, choose(9)), len = 0;
    const uint64_t room = work->request.chain.writable_len;

    for (uint32_t i = 0; i < count; i++) {
        unsigned char *at = halo_shm_expose(spans[i].base);

        for (size_t k = 0; k < spans[i].len; k++)
            at[k] = answer_byte(work->serial, work->written + len++);
    }
    assert_true(work->written + len <= room || len == 0);
    if (len > 0)
        len = choose(len + 1);
    if (work->written <= room)
        assert_int_equal(halo_received_commit(&work->request, room - work->written + 1),
                         HALO_EINVAL);
    assert_int_equal(halo_received_commit(&work->request, len), 0);
    work->written += len;
    if (len > 0)
        record_of(u, work->serial)->in_spans = true;
}

static void answer(struct user *u, struct work *work)
{
    struct record *record = record_of(u, work->serial);
    const int error = halo_receiver_complete(&u->q->receiver, &work->request);
    struct halo_received copy = work->request;

    assert_true(error == 0 ||
                (error == HALO_EBROKEN && u->q->receiver.device.violation.reason != 0));
    copy.open = true;
    assert_int_equal(halo_receiver_complete(&u->q->receiver, &copy), error ? error : HALO_ESTALE);
    work->open = false;
    if (!u->honest)
        return;
    record->answer_len = work->written;
    u->done[u->completed++ % RECORDS] = work->serial;
}

static void put_back(struct user *u, struct work *work)
{
    const bool is_newest = work == &u->work[u->newest];
    const int error = halo_receiver_rewind(&u->q->receiver, &work->request);

    if (error == HALO_EBROKEN) {
        assert_true(u->q->receiver.device.violation.reason != 0);
        return;
    }
    assert_int_equal(error, is_newest ? 0 : HALO_ESTALE);
    if (error)
        return;
    work->open = false;
    record_of(u, work->serial)->in_spans = false;
    u->newest = HELD;
    u->taken -= u->honest;
}

static void receiver_step(struct user *u)
{
    const uint32_t what = choose(10);
    struct work *work = what < 3 || what == 9 ? NULL : some_work(u, true);
    int got;

    if (what < 3) {
        take_request(u);
    } else if (what == 9) {
        got = halo_receiver_flush(&u->q->receiver);
        assert_true(got >= 0 || u->q->receiver.device.violation.reason);
        for (; got >= 0 && u->published < u->completed; u->published++)
            record_of(u, u->done[u->published % RECORDS])->published = true;
    } else if (work) {
        if (what == 3)
            read_some(u, work);
        else if (what == 4)
            write_some(work);
        else if (what == 5)
            write_in_place(u, work);
        else if (what == 6 && choose(3) == 0)
            put_back(u, work);
        else
            answer(u, work);
    }
}

#endif
