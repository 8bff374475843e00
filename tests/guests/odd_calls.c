/*
 * A guest that answers system calls itself and makes them as no program would: odd_calls MODE. What
 * comes back to its own code is counted; where the processor objects the host tells the fault.
 */
#include <halo/guest.h>

static uint64_t answered __attribute__((used));

/* The note, and the code that it names: it touches no stack, for there may be none. */
__asm__(".pushsection .text\n"
        "entry:\n"
        "    incq answered(%rip)\n"
        "    jmp *%rcx\n"
        ".popsection\n"
        ".pushsection .note.halo, \"a\", @note\n"
        "    .balign 4\n"
        "    .long 5, 8, 2\n"
        "    .asciz \"Halo\"\n"
        "    .balign 4\n"
        "    .quad entry\n"
        ".popsection\n");

/* All registers that it can be are `junk`, rsp too. */
static void call_with(uint64_t number, uint64_t junk)
{
    static uint64_t rsp __attribute__((used)), rbp __attribute__((used));

    __asm__ volatile("mov %%rsp, %c[rsp](%%rip)\n\t"
                     "mov %%rbp, %c[rbp](%%rip)\n\t"
                     "mov %[junk], %%rsp\n\t"
                     "mov %[junk], %%rbp\n\t"
                     "syscall\n\t"
                     "mov %c[rsp](%%rip), %%rsp\n\t"
                     "mov %c[rbp](%%rip), %%rbp\n\t"
                     : "+a"(number)
                     : [junk] "r"(junk), "D"(junk), "S"(junk),
                       "d"(junk), [rsp] "i"(&rsp), [rbp] "i"(&rbp)
                     : "rcx", "r11", "memory");
}

static void every_number(void)
{
    static const uint64_t junk[] = {0,
                                    8,
                                    UINT64_MAX,
                                    0x8000000000000000,
                                    0x00007fffffffffff,
                                    0xffff800000000000,
                                    0x60000000,
                                    0x60006ff8,
                                    0x200000};
    uint64_t asked = 0;

    for (uint64_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        for (uint64_t number = 0; number < 600; number++) {
            if (number == 336) /* uprobe: newer kernels filter it for nobody, and refuse it */
                continue;
            call_with(number, junk[i] + number % 8);
            asked++;
        }
        call_with(UINT64_MAX - i, junk[i]);
        call_with(15, junk[i]); /* rt_sigreturn */
        call_with(0x40000000, junk[i]);
        asked += 3;
    }
    halo_exit(answered == asked ? 7 : 8);
}

/* Flags that could do harm at CPL0 are clear on arrival, or it is CPL3. */
static void flags(void)
{
    __asm__ volatile(
        "pushfq\n\t orq $0x40400, (%%rsp)\n\t popfq\n\t syscall\n\t cld\n\t" /* AC DF */
        :
        : "a"(39ull)
        : "rcx", "r11", "memory", "cc");
    __asm__ volatile("pushfq\n\t orq $0x4000, (%%rsp)\n\t popfq\n\t syscall\n\t" /* NT */
                     :
                     : "a"(39ull)
                     : "rcx", "r11", "memory", "cc");
    halo_exit(answered == 2 ? 7 : 8);
}

/* Single steps, over the instruction and out of what hides it. */
static void step(void)
{
    __asm__ volatile("pushfq\n\t orq $0x100, (%%rsp)\n\t popfq\n\t syscall\n\t nop\n\t nop"
                     :
                     : "a"(39ull)
                     : "rcx", "r11", "memory", "cc");
    halo_exit(answered == 1 ? 7 : 8);
}

static void shadow(void)
{
    __asm__ volatile("mov %%ss, %%edx\n\t pushfq\n\t orq $0x100, (%%rsp)\n\t popfq\n\t"
                     "mov %%edx, %%ss\n\t syscall\n\t nop\n\t nop"
                     :
                     : "a"(39ull)
                     : "rcx", "rdx", "r11", "memory", "cc");
    halo_exit(answered == 1 ? 7 : 8);
}

/* A fault behind it, with a stack that is none. */
static void fault_after(void)
{
    __asm__ volatile("xor %%esp, %%esp\n\t syscall\n\t ud2" : : "a"(39ull) : "memory");
}

static void fault_before(void)
{
    __asm__ volatile("mov $-8, %%rsp\n\t push %%rax\n\t syscall" : : "a"(39ull) : "memory");
}

/* Some processors take the base, and object to what is read through it. */
static void bad_base(void)
{
    __asm__ volatile("wrfsbase %0\n\t syscall\n\t mov %%fs:0, %%rax"
                     :
                     : "r"(0x8000000000000000ull), "a"(39ull)
                     : "memory");
}

static void int80(void)
{
    __asm__ volatile("int $0x80" : : "a"(39ull) : "memory");
}

static void sysenter(void)
{
    __asm__ volatile("sysenter" : : "a"(39ull) : "memory");
}

/*
 * Where old programs had their calls: in a process the kernel may make one of it, which comes to
 * the guest with the address behind the caller's instruction.
 */
static void vsyscall(void)
{
    void (*const old)(void) = (void (*)(void))(uintptr_t)0xffffffffff600000;

    old();
    halo_exit(answered == 1 ? 7 : 8);
}

/* The code at CPL0 is readable, and no more: it cannot be jumped into with other rights. */
static void inside(void)
{
    const uint64_t way = halo_boot_page()->doorbell + HALO_SYSCALL_OFFSET;

    __asm__ volatile("lea 1f(%%rip), %%rcx\n\t mov $0, %%esp\n\t jmp *%0\n\t 1: ud2"
                     :
                     : "r"(way + 29)
                     : "rcx", "memory"); /* the sysretq */
}

/* A null function pointer, behind a sound call: rcx still has where that came back to. */
static void null_call(void)
{
    __asm__ volatile("syscall\n\t xor %%eax, %%eax\n\t call *%%rax"
                     :
                     : "a"(39ull)
                     : "rcx", "r11", "memory");
}

/* As a C library waits for a lock that nobody else holds. */
static void for_ever(void)
{
    for (;;) {
        __asm__ volatile("syscall" : : "a"(202ull) : "rcx", "r11", "memory");
        ((struct halo_save *)(uintptr_t)halo_boot_page()->save)->calls++;
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {
        {"every-number", every_number},
        {"flags", flags},
        {"step", step},
        {"shadow", shadow},
        {"after", fault_after},
        {"before", fault_before},
        {"bad-base", bad_base},
        {"int80", int80},
        {"sysenter", sysenter},
        {"vsyscall", vsyscall},
        {"inside", inside},
        {"null-call", null_call},
        {"for-ever", for_ever},
    };

    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        const size_t len = strlen(modes[i].name);

        if (strlen(argv[1]) == len && memcmp(argv[1], modes[i].name, len) == 0)
            modes[i].run();
    }
    return 1;
}
