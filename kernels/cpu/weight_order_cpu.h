/* weight_order_cpu.h - which decoded weights lie in an order of their own.
 *
 * oneDNN multiplies from blocks (weight_order_avx512.h) and copies any other right operand into them on every call.
 * Written so once a layer, by the decoder itself, a product costs no copies, and tiles may be as low as the caches like
 * them. */
#ifndef GT_WEIGHT_ORDER_CPU_H
#define GT_WEIGHT_ORDER_CPU_H

#include "decode.h"

#include <stdbool.h>

/* Whether decode_weight of a weight [rows, cols] writes blocks, and gemm reads them; false: row-major whatever is
 * asked. The same on every machine that runs the same path. */
bool gt_weight_is_packed(gt_dtype act, int rows, int cols, gt_weight_order order);

#endif
