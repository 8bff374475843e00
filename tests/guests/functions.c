/*
 * functions: a guest of functions for its host, which call back. It has no main program. For
 * tests/calls.
 */
#include <halo/guest.h>
#include "types.h"

HALO_IMPORT(host_twice, "host.twice", HALO_I64, HALO_I64);
HALO_IMPORT(host_down, "host.down", HALO_I64, HALO_I64);
HALO_IMPORT(host_text, "host.text", HALO_STR, HALO_U32);
HALO_IMPORT(host_note, "host.note", HALO_VOID, HALO_I64);

#define ECHO(suffix, TYPE)                                  \
    HALO_EXPORT(echo_##suffix, "echo." #suffix, TYPE, TYPE) \
    {                                                       \
        halo_return(call, args[0]);                         \
    }

EACH_TYPE(ECHO)

HALO_EXPORT(nothing, "nothing", HALO_VOID)
{
}

HALO_EXPORT(many, "many", HALO_I64, HALO_I32, HALO_U32, HALO_I64, HALO_U64, HALO_F64, HALO_BOOL,
            HALO_STR, HALO_BYTES)
{
    const bool good = args[0].i32 == -1 && args[1].u32 == 2 && args[2].i64 == -3 &&
                      args[3].u64 == 4 && args[4].f64 == 5.5 && args[5].boolean &&
                      args[6].len == 3 && memcmp(args[6].str, "six", 4) == 0 && args[7].len == 5 &&
                      memcmp(args[7].bytes, "seven", 5) == 0;

    halo_return(call, halo_i64(good ? 42 : 0));
}

HALO_EXPORT(sum, "sum", HALO_U64, HALO_BYTES, HALO_STR, HALO_BYTES)
{
    uint64_t total = 0;

    for (int k = 0; k < 3; k++) {
        for (size_t i = 0; i < args[k].len; i++)
            total += ((const unsigned char *)args[k].bytes)[i];
    }
    if (args[1].str[args[1].len] != '\0')
        halo_panic("text without its end");
    halo_return(call, halo_u64(total));
}

/* A result of any length, in memory that is gone afterwards. */
HALO_EXPORT(fill, "fill", HALO_BYTES, HALO_U32)
{
    unsigned char *memory = malloc(args[0].u32);

    if (!memory) {
        halo_fail(call, 12, "no memory");
        return;
    }
    for (uint32_t i = 0; i < args[0].u32; i++)
        memory[i] = (unsigned char)(i * 13 + i / 256);
    halo_return(call, halo_bytes(memory, args[0].u32));
    memset(memory, 0, args[0].u32);
    free(memory);
}

HALO_EXPORT(failing, "failing", HALO_I32, HALO_I32, HALO_STR)
{
    if (halo_fail(call, args[0].i32, args[1].str))
        halo_return(call, halo_i32(1)); /* 0 is no code */
    if (halo_return(call, halo_i32(2)) != HALO_ESTATE || halo_fail(call, 5, "") != HALO_ESTATE)
        halo_panic("a second answer");
}

HALO_EXPORT(mute, "mute", HALO_I32)
{
}

HALO_EXPORT(confused, "confused", HALO_I32)
{
    if (halo_return(call, halo_str("no number")) != HALO_ETYPE)
        halo_panic("another type");
}

/* Calls back, once. */
HALO_EXPORT(twice_plus, "twice_plus", HALO_I64, HALO_I64)
{
    struct halo_future future;

    if (halo_call(&future, &host_twice, args[0]))
        halo_fail(call, -future.error, future.text);
    else
        halo_return(call, halo_i64(future.result.i64 + 1));
}

/* Host and guest count down together; an error on the way comes back as a result of -its code. */
HALO_EXPORT(down, "down", HALO_I64, HALO_I64)
{
    struct halo_future future;

    if (args[0].i64 == 0)
        halo_return(call, halo_i64(0));
    else if (halo_call(&future, &host_down, halo_i64(args[0].i64 - 1)))
        halo_return(call, halo_i64(future.error));
    else
        halo_return(call,
                    halo_i64(future.result.i64 < 0 ? future.result.i64 : future.result.i64 + 1));
}

/* Many calls back, all in flight at once. */
HALO_EXPORT(fan, "fan", HALO_I64, HALO_U32)
{
    struct halo_future *futures = calloc(args[0].u32, sizeof(*futures));
    int64_t total = 0;

    for (uint32_t i = 0; i < args[0].u32; i++) {
        const struct halo_value value = halo_i64(i);

        halo_call_start(&futures[i], &host_twice, &value, 1);
    }
    for (uint32_t i = args[0].u32; i-- > 0;) {
        if (halo_wait(&futures[i]))
            halo_panic(futures[i].text);
        total += futures[i].result.i64;
    }
    free(futures);
    halo_return(call, halo_i64(total));
}

/* Answers, and goes on: so many calls are always in flight, without an end. */
HALO_EXPORT(ask, "ask", HALO_VOID, HALO_U32)
{
    static struct halo_future futures[64];
    const uint32_t count = args[0].u32;

    halo_return(call, halo_void());
    if (count == 0 || count > sizeof(futures) / sizeof(futures[0]))
        return;
    for (uint32_t i = 0;; i++) {
        const struct halo_value value = halo_i64(i);

        if (i >= count && halo_wait(&futures[i % count]))
            halo_panic(futures[i % count].text);
        halo_call_start(&futures[i % count], &host_twice, &value, 1);
    }
}

/* The length of text that the host makes, `count` times; then what that took. */
HALO_EXPORT(texts, "texts", HALO_U64, HALO_U32, HALO_U32)
{
    struct halo_call_stats stats;
    struct halo_future future;

    for (uint32_t i = 0; i < args[1].u32; i++) {
        if (halo_call(&future, &host_text, halo_u32(args[0].u32)) ||
            future.result.len != args[0].u32 || strlen(future.result.str) != args[0].u32)
            halo_panic("text from the host");
        halo_future_free(&future);
    }
    halo_call_stats(&stats);
    halo_return(call, halo_u64(stats.truncated));
}

/* Text of more and more bytes, all asked for at once: more calls than there is room for. */
HALO_EXPORT(flood, "flood", HALO_U64, HALO_U32)
{
    struct halo_future *futures = calloc(args[0].u32, sizeof(*futures));
    uint64_t total = 0;

    for (uint32_t i = 0; i < args[0].u32; i++) {
        const struct halo_value len = halo_u32(20 * i);

        halo_call_start(&futures[i], &host_text, &len, 1);
    }
    for (uint32_t i = 0; i < args[0].u32; i++) {
        if (halo_wait(&futures[i]))
            halo_panic(futures[i].text);
        if (futures[i].result.len != 20 * i || strlen(futures[i].result.str) != 20 * i)
            halo_panic("another text");
        total += futures[i].result.len;
        halo_future_free(&futures[i]);
    }
    free(futures);
    halo_return(call, halo_u64(total));
}

/* Starts calls and returns without waiting for them. */
HALO_EXPORT(notes, "notes", HALO_VOID, HALO_I64)
{
    static struct halo_future futures[8];

    for (int i = 0; i < 8; i++) {
        const struct halo_value value = halo_i64(args[0].i64 + i);

        halo_call_start(&futures[i], &host_note, &value, 1);
    }
}

HALO_EXPORT(leave, "leave", HALO_VOID, HALO_I32)
{
    halo_exit(args[0].i32);
}

HALO_EXPORT(spin, "spin", HALO_I32, HALO_U64)
{
    for (volatile uint64_t i = 0; i < args[0].u64; i++)
        continue;
    halo_return(call, halo_i32(7));
}

/*
 * Spins with these flags and a number of its own in every register and in the red zone; `after` is
 * what they are then.
 */
void steady(uint64_t turns, uint64_t *after, uint64_t flags);

__asm__(".pushsection .text\n"
        ".globl steady\n"
        "steady:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
        "    push %rdx\n popf\n"
        "    mov %rdi, %rcx\n"
        "    mov $100, %eax\n mov $101, %ebx\n mov $102, %edx\n mov $103, %esi\n"
        "    mov $104, %edi\n mov $105, %ebp\n mov $106, %r8d\n mov $107, %r9d\n"
        "    mov $108, %r10d\n mov $109, %r11d\n mov $110, %r12d\n mov $111, %r13d\n"
        "    mov $112, %r14d\n mov $113, %r15d\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movq $115 + \\i, -8 - 8 * \\i(%rsp)\n"
        "    movq -8 - 8 * \\i(%rsp), %xmm\\i\n"
        ".endr\n"
        "1:  lea -1(%rcx), %rcx\n"
        "    jrcxz 2f\n"
        "    jmp 1b\n"
        "2:  mov (%rsp), %rcx\n"
        "    mov %rax, (%rcx)\n mov %rbx, 8(%rcx)\n mov %rdx, 16(%rcx)\n mov %rsi, 24(%rcx)\n"
        "    mov %rdi, 32(%rcx)\n mov %rbp, 40(%rcx)\n mov %r8, 48(%rcx)\n mov %r9, 56(%rcx)\n"
        "    mov %r10, 64(%rcx)\n mov %r11, 72(%rcx)\n mov %r12, 80(%rcx)\n"
        "    mov %r13, 88(%rcx)\n mov %r14, 96(%rcx)\n mov %r15, 104(%rcx)\n"
        ".irp i, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    mov -8 - 8 * \\i(%rsp), %rax\n"
        "    mov %rax, 120 + 8 * \\i(%rcx)\n"
        "    movq %xmm\\i, 248 + 8 * \\i(%rcx)\n"
        ".endr\n"
        "    pushf\n pop 112(%rcx)\n"
        "    push $2\n popf\n"
        "    pop %rsi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "    ret\n"
        ".popsection\n");

/* How many of them are not what they were. */
HALO_EXPORT(keep, "keep", HALO_I32, HALO_U64, HALO_U64)
{
    uint64_t after[47];
    int lost = 0;

    steady(args[0].u64, after, args[1].u64);
    for (uint64_t i = 0; i < 47; i++)
        lost += after[i] != (i == 14 ? args[1].u64 : i < 31 ? 100 + i : 84 + i);
    halo_return(call, halo_i32(lost));
}

static int code; /* that the program ends with once its calls are over */

HALO_EXPORT(end_with, "end_with", HALO_VOID, HALO_I32)
{
    code = args[0].i32;
    halo_return(call, halo_void());
}

int main(void)
{
    halo_serve();
    return code;
}

HALO_EXPORT(crash, "crash", HALO_VOID)
{
    __asm__ volatile("ud2");
}

HALO_EXPORT(say, "say", HALO_VOID, HALO_STR)
{
    const int error = halo_write(HALO_STDOUT, args[0].str, args[0].len);

    if (error)
        halo_fail(call, -error, "cannot write");
    if (halo_serve() != HALO_ESTATE)
        halo_panic("serving inside of a function");
}

/* As many calls as share an exit, by the guest's own word; how many, or a negative error. */
HALO_EXPORT(fill_exit, "fill_exit", HALO_I64)
{
    const uint32_t count = halo_room().requests;
    struct halo_future *futures = calloc(count, sizeof(*futures));
    int64_t error = 0;

    for (uint32_t i = 0; i < count; i++)
        halo_call_start(&futures[i], &host_twice, (struct halo_value[]){halo_i64(i)}, 1);
    for (uint32_t i = 0; i < count; i++) {
        if (halo_wait(&futures[i]) || futures[i].result.i64 != 2 * (int64_t)i)
            error = -1;
        halo_future_free(&futures[i]);
    }
    free(futures);
    halo_return(call, halo_i64(error ? error : count));
}

HALO_EXPORT(room, "room", HALO_U64, HALO_U32)
{
    const struct halo_room room = halo_room();
    const uint64_t fields[] = {room.requests_max, room.requests, room.calls_max, room.deferred_max,
                               room.deferred_len};

    halo_return(call, halo_u64(fields[args[0].u32 % 5]));
}

/* The length of a text of the host's, or its error. */
HALO_EXPORT(text_len, "text_len", HALO_I64, HALO_U32)
{
    struct halo_future future;
    const int error = halo_call(&future, &host_text, args[0]);

    halo_return(call, halo_i64(error ? error : (int64_t)future.result.len));
    halo_future_free(&future);
}
