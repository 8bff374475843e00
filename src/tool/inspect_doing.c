/*
 * What a guest does or waits for. The host knows what it was asked for and has not answered, and
 * where the guest stands; what follows from both is said, and no more.
 */
#include "inspect_say.h"

/* --- What is under way ------------------------------------------------------------------------ */

static const struct halo_pictured_call *call_at(const struct halo_picture *picture, uint32_t place)
{
    for (uint32_t i = 0; i < picture->call_count; i++) {
        if (picture->calls[i].place == place)
            return &picture->calls[i];
    }
    return NULL;
}

static uint32_t count_calls(const struct halo_picture *picture, uint32_t place)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < picture->call_count; i++)
        count += picture->calls[i].place == place;
    return count;
}

static uint32_t count_requests(const struct halo_picture *picture, uint32_t queue)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < picture->request_count; i++)
        count += picture->requests[i].queue == queue;
    return count;
}

/* --- Streams ---------------------------------------------------------------------------------- */

/* Why nothing comes. */
static const char *why_no_bytes(const struct halo_pictured_stream *stream)
{
    if (stream->is_awaited)
        return "which nobody has connected since the snapshot (halo_attach, or --input)";
    if (stream->is_full)
        return "a listening socket whose connections find no place: 256 streams are open";
    if (stream->kind == HALO_END_HOST)
        return "whose other end is the host's own program, which has written nothing "
               "(halo_stream_write)";
    if (stream->kind == HALO_END_FUNCTIONS)
        return "a function of the host's, which says that there is nothing yet";
    if (stream->is_listener)
        return "a listening socket, to which nobody connects";
    switch (stream->file) {
    case HALO_FILE_PIPE:
        return "a pipe, to which nobody writes and which nobody has closed";
    case HALO_FILE_SOCKET:
        return "a socket, whose other side sends nothing and has not closed it";
    case HALO_FILE_TERMINAL:
        return "a terminal, at which nobody types";
    default:
        return "which does not answer: its file system or device is slow";
    }
}

/* Why nothing is taken. */
static const char *why_no_room(const struct halo_pictured_stream *stream)
{
    if (stream->is_awaited)
        return "which nobody has connected since the snapshot (halo_attach)";
    if (stream->kind == HALO_END_HOST)
        return "whose other end is the host's own program, which reads nothing "
               "(halo_stream_read)";
    if (stream->kind == HALO_END_FUNCTIONS)
        return "a function of the host's, which takes nothing for now";
    switch (stream->file) {
    case HALO_FILE_PIPE:
        return "a pipe that is full, which nobody reads";
    case HALO_FILE_SOCKET:
        return "a socket, whose other side takes nothing";
    case HALO_FILE_TERMINAL:
        return "a terminal that is stopped";
    default:
        return "which does not answer: its file system or device is slow";
    }
}

static const struct halo_pictured_stream *waiting_stream(const struct halo_picture *picture,
                                                         uint32_t *others)
{
    const struct halo_pictured_stream *found = NULL;

    *others = 0;
    for (uint32_t i = 0; i < picture->stream_count; i++) {
        const struct halo_pictured_stream *stream = &picture->streams[i];

        if (stream->in.count == 0 && stream->out.count == 0)
            continue;
        *others += found != NULL;
        if (!found)
            found = stream;
    }
    return found;
}

static void say_stream(struct sentence *sentence, const struct halo_pictured_stream *stream,
                       uint32_t others)
{
    const bool writes = stream->out.count > 0;
    const struct halo_pictured_flow *flow = writes ? &stream->out : &stream->in;
    char title[96];

    if (stream->is_closing && writes)
        inspect_say(sentence, "to close %s", inspect_title(stream, title));
    else if (writes)
        inspect_say(sentence, "to write %llu bytes to %s", (unsigned long long)flow->bytes,
                    inspect_title(stream, title));
    else
        inspect_say(sentence, "to read from %s", inspect_title(stream, title));
    inspect_say(sentence, ", %s", writes ? why_no_room(stream) : why_no_bytes(stream));
    if (others > 0)
        inspect_say(sentence, " (and so of %u other streams)", others);
}

/* --- What a guest waits for ------------------------------------------------------------------- */

/* A function of the host's is in the middle of a call of the guest's. */
static void say_served(struct sentence *sentence, const struct halo_picture *picture,
                       const struct halo_pictured_call *served)
{
    const struct halo_pictured_call *put_off = call_at(picture, HALO_CALL_IS_PUT_OFF);

    inspect_say(sentence, "waits for %s(%s), a function of its host's that it has called and that ",
                served->name, served->arguments);
    inspect_say(sentence, "has not returned");
    inspect_say_age(sentence, served->age_ns);
    if (put_off)
        inspect_say(sentence,
                    "; and its call of %s is put off until that is over, so that neither goes on "
                    "where that function waits for it",
                    put_off->name);
}

