/* rope_table.h - the cosines and sines of rotary positions (docs/model/gemma3.md section 2.3). */
#ifndef GT_ROPE_TABLE_H
#define GT_ROPE_TABLE_H

#include "dtype.h"

/* Fills cos, sin [positions, d/2]: angle = pos * inv_freq in float32, inv_freq[j] = 1 / theta^(2j/d) / factor in
 * float32; values rounded to bf16 when act is GT_BF16. */
void gt_rope_table(float *cos, float *sin, int positions, int d, double theta, double factor, gt_dtype act);

#endif
