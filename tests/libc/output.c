/* Output by lines, blocks and at once, with errors between: they come out as they were written. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    static char buffer[256];

    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("a line\nand a ");
    fprintf(stderr, "an error before the rest\n");
    printf("rest\n");
    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    for (int i = 0; i < 100; i++) {
        printf("block %d\n", i);
        if (i % 30 == 0)
            fflush(stdout);
        if (i % 40 == 0)
            fprintf(stderr, "error %d\n", i);
    }
    fflush(stdout);
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int i = 0; i < 20; i++) {
        putchar('a' + i);
        if (i % 7 == 0)
            write(STDERR_FILENO, "!", 1);
    }
    puts("");
    write(STDOUT_FILENO, "raw\n", 4);
    fprintf(stderr, "%s", "");
    printf("%d %d\n", isatty(0), isatty(1));
    fclose(stdout);
    return write(STDOUT_FILENO, "x", 1) == -1 ? 3 : 4;
}
