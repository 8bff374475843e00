/*
 * A guest whose host takes snapshots of it and restores it. `tenant` serves calls; `tenant probe`
 * waits in code of its own before that, and notes there with which registers it comes back;
 * `tenant streams` opens a reader and a writer by the names "in" and "out" first.
 */
#include "check.h"
#include <halo/guest.h>
#include <stdlib.h>

HALO_IMPORT(host_twice, "host.twice", HALO_I64, HALO_I64);

static int64_t count;
static struct halo_reader in;
static struct halo_writer out;

HALO_EXPORT(add, "add", HALO_I64, HALO_I64)
{
    count += args[0].i64;
    halo_return(call, halo_i64(count));
}

HALO_EXPORT(ask, "ask", HALO_I64, HALO_I64)
{
    struct halo_future future;

    halo_call(&future, &host_twice, args[0]);
    if (halo_wait(&future) == 0)
        halo_return(call, future.result);
    else
        halo_fail(call, 9, future.text);
    halo_future_free(&future);
}

HALO_EXPORT(say, "say", HALO_I64, HALO_I64)
{
    halo_log(HALO_LOG_WARN, "called with %lld", (long long)args[0].i64);
    halo_return(call, args[0]);
}

/* Write to so many pages of fresh memory, and leave them allocated. */
HALO_EXPORT(dirty, "dirty", HALO_U64, HALO_U32, HALO_U32)
{
    unsigned char *memory = malloc((size_t)args[0].u32 * HALO_PAGE);

    if (!memory)
        halo_panic("no memory");
    for (uint32_t i = 0; i < args[0].u32; i++)
        memset(memory + (size_t)i * HALO_PAGE, (int)args[1].u32, 64);
    halo_return(call, halo_u64((uintptr_t)memory));
}

HALO_EXPORT(seed, "seed", HALO_U64)
{
    halo_return(call, halo_u64(halo_boot_page()->seed[0]));
}

HALO_EXPORT(epoch, "epoch", HALO_U64)
{
    halo_return(call, halo_u64(halo_boot_page()->epoch));
}

/* A call that never comes to its end. */
HALO_EXPORT(loop, "loop", HALO_VOID)
{
    for (;;)
        __asm__ volatile("pause");
}

HALO_EXPORT(fault, "fault", HALO_VOID)
{
    volatile int *volatile nowhere = (volatile int *)8;

    *nowhere = 0;
}

HALO_EXPORT(panic, "panic", HALO_VOID)
{
    halo_panic("as it was told to");
}

HALO_EXPORT(port, "port", HALO_VOID)
{
    __asm__ volatile("out %%al, $0x80" : : "a"(0));
}

/* For what no doorbell is rung. */
HALO_EXPORT(poison, "poison", HALO_VOID)
{
    void (*doorbell)(uint64_t, uint64_t, uint64_t) =
        (void (*)(uint64_t, uint64_t, uint64_t))(uintptr_t)halo_boot_page()->doorbell;

    doorbell(99, 0, 0);
}

/* --- Streams ---------------------------------------------------------------------------------- */

HALO_EXPORT(read, "read", HALO_BYTES)
{
    const void *bytes = "";
    const int64_t len = halo_reader_next(&in, &bytes);

    halo_return(call, halo_bytes(bytes, len > 0 ? (size_t)len : 0));
}

HALO_EXPORT(write, "write", HALO_I32, HALO_STR)
{
    const int error = halo_writer_write(&out, args[0].str, args[0].len);

    halo_return(call, halo_i32(error ? error : halo_writer_flush(&out)));
}

/* --- Registers -------------------------------------------------------------------------------- */

struct found {
    uint64_t general[9]; /* rax, rcx, rdx, rsi, rdi, r8 to r11 */
    uint64_t flags;
    uint64_t bases[2];
    uint64_t selectors[5]; /* ds, es, fs, gs, ss */
    uint64_t control;      /* mxcsr, and the x87 control word above it */
    uint64_t status;       /* of the x87: tags and the like in 28 bytes */
    uint64_t x87[4];
    unsigned char vectors[32 * 64];
    uint64_t masks[8];
};

static struct found found __attribute__((aligned(64)));

