/*
 * halo inspect: what a dump or a snapshot says of its sandbox.
 *
 *     inspect.c        the sub-command
 *     inspect_read.c   bytes from anywhere, and a picture out of them
 *     inspect_why.c    one sentence: what the sandbox waits for (inspect_doing.c), or why it has
 *                      ended (inspect_end.c)
 *     inspect_rings.c  whose each slot of a ring is
 *     inspect_text.c   all of it for people
 *     inspect_json.c   and for programs
 *     inspect_svg.c    and drawn
 *
 * These files know the library's picture of a sandbox (src/host/picture.h), besides public headers.
 * Of a picture that was read no number is to be believed: each is shown, and none is an index.
 */
#ifndef HALO_SRC_TOOL_INSPECT_H
#define HALO_SRC_TOOL_INSPECT_H

#include "../host/picture.h"
#include "symbols.h"
#include "tool.h"

#define INSPECT_WHY_MAX 2048u
#define INSPECT_ENTRY_S 5 /* for whoever listens at a socket to have a place for us, */
#define INSPECT_PEER_S 15 /* and to answer */
#define INSPECT_NO_ANSWER \
    "its host does not answer: it is inside of a function of its own, which has not returned"

struct inspected {
    struct halo_picture picture;
    struct tool_place places[HALO_PICTURE_FRAMES]; /* of its frames, or "" */
    uint64_t pages_at, page_count;                 /* where in the file its pages are */
    bool all;                                      /* every slot of a ring */
    char wrong[256];                               /* why it cannot be read */
};

/* --- Reading: inspect_read.c ------------------------------------------------------------------ */

/* All that a descriptor has: false, and what is wrong with it. A socket's peer has so long. */
bool inspect_read(struct inspected *inspected, int fd, bool is_socket);

/* A page of guest memory, where the file has it. */
bool inspect_page(const struct inspected *inspected, int fd, uint64_t address, unsigned char *page);

/* --- What it says ----------------------------------------------------------------------------- */

/* What it waits for and why, or why it has ended: one sentence, of INSPECT_WHY_MAX bytes. */
void inspect_why(const struct inspected *inspected, char *why);

/* "3.2 s", or "" where nobody knows. `text` has 32 bytes and is returned. */
const char *inspect_age(uint64_t age_ns, char *text);

/* "standard input", or its name or handle. `text` has 96 bytes and is returned. */
const char *inspect_title(const struct halo_pictured_stream *stream, char *text);

/* Names of what there is; never NULL. */
const char *inspect_use(uint32_t use);
const char *inspect_end(const struct halo_pictured_stream *stream);
const char *inspect_kind(uint8_t kind);
const char *inspect_call_place(uint32_t place);
const char *inspect_state(const struct halo_picture *picture);
const char *inspect_event(const struct halo_pictured_event *event);
/* What lies at that address, or NULL. */
const struct halo_pictured_range *inspect_range(const struct halo_picture *picture,
                                                uint64_t address);

/* --- Rings: inspect_rings.c ------------------------------------------------------------------- */

struct inspect_slot {
    uint32_t slot;
    const char *owner; /* who may touch it next, and why */
    bool wrap;         /* of its flag AVAIL */
    bool is_used;      /* what is written there is the host's */
    uint16_t id, flags;
    uint32_t len;
    uint64_t addr;
};

/* A slot as it stands, of those below the queue's size. */
struct inspect_slot inspect_slot(const struct halo_pictured_queue *queue, uint32_t slot);

/* Whether it is one that tells something: near where the host stands, or not taken yet. */
bool inspect_is_shown(const struct inspected *inspected, const struct halo_pictured_queue *queue,
                      uint32_t slot);

/* "next, write, inline"; `text` has 64 bytes and is returned. */
const char *inspect_flags(uint16_t flags, char *text);

/* What an event word asks for. `text` has 96 bytes and is returned. */
const char *inspect_event_word(uint32_t word, char *text);

/* --- Out -------------------------------------------------------------------------------------- */

void inspect_text(const struct inspected *inspected);
void inspect_json(const struct inspected *inspected);
void inspect_svg(const struct inspected *inspected);

#endif
