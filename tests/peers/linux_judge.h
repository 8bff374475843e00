/* What the judge, its trials and its measurements share. */
#ifndef HALO_TESTS_PEERS_LINUX_JUDGE_H
#define HALO_TESTS_PEERS_LINUX_JUDGE_H

#include "linux_driver.h"

#define REQUESTS_MAX 4096u   /* in flight at once; only the largest rings have room for more */
#define SEGMENT_STRIDE 1000u /* so that segments cross pages */
#define SPANS (2 * PEER_SEGMENTS)
#define QUEUE_LEN (1u << 20)
#define AREA_LEN ((size_t)REQUESTS_MAX * PEER_SEGMENTS * SEGMENT_STRIDE)

/* Pages for rings, bytes to read, bytes to write; and what is no memory of the guest. */
extern unsigned char *queue_area, *out_area, *in_area, *elsewhere;

/* All pages are free again, whoever has them. */
void peer_pages_forget(void);

enum mode {
    MODE_EVENT_IDX, /* EVENT_IDX negotiated */
    MODE_PLAIN,     /* not negotiated; the device asks for all kicks or for none */
    MODE_PLAIN_AT,  /* not negotiated, yet the device arms as if it were */
    MODES,
};

/* Run `quota` requests and print what became of them; false where something was wrong. */
bool trial(uint32_t size, enum mode mode, uint64_t quota, uint64_t seed);

/* The table of times, on standard output. */
void bench(void);

/* The test itself cannot go on. */
void __attribute__((noreturn)) die(const char *what);

#endif