static uint64_t xcr0(void)
{
    uint32_t low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

#define HAS_AVX(word) (((word)&4) != 0)
#define HAS_AVX512(word) (((word)&0xe0) == 0xe0)

/* Ring with WAIT for a call, for so many ns, and note everything that there is. */
void probe(struct found *to, uint64_t doorbell, uint64_t ns, uint64_t xcr0);
/* Fill everything with ones or the like, and ring so in this place, for ever. */
_Noreturn void spoil(uint64_t xcr0, uint64_t ring, uint64_t kind);

__asm__(".text\n"
        ".globl probe, spoil\n"
        "probe:\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rdi, %rbx\n    mov %rcx, %r12\n    mov %rsi, %rax\n"
        "    mov $2, %edi\n    mov $1, %esi\n" /* rdx: ns */
        "    sub $8, %rsp\n"
        "    call *%rax\n"
        "    mov %rax, (%rbx)\n    mov %rcx, 8(%rbx)\n    mov %rdx, 16(%rbx)\n"
        "    mov %rsi, 24(%rbx)\n    mov %rdi, 32(%rbx)\n    mov %r8, 40(%rbx)\n"
        "    mov %r9, 48(%rbx)\n    mov %r10, 56(%rbx)\n    mov %r11, 64(%rbx)\n"
        "    pushfq\n    pop 72(%rbx)\n"
        "    cld\n"
        "    rdfsbase %rax\n    mov %rax, 80(%rbx)\n"
        "    rdgsbase %rax\n    mov %rax, 88(%rbx)\n"
        "    mov %ds, %rax\n    mov %rax, 96(%rbx)\n    mov %es, %rax\n    mov %rax, 104(%rbx)\n"
        "    mov %fs, %rax\n    mov %rax, 112(%rbx)\n    mov %gs, %rax\n    mov %rax, 120(%rbx)\n"
        "    mov %ss, %rax\n    mov %rax, 128(%rbx)\n"
        "    stmxcsr 136(%rbx)\n    fnstcw 140(%rbx)\n"
        "    fnstenv 144(%rbx)\n"
        "    lea 184(%rbx), %rax\n"
        "    test $0xe0, %r12b\n"
        "    jnz 3f\n"
        "    test $4, %r12b\n"
        "    jnz 2f\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movups %xmm\\reg, (%rax)\n    add $64, %rax\n"
        ".endr\n"
        "    jmp 4f\n"
        "2:\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vmovups %ymm\\reg, (%rax)\n    add $64, %rax\n"
        ".endr\n"
        "    jmp 4f\n"
        "3:\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vmovups %zmm\\reg, (%rax)\n    add $64, %rax\n"
        ".endr\n"
        ".irp reg, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "    vmovups %zmm\\reg, (%rax)\n    add $64, %rax\n"
        ".endr\n"
        ".irp reg, 0,1,2,3,4,5,6,7\n"
        "    kmovq %k\\reg, (%rax)\n    add $8, %rax\n"
        ".endr\n"
        "4:  add $8, %rsp\n"
        "    pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n"
        "spoil:\n"
        "    mov %rdi, %r12\n    mov %rsi, %r13\n    mov %rdx, %r14\n"
        "    fldpi\n    fldpi\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    pcmpeqd %xmm\\reg, %xmm\\reg\n"
        ".endr\n"
        "    test $4, %r12b\n"
        "    jz 1f\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    vinsertf128 $1, %xmm\\reg, %ymm\\reg, %ymm\\reg\n"
        ".endr\n"
        "1:  test $0xe0, %r12b\n"
        "    jz 2f\n"
        ".irp reg, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
        "    vpternlogd $0xff, %zmm\\reg, %zmm\\reg, %zmm\\reg\n"
        ".endr\n"
        ".irp reg, 1,2,3,4,5,6,7\n"
        "    kxnorq %k\\reg, %k\\reg, %k\\reg\n"
        ".endr\n"
        "2:  movl $0x7f80, -16(%rsp)\n    ldmxcsr -16(%rsp)\n"
        "    movw $0x0f7f, -16(%rsp)\n    fldcw -16(%rsp)\n"
        "    mov $0x2b, %eax\n    mov %eax, %ds\n    mov %eax, %es\n"
        "    mov $0x987654321, %rax\n    wrgsbase %rax\n"
        "    mov $0x123456789, %rax\n    wrfsbase %rax\n"
        "    pushfq\n    orq $0x40400, (%rsp)\n    popfq\n" /* AC, DF */
        "    mov %r13, %r15\n    mov %r14, %rbp\n"
        "    mov $-1, %rbx\n    mov $-1, %rcx\n    mov $-1, %r8\n    mov $-1, %r9\n"
        "    mov $-1, %r10\n    mov $-1, %r11\n    mov $-1, %r12\n    mov $-1, %r14\n"
        "    mov $2, %edi\n    mov $1, %esi\n    xor %edx, %edx\n    xor %eax, %eax\n"
        "    mov $1024, %rsp\n"
        "    cmp $0, %rbp\n"
        "    jne 3f\n"
        "    jmp *%r15\n"
        "3:  out %al, $0xe1\n"
        "    hlt\n");

/* What a register has, that nobody has put there. */
static const char *dirty_register(void)
{
    const uint64_t word = xcr0();
    const size_t each = HAS_AVX512(word) ? 64 : HAS_AVX(word) ? 32 : 16;

    for (int i = 1; i < 9; i++) {
        if (i != 4 && found.general[i] != 0) /* rdi is the boot page */
            return "a general register";
    }
    if (found.general[4] != (uintptr_t)halo_boot_page())
        return "rdi";
    if (found.flags & 0x40400)
        return "flags";
    if (found.bases[0] != (uintptr_t)halo_boot_page() + HALO_THREAD_OFFSET || found.bases[1] != 0)
        return "a base";
    if (found.selectors[0] || found.selectors[1] || found.selectors[2] || found.selectors[3])
        return "a selector";
    if (found.control != 0x037f00001f80)
        return "a control word";
    for (size_t i = 0; i < (HAS_AVX512(word) ? 32 : 16); i++) {
        for (size_t k = 0; k < each; k++) {
            if (found.vectors[64 * i + k])
                return "a vector register";
        }
    }
    for (int i = 0; i < 8 && HAS_AVX512(word); i++) {
        if (found.masks[i])
            return "a mask register";
    }
    return "";
}

HALO_EXPORT(look, "look", HALO_STR)
{
    const char *dirty = dirty_register();

    halo_return(call, halo_str(dirty));
}

/* All memory that a guest can write, but for what it needs to come so far as to ring. */
static void scribble(uint64_t from, uint64_t to)
{
    for (volatile uint64_t *at = (uint64_t *)from; at < (uint64_t *)to; at++)
        *at = 0x5a5a5a5a5a5a5a5a;
}

/* Poison everything, and ring from code of its own: 0 the host's doorbell, 1 an `out`. */
HALO_EXPORT(ruin, "ruin", HALO_VOID, HALO_U32)
{
    const struct halo_boot *boot = halo_boot_page();
    const unsigned char *ring = (const unsigned char *)(uintptr_t)boot->doorbell;
    const uint64_t kind = args[0].u32, word = xcr0(), heap = boot->heap_base,
                   heap_end = heap + boot->heap_len, pool = boot->pool_base, save_end = boot->args;

    while (!(ring[0] == 0x0f && ring[1] == 0x05) && !(ring[0] == 0xe6 && ring[1] == 0xe1))
        ring++;
    scribble(heap, heap_end);
    scribble(pool, pool + boot->pool_len);
    /* Rings would be judged when it rings: they are left as they are. */
    scribble(boot->save, save_end);
    spoil(word, (uintptr_t)ring, kind);
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == 'p')
        probe(&found, halo_boot_page()->doorbell, 20000000, xcr0());
    if (argc > 1 && argv[1][0] == 's') {
        uint32_t handle;

        check(halo_stream_open("in", &handle) == 0, "no stream in");
        check(halo_reader_open(&in, handle) == 0, "no reader");
        check(halo_stream_open("out", &handle) == 0, "no stream out");
        check(halo_writer_open(&out, handle) == 0, "no writer");
    }
    return halo_serve();
}
