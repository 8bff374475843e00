/* Where the program's vector registers are while it makes a system call: vectors.h. */
#include "vectors.h"

unsigned char *halo__linux_top __attribute__((visibility("hidden"), used));
bool halo__linux_kept __attribute__((visibility("hidden"), used)) = true;

/* All of them, to the frame (struct frame of handler.h). */
__asm__(".pushsection .text\n"
        ".hidden halo__linux_save_vectors\n"
        ".globl halo__linux_save_vectors\n"
        "halo__linux_save_vectors:\n"
        "    mov halo__linux_top(%rip), %r11\n"
        ".set i, 0\n"
        ".irp reg, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    movaps %xmm\\reg, 128 + 16 * i(%r11)\n"
        ".set i, i + 1\n"
        ".endr\n"
        "    ret\n"
        ".popsection\n");

void halo__linux_save_vectors(void);

void halo__linux_keep_vectors(void)
{
    if (halo__linux_kept)
        return;
    halo__linux_kept = true;
    halo__linux_save_vectors();
}
