#include "spelling.h"

#include <string.h>

enum { WORD_BYTES = 64 };

int gt_word_distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la > WORD_BYTES || lb > WORD_BYTES) return WORD_BYTES;
    int row[3][WORD_BYTES + 1];
    for (size_t j = 0; j <= lb; j++) row[0][j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            int best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best) best = up[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && upup[j - 2] + 1 < best)
                best = upup[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[la % 3][lb];
}

int gt_word_is_near(const char *word, int distance)
{
    return distance <= (int)strlen(word) / 3 + 1;
}
