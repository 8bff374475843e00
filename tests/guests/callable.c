/* Computes, and lets itself be called meanwhile: tests/calls/test_upcalls.c. */
#include <halo/guest.h>

HALO_IMPORT(ask, "ask", HALO_I64, HALO_I64);

static volatile int64_t flag, rounds;

/* Until somebody has set the flag so. */
HALO_EXPORT(await, "await", HALO_I64, HALO_I64)
{
    halo_callable(true);
    while (flag != args[0].i64)
        rounds++;
    halo_callable(false);
    halo_return(call, halo_i64(flag));
}

HALO_EXPORT(set, "set", HALO_VOID, HALO_I64)
{
    flag = args[0].i64;
    halo_return(call, halo_void());
}

/* Calls its host, which may call it. */
HALO_EXPORT(relay, "relay", HALO_I64, HALO_I64)
{
    struct halo_future future;
    int64_t result = -1;

    halo_call_start(&future, &ask, args, 1);
    if (halo_wait(&future) == 0)
        result = future.result.i64;
    halo_future_free(&future);
    halo_return(call, halo_i64(result));
}

/* As await, when its host has answered. */
HALO_EXPORT(ask_and_await, "ask_and_await", HALO_I64, HALO_I64)
{
    struct halo_future future;
    int64_t value = -1;

    halo_call_start(&future, &ask, args, 1);
    if (halo_wait(&future) == 0)
        value = future.result.i64;
    halo_future_free(&future);
    halo_callable(true);
    while (flag != value)
        rounds++;
    halo_callable(false);
    halo_return(call, halo_i64(flag));
}

/* As await, inside of a function that was called so: nothing is called on top of it. */
HALO_EXPORT(add, "add", HALO_I64, HALO_I64)
{
    halo_callable(true);
    for (volatile int i = 0; i < 1000; i++)
        continue;
    halo_callable(false);
    flag += args[0].i64;
    halo_return(call, halo_i64(flag));
}

/*
 * Every register that a program has, vectors and flags among them, holds what it held until the
 * flag is set. Returns how often it was looked at, or 0 where one was another.
 */
__asm__(".text\n"
        "keep:\n"
        "    push %rbx\n    push %rbp\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    mov %rdi, -16(%rsp)\n" /* in the red zone */
        "    mov %rsi, -24(%rsp)\n"
        "    movq $0, -32(%rsp)\n"
        "    mov $1, %eax\n    mov $2, %ebx\n    mov $3, %ecx\n    mov $4, %edx\n    mov $5, %esi\n"
        "    mov $6, %ebp\n    mov $8, %r8d\n    mov $9, %r9d\n    mov $10, %r10d\n"
        "    mov $11, %r11d\n    mov $12, %r12d\n    mov $13, %r13d\n    mov $14, %r14d\n"
        "    mov $15, %r15d\n"
        "    movq %rax, %xmm0\n    movq %rbx, %xmm7\n    movq %r15, %xmm15\n"
        "    fld1\n    fldpi\n"
        "    std\n    stc\n"
        "1:  jnc 9f\n"
        "    mov -16(%rsp), %rdi\n    mov (%rdi), %rdi\n"
        "    lea (%rdi,%rax), %rdi\n"
        "    pushf\n"
        "    cmp $1, %rdi\n"
        "    je 3f\n"
        "    cmp $2, %ebx\n    jne 8f\n    cmp $3, %ecx\n    jne 8f\n    cmp $4, %edx\n    jne 8f\n"
        "    cmp $5, %esi\n    jne 8f\n    cmp $6, %ebp\n    jne 8f\n    cmp $8, %r8d\n    jne 8f\n"
        "    cmp $9, %r9d\n    jne 8f\n    cmp $10, %r10d\n    jne 8f\n    cmp $11, %r11d\n"
        "    jne 8f\n    cmp $12, %r12d\n    jne 8f\n    cmp $13, %r13d\n    jne 8f\n"
        "    cmp $14, %r14d\n    jne 8f\n    cmp $15, %r15d\n    jne 8f\n    cmp $1, %eax\n"
        "    jne 8f\n"
        "    movq %xmm0, %rdi\n    cmp $1, %rdi\n    jne 8f\n"
        "    movq %xmm7, %rdi\n    cmp $2, %rdi\n    jne 8f\n"
        "    movq %xmm15, %rdi\n    cmp $15, %rdi\n    jne 8f\n"
        "    testl $0x400, (%rsp)\n    jz 8f\n" /* the direction */
        "    popf\n"
        "    jmp 1b\n"
        "3:  popf\n    cld\n"
        "    fstp %st(0)\n    fld1\n    fcomip %st(1), %st\n    fstp %st(0)\n"
        "    mov $1, %eax\n    je 4f\n"
        "7:  xor %eax, %eax\n"
        "4:  pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %rbp\n    pop %rbx\n"
        "    ret\n"
        "8:  popf\n"
        "9:  cld\n    fninit\n    jmp 7b\n");

int keep(volatile int64_t *end, int64_t unused);

/* The flag is 0 when it begins, and is set to 0 where it is to end: 1 is added to what is there. */
HALO_EXPORT(registers, "registers", HALO_I64)
{
    int kept;

    (void)args;
    flag = 5;
    halo_callable(true);
    kept = keep(&flag, 0);
    halo_callable(false);
    halo_return(call, halo_i64(kept));
}

/* More of its stack than there is. */
HALO_EXPORT(deep, "deep", HALO_VOID)
{
    volatile unsigned char bytes[HALO_CALLABLE_STACK - 2048];

    (void)args;
    for (uint32_t i = 0; i < sizeof(bytes); i += 64)
        bytes[i] = 1;
    halo_return(call, halo_void());
}

/* What no program may. */
HALO_EXPORT(misuse, "misuse", HALO_I64, HALO_I64)
{
    struct halo_future future;

    halo_callable(true);
    halo_call_start(&future, &ask, args, 1);
    (void)halo_wait(&future);
    halo_return(call, halo_i64(0));
}

/* Hostile: says it can be called, with an address and at a place of its own choice. */
HALO_EXPORT(lie, "lie", HALO_VOID, HALO_U64, HALO_U64)
{
    volatile struct halo_save *save = (struct halo_save *)(uintptr_t)halo_boot_page()->save;
    volatile struct halo_upcall *upcall;

    (void)call;
    halo_callable(false); /* the host is told where it is */
    upcall = (struct halo_upcall *)(uintptr_t)save->upcall;
    upcall->entry = args[1].u64;
    if (args[0].u64)
        save->upcall = args[0].u64;
    upcall->may = HALO_UPCALL_MAY;
    for (;;)
        rounds++;
}

int main(void)
{
    return halo_serve();
}
