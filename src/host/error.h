/* Words for an error: a place to put them, which is all that the files beneath the sandbox know. */
#ifndef HALO_SRC_ERROR_H
#define HALO_SRC_ERROR_H

#include <halo/error.h>

struct halo_words {
    char text[1024]; /* "" before any */
};

/* Put the words there, and return the code. */
int halo__fail(struct halo_words *words, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
