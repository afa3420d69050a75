#include "rope_table.h"

#include <math.h>

void gt_rope_table(float *cos_out, float *sin_out, int positions, int d, double theta, double factor, gt_dtype act)
{
    const int half = d / 2;
    for (int j = 0; j < half; j++) {
        /* every step rounded to float as the reference's tensors are: an ulp here is 1e-3 rad at position 10,000 */
        float exponent = (float)(2 * j) / (float)d;
        float frequency = 1.0f / (float)pow(theta, (double)exponent);
        if (factor != 1.0) frequency /= (float)factor;
        for (int t = 0; t < positions; t++) {
            float angle = frequency * (float)t;
            float c = (float)cos((double)angle), s = (float)sin((double)angle);
            if (act == GT_BF16) {
                c = gt_bf16_to_f32(gt_f32_to_bf16(c));
                s = gt_bf16_to_f32(gt_f32_to_bf16(s));
            }
            cos_out[(size_t)t * (size_t)half + (size_t)j] = c;
            sin_out[(size_t)t * (size_t)half + (size_t)j] = s;
        }
    }
}
