/* A guest that answers its own system calls, with the number and a thousand. */
#ifndef HALO_TESTS_GUESTS_ANSWER_H
#define HALO_TESTS_GUESTS_ANSWER_H

#include <halo/abi.h>

__attribute__((visibility("hidden"))) void answer(void);

static const struct {
    uint32_t name_len, description_len, type;
    char name[8];
    void (*entry)(void);
} __attribute__((packed)) note __attribute__((section(".note.halo.syscall"), used, aligned(4))) = {
    sizeof(HALO_NOTE_NAME), 8, HALO_NOTE_SYSCALL, HALO_NOTE_NAME, answer};

__asm__(".pushsection .text\n"
        ".globl answer\n"
        ".hidden answer\n"
        "answer:\n"
        "    add $1000, %rax\n"
        "    jmp *%rcx\n"
        ".popsection\n");

#endif
