// A guest in C++: every form of the header that C++ can use.
#include <halo/guest.h>
#include <halo/guest_rows.h>

HALO_IMPORT(ask, "host.ask", HALO_I64, HALO_I64, HALO_STR);
HALO_IMPORT(nothing, "host.nothing", HALO_I64);

HALO_EXPORT(twice, "cxx.twice", HALO_I64, HALO_I64)
{
    struct halo_future first, second;

    if (halo_call(&first, &ask, args[0], halo_str("abc")) || halo_call(&second, &nothing)) {
        halo_fail(call, 1, "the host did not answer");
        return;
    }
    halo_return(call, halo_i64(first.result.i64 + second.result.i64));
}

HALO_EXPORT(count, "cxx.count", HALO_I64)
{
    static int64_t calls;

    halo_return(call, halo_i64(++calls));
}

HALO_EXPORT_ROWS(shout, "cxx.shout", HALO_STR, HALO_STR)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len;
        const char *text = halo_column_text(&rows->args[0], i, &len);

        if (halo_column_has(&rows->args[0], i))
            (void)halo_rows_put(rows, i, text, len > 0 ? len - 1 : 0);
    }
}

struct total {
    size_t len;
};

static void total_end(struct halo_rows *rows)
{
    if (rows->count > 0)
        *static_cast<int64_t *>(rows->result) =
            static_cast<int64_t>(static_cast<const total *>(rows->state)->len);
}

HALO_EXPORT_AGGREGATE(total_len, total_end, struct total, "cxx.total", HALO_I64, HALO_STR)
{
    for (uint32_t i = 0; i < rows->count; i++) {
        size_t len = 0;

        if (halo_column_has(&rows->args[0], i))
            (void)halo_column_text(&rows->args[0], i, &len);
        static_cast<total *>(rows->state)->len += len;
    }
}

int main()
{
    char *text = static_cast<char *>(malloc(8));

    memcpy(text, "serving\n", 8);
    halo_write(HALO_STDOUT, text, 8);
    free(text);
    halo_log(HALO_LOG_INFO, "%s", "counting");
    return halo_serve();
}
