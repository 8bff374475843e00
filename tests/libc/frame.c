/* A frame of 8 MiB. */
#include <stdio.h>
#include <string.h>

static int large(const char *text)
{
    volatile char frame[8 << 20];

    for (size_t i = 0; i < sizeof(frame); i += 1024)
        frame[i] = text[i % 4];
    return frame[0] + frame[sizeof(frame) - 1024] + printf("%s\n", text);
}

int main(void)
{
    return large("deep");
}
