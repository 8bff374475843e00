/* A depth-first search over choices: each history of them is run once. */
#ifndef HALO_TESTS_PATHS_H
#define HALO_TESTS_PATHS_H

#define CHOICES_MAX 64

/* The choices of this run, and how many there were to choose from at each. */
static struct {
    uint32_t taken[CHOICES_MAX], of[CHOICES_MAX];
    uint32_t depth;
    uint64_t runs;
} path;

static inline uint32_t choose(uint32_t of)
{
    assert_true(path.depth < CHOICES_MAX);
    path.of[path.depth] = of;
    return path.taken[path.depth++];
}

static inline void path_start(void)
{
    memset(&path, 0, sizeof(path));
}

/* To the next path, in the order of a depth-first search. False after the last. */
static inline bool next_path(void)
{
    path.runs++;
    for (; path.depth > 0; path.depth--) {
        if (++path.taken[path.depth - 1] < path.of[path.depth - 1]) {
            path.depth = 0;
            return true;
        }
        path.taken[path.depth - 1] = 0;
    }
    return false;
}

#endif