/* A stream that the guest has read to its end. */
static const struct halo_pictured_stream *ended_stream(const struct halo_picture *picture)
{
    for (uint32_t i = 0; i < picture->stream_count; i++) {
        if (picture->streams[i].in.over)
            return &picture->streams[i];
    }
    return NULL;
}

#define MANY_CALLS 10000u

/* What it has done meanwhile, that may be why it comes to no end. */
static void say_busy(struct sentence *sentence, const struct halo_picture *picture)
{
    const uint32_t count = picture->event_count;
    const bool asks = count == HALO_LAST_EXITS &&
                      picture->events[0].requests != picture->events[count - 1].requests;
    const struct halo_pictured_stream *ended = ended_stream(picture);
    char title[96];

    if (picture->stats.system_calls >= MANY_CALLS)
        inspect_say(sentence, "; it has made %llu system calls",
                    (unsigned long long)picture->stats.system_calls);
    if (picture->stats.system_calls >= MANY_CALLS && !asks)
        inspect_say(sentence,
                    ", with which its host had nothing to do (such as a wait for a lock that "
                    "it holds itself, which ends at once and is made again)");
    if (!asks)
        return;
    inspect_say(sentence, "; it asks its host again and again, %llu times in all",
                (unsigned long long)picture->stats.requests);
    if (ended)
        inspect_say(sentence, ", and %s is at its end", inspect_title(ended, title));
}

static void say_waits(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    const struct halo_pictured_call *put_off = call_at(picture, HALO_CALL_IS_PUT_OFF);
    const uint32_t asked = count_requests(picture, HALO_QUEUE_G2H);
    const struct halo_pictured_stream *stream;
    char left[32];
    uint32_t others;

    inspect_say(sentence, "waits");
    stream = waiting_stream(picture, &others);
    if (stream)
        inspect_say_age(sentence, stream->out.count ? stream->out.age_ns : stream->in.age_ns);
    inspect_say_place(sentence, inspected, false);
    inspect_say(sentence, " ");
    if (picture->shortage[0])
        inspect_say(sentence, "for its host, whose system lacks something: %s", picture->shortage);
    else if (put_off)
        inspect_say(sentence,
                    "for its call of %s, which its host has put off: it serves only what is %u "
                    "deep or more until its own wait is over",
                    put_off->name, picture->waits);
    else if (stream)
        say_stream(sentence, stream, others);
    else if (picture->wake_ns)
        inspect_say(sentence, "for a time alone, of which %s are left",
                    inspect_age(picture->wake_ns, left));
    else if (picture->has_more)
        inspect_say(sentence, "for its host, which is moving its bytes");
    else if (asked > 0)
        inspect_say(sentence, "for the answer to one of its %u requests, which its host has",
                    asked);
    else if (!picture->on_stacks)
        inspect_say(sentence, "for an answer, but has asked for nothing: none of its requests is "
                              "in flight, so that nothing would ever wake it");
    else
        inspect_say(sentence, "for a message of its host's on the stack");
    if (stream && picture->wake_ns)
        inspect_say(sentence, ", and for a time, of which %s are left",
                    inspect_age(picture->wake_ns, left));
    if (!stream && !put_off)
        say_busy(sentence, picture);
}

/* Nothing of its host's is under way. */
static void say_uncalled(struct sentence *sentence, const struct halo_picture *picture)
{
    const unsigned long long calls = picture->stats.calls_out;

    inspect_say(sentence, ": it serves %u function%s, and ", picture->export_count,
                picture->export_count == 1 ? "" : "s");
    if (calls == 0)
        inspect_say(sentence, "its host has called none");
    else
        inspect_say(sentence, "of %llu call%s of its host's none is under way", calls,
                    calls == 1 ? "" : "s");
}

