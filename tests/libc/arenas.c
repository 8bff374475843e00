/*
 * Sixteen threads, each with a stack and an arena of malloc's of its own: addresses of 8 and 64 MiB
 * and more each, of which little is used. They take turns.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 16, ROUNDS = 20, BLOCKS = 50 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int turn;

static void wait_for_turn(long id)
{
    pthread_mutex_lock(&mutex);
    while (turn % THREADS != id)
        pthread_cond_wait(&moved, &mutex);
    turn++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&mutex);
}

static void *work(void *argument)
{
    const long id = (long)argument;
    char *blocks[BLOCKS], stack[60000];
    long wrong = 0;

    memset(stack, (int)id, sizeof(stack));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            const size_t len = 1000 + (size_t)i * 37 * (size_t)(id + 1);

            blocks[i] = malloc(len);
            memset(blocks[i], (int)id, len);
        }
        wait_for_turn(id);
        for (int i = 0; i < BLOCKS; i++) {
            wrong += blocks[i][0] != (char)id || blocks[i][999] != (char)id;
            free(blocks[i]);
        }
        wrong += stack[0] != (char)id || stack[sizeof(stack) - 1] != (char)id;
    }
    return (void *)wrong;
}

int main(void)
{
    pthread_t threads[THREADS];
    long wrong = 0;

    for (long id = 0; id < THREADS; id++) {
        if (pthread_create(&threads[id], NULL, work, (void *)id) != 0) {
            printf("no thread %ld\n", id);
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;

        pthread_join(threads[i], &result);
        wrong += (long)result;
    }
    printf("%d turns, %ld wrong\n", turn, wrong);
    return 0;
}
