/* attention_tiles_cpu.h - what the cpu attention's forward and backward share: the tiles a call is cut into, and the
 * products and copies on one tile.
 *
 * A tile is up to 128 (query, head) rows of one document and one kv head: the heads that share the kv head lie under
 * one another, so that each key and value is multiplied with all of them at once. Keys come in runs of 64, 128 or 256
 * that begin at multiples of 64; only runs that some row of the tile sees are touched. Tiles and runs depend on shapes
 * only. */
#ifndef GT_ATTENTION_TILES_CPU_H
#define GT_ATTENTION_TILES_CPU_H

#include "attention.h"
#include "attention_rows.h"
#include "onednn.h"

enum { GT_ATTN_ROWS = 128, GT_ATTN_KEYS = 64, GT_ATTN_RUN = 256 };

typedef struct {
    const gt_attn *a;
    const gt_attention_rows *rows;
    gt_dtype act;     /* of q, k, v, o */
    gt_dtype operand; /* of products: act, or GT_F32 where bf16 values are widened */
    size_t act_bytes, operand_bytes;
    int group;        /* query heads a kv head */
    int tile_queries; /* queries a tile: group * tile_queries <= GT_ATTN_ROWS */
} gt_attn_plan;

/* GT_ERR_ARG: heads that are no multiple of kv_heads, over 128 query heads a kv head, or less scratch than `need`. */
gt_status gt_attn_plan_make(gt_attn_plan *p, const gt_exec *x, const gt_attn *a, gt_dtype act, size_t need);

/* Query tiles of a span. */
int gt_attn_tiles(const gt_attn_plan *p, const gt_attn_span *s);

/* One tile: rows r = i * group + g for query q0 + i of the span and head kv_head * group + g. */
typedef struct {
    const gt_attn_span *span;
    int kv_head, q0, queries;
    int rows, padded;       /* queries * group, and that rounded up to a multiple of 16 */
    int key_begin, key_end; /* union of what the rows see: key_begin a multiple of 64; key_begin >= key_end: nothing */
    int begin[GT_ATTN_ROWS], end[GT_ATTN_ROWS]; /* of each row; padding rows see nothing */
} gt_attn_tile;

/* Tile number `tile` of a span and a kv head. */
void gt_attn_tile_make(gt_attn_tile *t, const gt_attn_plan *p, const gt_attn_span *s, int kv_head, int tile);

/* Copies the tile's rows of src ([n, heads, d] act, stride elements between rows of the batch) to dst [padded, d]
 * operand, zeros below; and back from float32, rounded to act. */
void gt_attn_gather(void *dst, const gt_attn_plan *p, const gt_attn_tile *t, const void *src, ptrdiff_t stride);
void gt_attn_scatter(void *dst, ptrdiff_t stride, const gt_attn_plan *p, const gt_attn_tile *t, const float *src);

/* Keys begin ... begin + count - 1 of a document, multiplied as `keys` rows: zeros stand for those it lacks. */
typedef struct {
    int begin, count;
    int keys; /* 64, 128 or 256 */
} gt_attn_run;

/* The run that begins at key `at` (a multiple of 64), not longer than `limit` keys (a multiple of 64). */
gt_attn_run gt_attn_run_at(const gt_attn_tile *t, int at, int limit);

/* The run's keys or values of the tile's kv head as an operand of products, [keys, d] with *stride elements between
 * rows: where they lie if they can be used as they are, else a copy in scratch (gt_attn_run_bytes). */
const void *gt_attn_run_keys(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, void *scratch,
                             ptrdiff_t *stride);
const void *gt_attn_run_values(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, void *scratch,
                               ptrdiff_t *stride);
size_t gt_attn_run_bytes(int head_dim);

/* C[m,n] = op(A) op(B) + beta C with operands of the plan's dtype; A and C are dense. */
gt_status gt_attn_product(const gt_attn_plan *p, int m, int n, int k, const void *a, bool ta, const void *b,
                          ptrdiff_t ldb, bool tb, void *c, gt_dtype c_dtype, float beta, void *scratch);

/* Tasks are numbered through spans, kv heads and the parts(p, s) parts of each: finds the task-th (true), or counts
 * them all into *part (task < 0, false). */
typedef int gt_attn_parts(const gt_attn_plan *p, const gt_attn_span *s);
bool gt_attn_locate(const gt_attn_plan *p, gt_attn_parts *parts, int task, int *span, int *kv_head, int *part);

/* The block of scores of a tile against a run, for the row functions. */
gt_score_block gt_attn_block(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, void *scores);

#endif
