/*
 * Being called while computing (struct halo_upcall in halo/abi_upcall.h). The host is told of it by
 * the first halo_callable.
 *
 * The host has changed where the processor is, and nothing else. Flags and stack pointer are kept
 * without a register: by mov and lea, on a stack of its own. The word `may` is set again when all
 * else is back; one that is called between that and the jump which follows is where the jump leads
 * to, as it was.
 */
#include "boot.h"
#include "port.h"

#define GUARD_LEN 8192u /* below the stack: nothing is written there */
#define GUARD 0x75706361
#define STATE_KNOWN 0xe7u /* of XCR0: x87, SSE, AVX and the three of AVX-512 */

struct upcall_stack {
    uint32_t guard[GUARD_LEN / 4];
    unsigned char bytes[HALO_CALLABLE_STACK];
};

_Static_assert(sizeof(struct upcall_stack) == 73728 && HALO_UPCALL_MAY == 1 &&
                   offsetof(struct halo_upcall, from) == 8,
               "of the code below");

/* The code's below. */
__attribute__((aligned(64), visibility("hidden"))) struct upcall_stack halo__upcall_stack;
__attribute__((aligned(64), visibility("hidden"))) unsigned char halo__upcall_vectors[2752];
__attribute__((visibility("hidden"))) uint64_t halo__upcall_rsp, halo__upcall_to;
__attribute__((visibility("hidden"))) uint32_t halo__upcall_state; /* 0: there is no XSAVE */

extern const unsigned char halo__upcall_entry[], halo__upcall_back[];

__attribute__((visibility("hidden"), used)) void halo__upcall_serve(void);

__asm__(".pushsection .text\n"
        ".hidden halo__upcall_entry, halo__upcall_back\n"
        ".globl halo__upcall_entry, halo__upcall_back\n"
        "halo__upcall_entry:\n"
        "    mov %rsp, halo__upcall_rsp(%rip)\n"
        "    lea halo__upcall_stack + 73728(%rip), %rsp\n"
        "    pushfq\n"
        "    push %rax\n    push %rbx\n    push %rcx\n    push %rdx\n    push %rsi\n"
        "    push %rdi\n    push %rbp\n    push %r8\n    push %r9\n    push %r10\n"
        "    push %r11\n    push %r12\n    push %r13\n    push %r14\n    push %r15\n"
        "    cld\n"
        "    xor %edx, %edx\n"
        "    mov halo__upcall_state(%rip), %eax\n"
        "    test %eax, %eax\n"
        "    jz 1f\n"
        "    xsave64 halo__upcall_vectors(%rip)\n"
        "    jmp 2f\n"
        "1:  fxsave64 halo__upcall_vectors(%rip)\n"
        "2:  fninit\n"
        "    pushq $0x1f80\n"
        "    ldmxcsr (%rsp)\n"
        "    pop %rax\n"
        "    call halo__upcall_serve\n"
        "    xor %edx, %edx\n"
        "    mov halo__upcall_state(%rip), %eax\n"
        "    test %eax, %eax\n"
        "    jz 1f\n"
        "    xrstor64 halo__upcall_vectors(%rip)\n"
        "    jmp 2f\n"
        "1:  fxrstor64 halo__upcall_vectors(%rip)\n"
        "2:  pop %r15\n    pop %r14\n    pop %r13\n    pop %r12\n    pop %r11\n"
        "    pop %r10\n    pop %r9\n    pop %r8\n    pop %rbp\n    pop %rdi\n"
        "    pop %rsi\n    pop %rdx\n    pop %rcx\n    pop %rbx\n    pop %rax\n"
        "    popfq\n"
        "    mov halo__upcall_rsp(%rip), %rsp\n"
        "    movq $1, halo__upcall(%rip)\n"
        "halo__upcall_back:\n"
        "    jmp *halo__upcall_to(%rip)\n"
        ".popsection\n");

static void check_stack(void)
{
    for (uint32_t i = 0; i < GUARD_LEN / 4; i++) {
        if (halo__upcall_stack.guard[i] != GUARD)
            halo_panic("a function that was called while the program computed needs more stack");
    }
}

void halo__upcall_serve(void)
{
    if (halo__upcall.from != (uintptr_t)halo__upcall_back)
        halo__upcall_to = halo__upcall.from;
    halo__port_upcall(check_stack);
}

/* The host is left for, so that it sees who asks. */
static void start(const struct halo_boot *boot)
{
    struct halo_save *save = (struct halo_save *)(uintptr_t)boot->save;
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (ecx >> 27 & 1) { /* OSXSAVE */
        __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        halo__upcall_state = eax & STATE_KNOWN;
    }
    for (uint32_t i = 0; i < GUARD_LEN / 4; i++)
        halo__upcall_stack.guard[i] = GUARD;
    halo__upcall.entry = (uintptr_t)halo__upcall_entry;
    if (!save || halo__on_stacks())
        return;
    save->upcall = (uintptr_t)&halo__upcall;
    halo__doorbell(HALO_DOORBELL_KICK, HALO_QUEUE_H2G, 0);
}

/* As the host does it, which finds an upcall under way and leaves it alone. It may be called then.
 */
static void call_itself(void)
{
    halo__shm_store_stopped(&halo__upcall.may, HALO_UPCALL_IS);
    __asm__ volatile("    lea 1f(%%rip), %%rax\n"
                     "    mov %%rax, 8 + halo__upcall(%%rip)\n"
                     "    jmp halo__upcall_entry\n"
                     "1:\n"
                     :
                     :
                     : "rax", "memory");
}

/*
 * In an upcall there is none, whatever is said. What came while the program waited for something
 * else, and was put off there, is in no ring, and the host does not call for it again; and nobody
 * has seen what was answered since the guest last left. All of that is done before the program
 * computes.
 */
void halo_callable(bool may)
{
    if (halo__upcall.entry == 0)
        start(halo_boot_page());
    if (halo__shm_load_stopped(&halo__upcall.may) == HALO_UPCALL_IS)
        return;
    if (may && !halo__on_stacks() && halo__port_is_called())
        call_itself();
    else
        halo__shm_store_stopped(&halo__upcall.may, may ? HALO_UPCALL_MAY : HALO_UPCALL_NOT);
}
