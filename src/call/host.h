/* Functions that the host provides, and the guest's calls of them. */
#ifndef HALO_SRC_CALL_HOST_H
#define HALO_SRC_CALL_HOST_H

#include <halo/halo.h>
#include "../host/request.h"

/* Longest strings and bytes of one call that are announced in the envelope, all together. */
#define HALO_RAW_MAX (16ull << 20)

struct halo_provided {
    char name[HALO_FUNCTION_NAME_MAX + 1];
    struct halo_signature signature;
    halo_function *function;
    void *context;
};

/* What a sandbox knows of functions. */
struct halo_functions {
    struct halo_provided *provided; /* a function's index is its place, from 1 */
    uint32_t count;
    bool greeted; /* the guest has said what it imports */
};

/*
 * Serve a request that is a greeting, or a call. It is answered, but not published. Returns NULL,
 * or what cannot be understood: then it is not answered.
 */
const char *halo__hello(struct halo_sandbox *box, struct halo_request *request);
const char *halo__call_serve(struct halo_sandbox *box, struct halo_request *request);
/* A call in the compact form, which lay in its descriptor; `bytes` are private. */
const char *halo__call_compact(struct halo_sandbox *box, struct halo_request *request,
                               const unsigned char *bytes, size_t len);

#endif