static void say_serves(struct sentence *sentence, const struct halo_picture *picture)
{
    const struct halo_pictured_call *sent = call_at(picture, HALO_CALL_IS_SENT);
    const struct halo_pictured_call *waiting = call_at(picture, HALO_CALL_IS_WAITING);
    uint32_t others;
    const struct halo_pictured_stream *stream = waiting_stream(picture, &others);

    inspect_say(sentence, "waits to be called");
    if (sent)
        inspect_say(sentence,
                    ", although its host has called %s(%s), which is not answered: it has taken "
                    "the call and lost it",
                    sent->name, sent->arguments);
    else if (waiting && !picture->on_stacks && count_requests(picture, HALO_QUEUE_H2G) == 0)
        inspect_say(sentence, "; %u calls wait to go out, for it has posted no buffer for them",
                    count_calls(picture, HALO_CALL_IS_WAITING));
    else if (waiting)
        inspect_say(sentence, "; %s(%s) goes out when its host next runs it (halo_wait)",
                    waiting->name, waiting->arguments);
    else
        say_uncalled(sentence, picture);
    if (stream && !sent) {
        inspect_say(sentence, "; meanwhile it waits ");
        say_stream(sentence, stream, others);
    }
}

/* It has rung again and again, and asked for nothing new. Other exits are its host's interrupts, as
 * of those who have looked at it: of them alone nothing follows. */
static bool is_storm(const struct halo_picture *picture)
{
    const uint32_t count = picture->event_count;
    uint32_t kicks = 0;

    if (count < HALO_LAST_EXITS ||
        picture->events[0].requests != picture->events[count - 1].requests)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (picture->events[i].kind != HALO_EXIT_DOORBELL)
            continue;
        if (picture->events[i].op != HALO_DOORBELL_KICK)
            return false;
        kicks++;
    }
    return kicks > count / 2;
}

/* When it last left by itself. */
static uint64_t left_ago(const struct halo_picture *picture)
{
    uint32_t i = picture->event_count;

    while (i > 0 && picture->events[i - 1].kind != HALO_EXIT_DOORBELL)
        i--;
    return i > 0 ? picture->events[i - 1].age_ns : HALO_AGE_UNKNOWN;
}

static void say_runs(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    const uint64_t left = left_ago(picture);
    char text[32];

    if (is_storm(picture)) {
        inspect_say(sentence, "runs");
        inspect_say_place(sentence, inspected, true);
        inspect_say(sentence,
                    " and rings its host's doorbell again and again without asking for "
                    "anything: %llu exits in all",
                    (unsigned long long)picture->stats.exits);
        return;
    }
    inspect_say(sentence, "computes");
    /* In its own code: that of the library which it went through says less. */
    inspect_say_place(sentence, inspected, inspect_own_frame(inspected) == 0);
    if (picture->frame_count && !inspected->places[0].function[0] && picture->stats.system_calls &&
        !inspect_range(picture, picture->frames[0].address))
        inspect_say(sentence, ", in the middle of a system call,");
    inspect_say(sentence, " and waits for nobody");
    if (*inspect_age(left, text))
        inspect_say(sentence, "; it last left for its host %s ago", text);
    say_busy(sentence, picture);
}

/* It has ended, and what it wrote is still on its way. */
static bool is_going_out(const struct halo_picture *picture)
{
    const uint32_t count = picture->event_count;

    return count > 0 && picture->events[count - 1].kind == HALO_EXIT_DOORBELL &&
           picture->events[count - 1].op == HALO_DOORBELL_HALT;
}

static void say_going_out(struct sentence *sentence, const struct halo_picture *picture)
{
    uint32_t others;
    const struct halo_pictured_stream *stream = waiting_stream(picture, &others);

    inspect_say(sentence, "has ended, and what it has written is still going out");
    if (!stream)
        return;
    inspect_say(sentence, ": its host waits ");
    say_stream(sentence, stream, others);
}

void inspect_say_doing(struct sentence *sentence, const struct inspected *inspected)
{
    const struct halo_picture *picture = &inspected->picture;
    const struct halo_pictured_call *served = call_at(picture, HALO_CALL_IS_SERVED);
    const struct halo_pictured_call *sent = call_at(picture, HALO_CALL_IS_SENT);

    if (sent && (served || picture->guest != HALO_GUEST_SERVES)) {
        inspect_say(sentence, "is in the middle of %s(%s), which its host has called", sent->name,
                    sent->arguments);
        inspect_say_age(sentence, sent->age_ns);
        inspect_say(sentence, ", and ");
    }
    if (is_going_out(picture))
        say_going_out(sentence, picture);
    else if (served)
        say_served(sentence, picture, served);
    else if (picture->serving > 0)
        inspect_say(sentence, "waits for a function of its host's that it has called");
    else if (picture->is_inside || picture->guest == HALO_GUEST_RUNS)
        say_runs(sentence, inspected);
    else if (picture->guest == HALO_GUEST_SERVES)
        say_serves(sentence, picture);
    else
        say_waits(sentence, inspected);
}
