/* rows_table.h - all the row loops of one path; included once by each rows_<path>.c, which then names its table. */
#ifndef GT_ROWS_TABLE_H
#define GT_ROWS_TABLE_H

#include "decode_rows.h"
#include "elementwise_rows.h"
#include "mlp_rows.h"
#include "norm_rows.h"
#include "rope_rows.h"
#include "row_loops.h"

#define GT_ROWS_TABLE                                                                                                  \
    {                                                                                                                  \
        .norm = {norm_f32, norm_bf16}, .norm_bwd = {norm_bwd_f32, norm_bwd_bf16}, .rope = {rope_f32, rope_bf16},       \
        .rope_bwd = {rope_bwd_f32, rope_bwd_bf16}, .geglu = {geglu_f32, geglu_bf16},                                   \
        .geglu_bwd = {geglu_bwd_f32, geglu_bwd_bf16}, .dropout = dropout_row, .cast = cast_run,                        \
        .scale = {scale_f32, scale_bf16}, .add = add_run, .decode = {decode_to_f32, decode_to_bf16},                   \
        .adamw = adamw_run, .fix_add = fix_add_run, .fix_get = fix_get_run, .sum_squares = sum_squares_run,            \
    }

#endif
