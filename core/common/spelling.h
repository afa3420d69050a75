/* spelling.h - how far a misspelled word is from a known one. */
#ifndef GT_SPELLING_H
#define GT_SPELLING_H

/* Edits that make b of a: insert, delete, replace, swap of neighbours (optimal string alignment). Words above 64 bytes
 * are as far from everything as can be (64). */
int gt_word_distance(const char *a, const char *b);

/* Whether so many edits of a word are still a likeness: at most a third of its letters, and one. */
int gt_word_is_near(const char *word, int distance);

#endif
