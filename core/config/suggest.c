/* config/suggest.c: see suggest.h. */
#include "config/suggest.h"

#include <string.h>

enum { LONGEST = 63 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters have to be put in, left out, replaced or swapped with their neighbour to make one of the
 * other (the optimal string alignment distance). Both are at most LONGEST long. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][LONGEST + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *now = rows[i % 3], *before = rows[(i - 1) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            now[j] = smaller(smaller(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = smaller(now[j], two_before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *suggest(const char *word, const void *names, size_t count, size_t stride)
{
    size_t len = strlen(word);
    if (len < 2 || len > LONGEST)
        return NULL;
    size_t least = len < 5 ? 2 : 3; /* a distance of this is too far */
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        memcpy(&name, (const char *)names + i * stride, sizeof name);
        if (!name || strlen(name) > LONGEST || strlen(name) <= least - 1)
            continue;
        size_t far = distance(word, name);
        if (far < least) {
            least = far;
            best = name;
        }
    }
    return best;
}
