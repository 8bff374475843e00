/*
 * A picture as a picture, in SVG: the sentence, both rings as rows of slots in the colour of their
 * owner, with the host's two places, and below each ring its messages in flight. Of a long ring
 * those slots are drawn that are also listed.
 */
#include "inspect.h"
#include <stdlib.h>
#include <string.h>

#define WIDTH 1080
#define LEFT 20
#define CELL 32
#define A_ROW ((WIDTH - 2 * LEFT) / CELL)
#define CELLS_MAX 256u
#define LINE 16
#define LINE_CHARS 140u
#define MESSAGES_MAX 24u

static FILE *to; /* what is drawn */
static int y;

/* What XML would take for its own is written as it wants it. */
static void put_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len && text[i]; i++) {
        if (text[i] == '<' || text[i] == '&' || text[i] == '>' || text[i] == '"')
            fprintf(to, "&#%d;", text[i]);
        else
            fputc(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?', to);
    }
}

static void put_line(const char *kind, const char *text, size_t len)
{
    y += LINE;
    fprintf(to, "<text class=\"%s\" x=\"%d\" y=\"%d\">", kind, LEFT, y);
    put_text(text, len);
    fputs("</text>\n", to);
}

/* In lines that are short enough, each of which ends with a word. */
static void put_lines(const char *kind, const char *text)
{
    while (*text) {
        size_t len = strlen(text);

        if (len > LINE_CHARS) {
            for (len = LINE_CHARS; len > 0 && text[len] != ' ';)
                len--;
            len = len ? len : LINE_CHARS;
        }
        put_line(kind, text, len);
        text += len;
        text += *text == ' ';
    }
}

static const char *colour(const struct inspect_slot *slot)
{
    if (strcmp(slot->owner, "host") == 0)
        return "#f4a582";
    if (strncmp(slot->owner, "host,", 5) == 0)
        return "#fddbc7";
    return strcmp(slot->owner, "guest, never used") == 0 ? "#f0f0f0" : "#92c5de";
}

/* Where its chain goes on in the next slot, no gap is between the two. */
static void put_slot(const struct halo_pictured_queue *queue, uint32_t at, uint32_t place)
{
    const struct inspect_slot slot = inspect_slot(queue, at);
    const int x = LEFT + (int)(place % A_ROW) * CELL;
    char flags[64];

    fprintf(to,
            "<g class=\"slot\"><title>slot %u: %s; wrap %u, id %u, %u bytes at 0x%llx, %s</title>"
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"28\" fill=\"%s\"/>"
            "<text class=\"small\" x=\"%d\" y=\"%d\">%u</text>"
            "<text class=\"id\" x=\"%d\" y=\"%d\">%u%s</text></g>\n",
            at, slot.owner, slot.wrap, slot.id, slot.len, (unsigned long long)slot.addr,
            inspect_flags(slot.flags, flags), x, y, CELL - (slot.flags & HALO_DESC_NEXT ? 0 : 3),
            colour(&slot), x + 2, y + 10, at, x + 2, y + 24, slot.id,
            slot.flags & HALO_DESC_WRITE ? "w" : "");
    if ((queue->used & 0x7fff) == at)
        fprintf(to,
                "<path class=\"used\" d=\"M%d %d l6 8 h-12 z\"><title>the host gives back "
                "here</title></path>\n",
                x + 8, y + 29);
    if ((queue->avail & 0x7fff) == at)
        fprintf(to,
                "<path class=\"avail\" d=\"M%d %d l6 8 h-12 z\"><title>the host takes "
                "here</title></path>\n",
                x + 22, y + 29);
}

static void put_messages(const struct halo_picture *picture, uint32_t queue)
{
    uint32_t count = 0;
    char text[160], age[32];

    for (uint32_t i = 0; i < picture->request_count; i++) {
        const struct halo_pictured_request *request = &picture->requests[i];

        if (request->queue != queue || request->place == HALO_REQUEST_IS_POSTED ||
            ++count > MESSAGES_MAX)
            continue;
        (void)snprintf(text, sizeof(text), "chain %u: %s, %u bytes, stream 0x%x, %s", request->id,
                       inspect_kind(request->message.kind), request->message.length,
                       request->handle, inspect_age(request->age_ns, age));
        put_line("message", text, sizeof(text));
    }
    if (count > MESSAGES_MAX) {
        (void)snprintf(text, sizeof(text), "and %u more", count - MESSAGES_MAX);
        put_line("message", text, sizeof(text));
    }
}

static void put_queue(const struct inspected *inspected, uint32_t index)
{
    const struct halo_pictured_queue *queue = &inspected->picture.queues[index];
    uint32_t place = 0;
    char text[160];

    y += LINE;
    (void)snprintf(text, sizeof(text),
                   "%s, %u descriptors; the host takes at %u (red), gives back at %u (blue)",
                   index == HALO_QUEUE_G2H ? "To the host" : "To the guest", queue->size,
                   queue->avail & 0x7fffu, queue->used & 0x7fffu);
    put_line("queue", text, sizeof(text));
    y += 6;
    for (uint32_t i = 0; i < queue->size && place < CELLS_MAX; i++) {
        if (!inspect_is_shown(inspected, queue, i))
            continue;
        if (place > 0 && place % A_ROW == 0)
            y += 44;
        put_slot(queue, i, place++);
    }
    y += 44;
    put_messages(&inspected->picture, index);
}

static void put_calls(const struct halo_picture *picture)
{
    char text[HALO_PICTURE_ARGUMENTS + 160];

    for (uint32_t i = 0; i < picture->call_count && i < MESSAGES_MAX; i++) {
        const struct halo_pictured_call *call = &picture->calls[i];

        (void)snprintf(text, sizeof(text), "%s %s(%s): %s",
                       call->place <= HALO_CALL_IS_PUT_OFF ? "guest -> host" : "host -> guest",
                       call->name, call->arguments, inspect_call_place(call->place));
        put_lines("call", text);
    }
}

/* How tall it is follows from what is drawn, so that is drawn first. */
void inspect_svg(const struct inspected *inspected)
{
    char why[INSPECT_WHY_MAX];

    char *drawn = NULL;
    size_t len = 0;

    to = open_memstream(&drawn, &len);
    if (!to)
        return;
    y = 8;
    inspect_why(inspected, why);
    put_lines("why", why);
    put_calls(&inspected->picture);
    for (uint32_t i = 0; i < HALO_QUEUE_COUNT; i++)
        put_queue(inspected, i);
    (void)fclose(to);
    fprintf(tool_out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n",
            WIDTH, y + LINE);
    fputs("<style>rect{stroke:#888;stroke-width:.5}.why{font-weight:bold}.small{font-size:8px;"
          "fill:#666}.id{font-size:10px}.used{fill:#2166ac}.avail{fill:#b2182b}"
          ".queue{font-weight:bold}.message,.call{font-size:11px}</style>\n",
          tool_out);
    if (drawn)
        fwrite(drawn, 1, len, tool_out);
    fputs("</svg>\n", tool_out);
    free(drawn);
}
