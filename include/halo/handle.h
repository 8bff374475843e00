/*
 * Objects of the host's that a guest can hold, hand back and not forge.
 *
 *     static const struct halo_handle_kind cursors = {"cursor", close_cursor};
 *     static const struct halo_signature open_type = HALO_FN(HALO_HANDLE, HALO_STR);
 *     static const struct halo_signature next_type = HALO_FN(HALO_I64, HALO_HANDLE);
 *
 *     static void open(struct halo_call *call, const struct halo_value *args, void *context)
 *     {
 *         struct halo_sandbox *box = halo_call_sandbox(call);
 *         struct halo_handle handle;
 *
 *         if (halo_handle_create(box, &cursors, cursor_on(args[0].str), &handle))
 *             halo_fail(call, 1, "too many cursors");
 *         else
 *             halo_return(call, halo_handle_value(handle));
 *     }
 *
 *     static void next(struct halo_call *call, const struct halo_value *args, void *context)
 *     {
 *         void *cursor;
 *
 *         if (halo_handle_find(halo_call_sandbox(call), &cursors, args[0].handle, &cursor))
 *             halo_fail(call, 2, "no cursor");
 *         else
 *             halo_return(call, halo_i64(step(cursor)));
 *     }
 *
 * The guest sees a number and nothing of the object. It is the number of a place, how often that
 * was used, and 32 random bits, and all of it is compared at every use. A call of the guest's with
 * a handle that there is not, be it made up, freed, of another sandbox or older than the last
 * halo_restore, is answered HALO_ESTALE, and the host's function is not called; so a result of the
 * guest's is HALO_ESTALE for the host. Of what kind it is halo_handle_find says, which is asked
 * whenever the object is used: a function may have freed it while another one waited.
 *
 * A sandbox holds halo_options.handles_max handles. They end with halo_handle_free, which is the
 * host's to call, say in a function for the guest; all of them with halo_restore and halo_close.
 */
#ifndef HALO_HANDLE_H
#define HALO_HANDLE_H

#include <halo/halo.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* Most handles of a sandbox, and as many as it has by default. */
#define HALO_HANDLES_MAX 65536u
#define HALO_HANDLES_DEFAULT 4096u

/* What an object is. Kinds are told apart by their address; they outlive their handles. */
struct halo_handle_kind {
    const char *name; /* for words: "cursor" */
    /*
     * Called once for each handle, when it ends: by halo_handle_free, halo_restore or halo_close,
     * on their thread. It must not use the sandbox; of all handles at an end, a halo_handle_create
     * inside of it is refused. May be NULL.
     */
    void (*release)(void *object);
};

/*
 * A handle of an object, which may be NULL, for this sandbox's guest. Any state but after a failed
 * halo_open; also inside of functions of the host's. Returns 0; HALO_EFULL where there are
 * handles_max already; HALO_EINVAL for a kind or name that is NULL; HALO_ENOMEM; HALO_EHOST where
 * the kernel gives no random bits; HALO_EBUSY; HALO_ESTATE in a fork, or while halo_restore or
 * halo_close end all handles. Then there is no handle, and the object was not released.
 */
int halo_handle_create(struct halo_sandbox *box, const struct halo_handle_kind *kind, void *object,
                       struct halo_handle *handle);

/*
 * The object of a handle of this kind. Returns 0; HALO_ESTALE where there is no such handle;
 * HALO_ETYPE where it is of another kind; HALO_EINVAL for a kind that is NULL; HALO_EBUSY,
 * HALO_ESTATE. *object is NULL with an error.
 */
int halo_handle_find(struct halo_sandbox *box, const struct halo_handle_kind *kind,
                     struct halo_handle handle, void **object);

/* End a handle: its object is released. Returns what halo_handle_find does. */
int halo_handle_free(struct halo_sandbox *box, const struct halo_handle_kind *kind,
                     struct halo_handle handle);

/* How many handles there are. Any state. */
uint32_t halo_handle_count(const struct halo_sandbox *box);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
