/* Names and sentences of the error codes. No dependencies: part of the freestanding library. */
#include <halo/error.h>

struct error_text {
    int code;
    const char *name;
    const char *text;
};

static const struct error_text texts[] = {
    {HALO_EINVAL, "HALO_EINVAL", "an argument is out of its documented range"},
    {HALO_ENOMEM, "HALO_ENOMEM", "no memory left; free something or make the pool larger"},
    {HALO_EFULL, "HALO_EFULL", "the ring has no room for this chain; take completions first"},
    {HALO_EBROKEN, "HALO_EBROKEN",
     "the other side broke a rule of the ring; only a reset makes the queue usable again"},
    {HALO_EREJECT, "HALO_EREJECT",
     "the buffers of a chain are not acceptable; it was given back empty"},
    {HALO_ESTALE, "HALO_ESTALE", "the token, id or handle is no longer valid"},
    {HALO_ETIMEDOUT, "HALO_ETIMEDOUT", "the deadline passed"},
    {HALO_EFAULT, "HALO_EFAULT", "the guest faulted and will not run again"},
    {HALO_EPANIC, "HALO_EPANIC", "the guest gave up with a message and will not run again"},
    {HALO_EPOISONED, "HALO_EPOISONED", "the guest broke the protocol and will not run again"},
    {HALO_EGUEST, "HALO_EGUEST", "the guest file was refused"},
    {HALO_EFILE, "HALO_EFILE", "a file could not be opened or read"},
    {HALO_EHOST, "HALO_EHOST", "the operating system refused something that Halo needs"},
    {HALO_ENOKVM, "HALO_ENOKVM",
     "no usable /dev/kvm; load the kvm module, join the group kvm, or use the process backend"},
    {HALO_ESTATE, "HALO_ESTATE", "not possible in the present state of the sandbox or queue"},
    {HALO_EIO, "HALO_EIO", "an end point failed"},
    {HALO_EBUSY, "HALO_EBUSY", "in use just now; wait until the other use of it has ended"},
    {HALO_ENAME, "HALO_ENAME", "no function has this name; provide it before the guest starts"},
    {HALO_ETYPE, "HALO_ETYPE", "a value or a function is of another type than its signature says"},
    {HALO_ECOUNT, "HALO_ECOUNT", "more or fewer arguments than the function has"},
    {HALO_ESIZE, "HALO_ESIZE", "a value is longer than the limit"},
    {HALO_EDEPTH, "HALO_EDEPTH", "calls inside calls are deeper than the limit"},
    {HALO_EMESSAGE, "HALO_EMESSAGE", "bytes that are no message"},
    {HALO_ECALL, "HALO_ECALL", "the function was called and failed; its code and text tell why"},
    {HALO_EDEADLOCK, "HALO_EDEADLOCK",
     "what is waited for cannot come before this wait is over; wait outside of the function"},
    {HALO_ETRANSPORT, "HALO_ETRANSPORT",
     "the stack transport cannot do this; use the ring transport"},
    {HALO_ELIMIT, "HALO_ELIMIT",
     "the guest used up its CPU time or its exits, and will not run again; raise the limit"},
    {HALO_EINTERRUPTED, "HALO_EINTERRUPTED",
     "halo_interrupt ended this before it was done; do it again to let the guest go on"},
};

static const struct error_text *find(int error)
{
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].code == error)
            return &texts[i];
    }
    return (void *)0;
}

const char *halo_errname(int error)
{
    const struct error_text *text = find(error);

    if (error >= 0)
        return "HALO_OK";
    return text ? text->name : "HALO_EUNKNOWN";
}

const char *halo_strerror(int error)
{
    const struct error_text *text = find(error);

    if (error >= 0)
        return "success";
    return text ? text->text : "an unknown error";
}
