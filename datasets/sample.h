/* sample.h - one training or scoring row as token ids with its supervision. What every reader makes and the packer,
 * loader and scorer take. */
#ifndef GT_SAMPLE_H
#define GT_SAMPLE_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int32_t *ids; /* [n] owned */
    uint8_t
        *label; /* [n] owned: 1 where ids[p] is supervised, i.e. predicted from position p-1. label[0] is always 0 */
    int n;
    int supervised;    /* number of ones in label */
    int prompt_tokens; /* where the answer begins: prompt_tokens of the last turn; 0 for plain text */
    bool truncated;    /* cut to max_length */
    uint64_t row;      /* 0-based number of the row in its dataset, over all files, counting refused rows */
    /* multiple choice only: */
    int choices; /* 0: not a multiple-choice row */
    int answer;  /* index of the right choice */
} gt_sample;

typedef struct {
    gt_sample *sample; /* [count] owned */
    size_t count, capacity;
    size_t rows_read, rows_truncated, rows_unsupervised, rows_refused;
    uint64_t tokens, supervised;
    int longest;        /* tokens of the longest sample */
    uint8_t sha256[32]; /* of ids and labels of all samples in order: the dataset's identity */
} gt_samples;

void gt_sample_free(gt_sample *s);   /* NULL and zeroed structs are fine */
void gt_samples_free(gt_samples *s); /* the same */

#endif
