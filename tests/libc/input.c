/* Standard input: by lines, characters and blocks, however long it is. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char line[200], block[100000];
    uint64_t sum = 0, count = 0;
    size_t got;
    int c, number;

    if (argc > 1 && strcmp(argv[1], "numbers") == 0) {
        while (scanf("%d", &number) == 1)
            sum += (uint64_t)number;
        printf("%ju\n", (uintmax_t)sum);
        return 0;
    }
    for (int i = 0; i < 3 && fgets(line, sizeof(line), stdin); i++)
        printf("line: %s", line);
    c = getchar();
    ungetc(c, stdin);
    printf("next: %d\n", c);
    while ((got = fread(block, 1, sizeof(block), stdin)) > 0) {
        for (size_t i = 0; i < got; i++)
            sum = sum * 31 + (unsigned char)block[i];
        count += got;
    }
    printf("%ju bytes, %ju, %d %d %d\n", (uintmax_t)count, (uintmax_t)sum, feof(stdin),
           ferror(stdin), getchar());
    return 0;
}
