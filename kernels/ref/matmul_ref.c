/* Sums over k in ascending order in double, C rounded once. A weight is read as row-major whatever order it was asked
 * for: decode_weight of this backend writes no other. */
#include "ref_access.h"
#include "ref_kernels.h"

/* A task makes a tile of C; operands pass through double tiles so that the conversion is not in the inner loop. */
enum { TILE_M = 8, TILE_N = 64, TILE_K = 64 };

typedef struct {
    gt_dtype act;
    const gt_gemm *g;
    int column_tiles;
} job;

static void gemm_tile(void *context, int task, int worker)
{
    (void)worker;
    const job *j = context;
    const gt_gemm *g = j->g;
    int i0 = task / j->column_tiles * TILE_M, j0 = task % j->column_tiles * TILE_N;
    int mt = g->m - i0 < TILE_M ? g->m - i0 : TILE_M, nt = g->n - j0 < TILE_N ? g->n - j0 : TILE_N;
    double a[TILE_M][TILE_K], b[TILE_K][TILE_N], sum[TILE_M][TILE_N] = {0};
    for (int p0 = 0; p0 < g->k; p0 += TILE_K) {
        int kt = g->k - p0 < TILE_K ? g->k - p0 : TILE_K;
        for (int i = 0; i < mt; i++)
            for (int p = 0; p < kt; p++)
                a[i][p] = gt_ref_get(j->act, g->a, g->ta ? (p0 + p) * g->lda + i0 + i : (i0 + i) * g->lda + p0 + p);
        for (int n = 0; n < nt; n++)
            for (int p = 0; p < kt; p++)
                b[p][n] = gt_ref_get(j->act, g->b, g->tb ? (j0 + n) * g->ldb + p0 + p : (p0 + p) * g->ldb + j0 + n);
        for (int i = 0; i < mt; i++)
            for (int p = 0; p < kt; p++)
                for (int n = 0; n < nt; n++) sum[i][n] += a[i][p] * b[p][n];
    }
    for (int i = 0; i < mt; i++)
        for (int n = 0; n < nt; n++) {
            ptrdiff_t at = (i0 + i) * g->ldc + j0 + n;
            double v = (double)g->alpha * sum[i][n];
            if (g->beta != 0) v += (double)g->beta * gt_ref_get(g->c_dtype, g->c, at);
            gt_ref_put(g->c_dtype, g->c, at, v);
        }
}

static gt_status gemm(gt_dtype act, gt_exec *x, const gt_gemm *g)
{
    if (g->m < 0 || g->n < 0 || g->k < 0)
        return GT_FAIL(GT_ERR_ARG, "product of %d x %d by %d x %d", g->m, g->k, g->k, g->n);
    if (g->c_dtype != act && g->c_dtype != GT_F32)
        return GT_FAIL(GT_ERR_ARG, "product stored as %s; expected %s or F32", gt_dtype_name(g->c_dtype),
                       gt_dtype_name(act));
    if (g->m == 0 || g->n == 0) return GT_OK;
    int row_tiles = (g->m - 1) / TILE_M + 1, column_tiles = (g->n - 1) / TILE_N + 1;
    if (row_tiles > INT32_MAX / column_tiles)
        return GT_FAIL(GT_ERR_ARG, "product of %d x %d is too large for one call", g->m, g->n);
    job j = {act, g, column_tiles};
    gt_pool_run(x->pool, row_tiles * column_tiles, gemm_tile, &j);
    return GT_OK;
}

#define INSTANCE(suffix, type)                                                                                         \
    gt_status gt_gemm_ref_##suffix(gt_exec *x, const gt_gemm *g)                                                       \
    {                                                                                                                  \
        return gemm(type, x, g);                                                                                       \
    }
GT_REF_EACH(INSTANCE)
