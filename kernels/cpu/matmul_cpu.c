/* matmul_cpu.c - products cut into tiles that depend on the shape alone, one oneDNN call each, over our own threads.
 *
 * oneDNN copies the right operand into its own order on every call, which costs about 0.04 ns an element against
 * 0.009 ns for each row multiplied with it, so tiles are 96 to 256 rows high (2 to 4 % lost) and, while the
 * right operand fits in the caches, as wide as the result: dense results take the library's faster kernels.
 * Weights that the decoder wrote in the library's order need no copy: their tiles are as wide as the result and as low
 * as keeps their rows in the caches. */
#include "arena.h"
#include "checked.h"
#include "cpu_kernels.h"
#include "onednn.h"
#include "task_error.h"
#include "weight_order_cpu.h"

#include <string.h>

enum {
    ROWS = 256,              /* highest tile */
    ROWS_MIN = 96,           /* lower ones only where there is nothing more to share out */
    UNIT = 8,                /* tile heights are multiples of it, the last tile's apart: few distinct shapes */
    WIDE = 2048,             /* a result no wider than this is not cut into columns ... */
    WIDE_ELEMENTS = 4 << 20, /* ... if the right operand has no more elements than this */
    COLS = 512,              /* columns of a tile otherwise */
    PACKED_ROWS = 64,        /* highest tile where the right operand needs no copy */
    THIN_ROWS = 48,
    THIN_COLS = 256,  /* few rows: narrow tiles, so that all threads share in reading the weight */
    SUM_COLS = 256,   /* tile of a product over tokens (ta): rows and columns */
    SUM_DEPTH = 512,  /* tokens a call; the rest in powers of two, so that shapes stay few */
    WIDEN_DEPTH = 512 /* k a call where bf16 operands are widened to float32 */
};

typedef struct {
    const gt_gemm *g;
    gt_exec *x;
    gt_dtype act;
    bool widen;  /* bf16 operands, float32 products */
    bool packed; /* the right operand lies in the library's order */
    int tiles_m, tiles_n, unit_m, unit_n;
    gt_task_error error;
} product;

/* What a tile that is made in pieces needs, the largest of them. */
typedef struct {
    void *onednn;
    float *sum;   /* [rows, cols] */
    float *a, *b; /* widened operands of a piece */
} scratch;

static scratch carve(gt_cursor *c)
{
    const size_t rows = ROWS > SUM_COLS ? ROWS : SUM_COLS;
    scratch s;
    s.onednn = gt_cursor_take(c, 1, GT_ONEDNN_SCRATCH);
    s.sum = gt_cursor_take(c, rows * COLS, sizeof *s.sum);
    s.a = gt_cursor_take(c, rows * WIDEN_DEPTH, sizeof *s.a);
    s.b = gt_cursor_take(c, (size_t)COLS * WIDEN_DEPTH, sizeof *s.b);
    return s;
}

size_t gt_gemm_scratch_cpu(void)
{
    gt_cursor c = {0};
    carve(&c);
    return c.used;
}

/* Where tile i of `tiles` begins: whole units, shared out as evenly as they go. */
static int cut(int total, int unit, int tiles, int i)
{
    const long long units = ((long long)total + unit - 1) / unit;
    const long long at = units * i / tiles * unit;
    return at < total ? (int)at : total;
}

static int ceil_div(int a, int b)
{
    return (int)(((long long)a + b - 1) / b);
}

static void plan(product *p)
{
    const gt_gemm *g = p->g;
    p->unit_m = UNIT;
    p->unit_n = 64;
    if (g->ta) {
        p->tiles_m = ceil_div(g->m, SUM_COLS);
        p->tiles_n = ceil_div(g->n, SUM_COLS);
        return;
    }
    if (p->packed) {
        /* whole rows, since the library wants a dense result; a single row's columns are dense wherever they are cut */
        p->tiles_m = g->m < 4 * UNIT ? ceil_div(g->m, UNIT) : (ceil_div(g->m, PACKED_ROWS) + 3) / 4 * 4;
        p->tiles_n = g->m == 1 ? ceil_div(g->n, THIN_COLS) : 1;
        return;
    }
    p->tiles_m = ceil_div(g->m, ROWS);
    if (g->m >= 4 * ROWS_MIN)
        p->tiles_m = (p->tiles_m + 3) / 4 * 4; /* even shares for two and four threads */
    else if (g->m > THIN_ROWS && p->tiles_m < 2)
        p->tiles_m = 2;
    if (g->m <= THIN_ROWS)
        p->tiles_n = ceil_div(g->n, THIN_COLS);
    else if (!p->widen && g->n <= WIDE && (long long)g->n * g->k <= WIDE_ELEMENTS)
        p->tiles_n = 1;
    else
        p->tiles_n = ceil_div(g->n, COLS);
}

static void widen_rows(float *out, const uint16_t *in, ptrdiff_t ld, int rows, int cols)
{
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) out[(size_t)r * cols + c] = gt_bf16_to_f32(in[r * ld + c]);
}

/* c = round(alpha * sum + beta * c) over a tile, the one rounding of a result summed in several calls. */
static void store(const product *p, void *c, const float *sum, int rows, int cols)
{
    const gt_gemm *g = p->g;
    for (int r = 0; r < rows; r++, sum += cols) {
        if (g->c_dtype == GT_F32) {
            float *out = (float *)c + r * g->ldc;
            if (g->beta == 0.0f)
                for (int j = 0; j < cols; j++) out[j] = g->alpha * sum[j];
            else
                for (int j = 0; j < cols; j++) out[j] = g->alpha * sum[j] + out[j];
        } else {
            uint16_t *out = (uint16_t *)c + r * g->ldc;
            if (g->beta == 0.0f)
                for (int j = 0; j < cols; j++) out[j] = gt_f32_to_bf16(g->alpha * sum[j]);
            else
                for (int j = 0; j < cols; j++) out[j] = gt_f32_to_bf16(g->alpha * sum[j] + gt_bf16_to_f32(out[j]));
        }
    }
}

/* The next piece of a sum over tokens: whole depths, then powers of two. */
static int piece(int left)
{
    if (left >= SUM_DEPTH) return SUM_DEPTH;
    int n = 1;
    while (2 * n <= left) n *= 2;
    return n;
}

static gt_status tile_in_pieces(const product *p, const char *a, const char *b, void *c, int rows, int cols,
                                const scratch *s)
{
    const gt_gemm *g = p->g;
    const size_t es = (size_t)(p->act == GT_BF16 ? 2 : 4);
    const bool direct = !p->widen && g->c_dtype == GT_F32;
    gt_onednn_product q = {.m = rows,
                           .n = cols,
                           .lda = g->lda,
                           .ldb = g->ldb,
                           .ldc = cols,
                           .ta = g->ta,
                           .tb = g->tb,
                           .alpha = 1.0f,
                           .ab = p->widen ? GT_F32 : p->act,
                           .c = GT_F32};
    if (direct) {
        q.ldc = g->ldc;
        q.alpha = g->alpha;
    }
    for (int k0 = 0; k0 < g->k; k0 += q.k) {
        q.k = p->widen ? gt_min_int(WIDEN_DEPTH, g->k - k0) : piece(g->k - k0);
        q.beta = k0 > 0 ? 1.0f : direct ? g->beta : 0.0f;
        const char *ak = a + (size_t)k0 * es * (size_t)(g->ta ? g->lda : 1);
        const char *bk = b + (size_t)k0 * es * (size_t)(g->tb ? 1 : g->ldb);
        if (p->widen) {
            const int a_rows = g->ta ? q.k : rows, b_rows = g->tb ? cols : q.k;
            q.lda = g->ta ? rows : q.k;
            q.ldb = g->tb ? q.k : cols;
            widen_rows(s->a, (const uint16_t *)ak, g->lda, a_rows, (int)q.lda);
            widen_rows(s->b, (const uint16_t *)bk, g->ldb, b_rows, (int)q.ldb);
            ak = (const char *)s->a;
            bk = (const char *)s->b;
        }
        GT_TRY(gt_onednn_run(&q, ak, bk, direct ? c : s->sum, s->onednn));
    }
    if (!direct) store(p, c, s->sum, rows, cols);
    return GT_OK;
}

static gt_status tile(const product *p, int i, int j, const scratch *s)
{
    const gt_gemm *g = p->g;
    const int m0 = cut(g->m, p->unit_m, p->tiles_m, i), rows = cut(g->m, p->unit_m, p->tiles_m, i + 1) - m0;
    const int n0 = cut(g->n, p->unit_n, p->tiles_n, j), cols = cut(g->n, p->unit_n, p->tiles_n, j + 1) - n0;
    if (rows == 0 || cols == 0) return GT_OK;
    const ptrdiff_t es = p->act == GT_BF16 ? 2 : 4, cs = g->c_dtype == GT_BF16 ? 2 : 4;
    const char *a = (const char *)g->a + es * (g->ta ? m0 : m0 * g->lda);
    const char *b = (const char *)g->b + es * (p->packed ? (ptrdiff_t)n0 * g->k : g->tb ? n0 * g->ldb : n0);
    char *c = (char *)g->c + cs * (m0 * g->ldc + n0);
    if (p->widen || g->ta) return tile_in_pieces(p, a, b, c, rows, cols, s);
    const gt_onednn_product q = {.m = rows,
                                 .n = cols,
                                 .k = g->k,
                                 .lda = g->lda,
                                 .ldb = g->ldb,
                                 .ldc = g->ldc,
                                 .tb = g->tb,
                                 .blocked = p->packed,
                                 .alpha = g->alpha,
                                 .beta = g->beta,
                                 .ab = p->act,
                                 .c = g->c_dtype};
    return gt_onednn_run(&q, a, b, c, s->onednn);
}

static void run_tile(void *context, int task, int worker)
{
    product *p = context;
    gt_cursor c = gt_cursor_over(gt_exec_scratch(p->x, worker));
    const scratch s = carve(&c);
    gt_task_note(&p->error, tile(p, task % p->tiles_m, task / p->tiles_m, &s));
}

static void clear(const gt_gemm *g)
{
    const size_t cs = g->c_dtype == GT_BF16 ? 2 : 4;
    for (int r = 0; r < g->m && g->beta == 0.0f; r++)
        memset((char *)g->c + (size_t)(r * g->ldc) * cs, 0, (size_t)g->n * cs);
}

static gt_status gemm(gt_exec *x, const gt_gemm *g, gt_dtype act)
{
    if (g->m < 0 || g->n < 0 || g->k < 0)
        return GT_FAIL(GT_ERR_ARG, "a product of %d x %d over %d; no dimension may be negative", g->m, g->n, g->k);
    if (g->c_dtype != act && g->c_dtype != GT_F32)
        return GT_FAIL(GT_ERR_ARG, "a product into %s; expected %s or F32", gt_dtype_name(g->c_dtype),
                       gt_dtype_name(act));
    if (g->beta != 0.0f && g->beta != 1.0f) return GT_FAIL(GT_ERR_ARG, "beta is %g; expected 0 or 1", (double)g->beta);
    if (x->scratch_stride < gt_gemm_scratch_cpu())
        return GT_FAIL(GT_ERR_ARG, "%zu bytes of scratch a worker; a product needs %zu (gt_kernels.scratch_bytes)",
                       x->scratch_stride, gt_gemm_scratch_cpu());
    if (g->m == 0 || g->n == 0) return GT_OK;
    if (g->k == 0) {
        clear(g);
        return GT_OK;
    }
    product p = {.g = g, .x = x, .act = act, .widen = act == GT_BF16 && !gt_onednn_bf16(), .error = GT_TASK_ERROR_INIT};
    p.packed = gt_weight_is_packed(act, g->tb ? g->n : g->k, g->tb ? g->k : g->n, g->b_order);
    if (p.packed && (g->ta || (g->m > 1 && (g->lda != g->k || g->ldc != g->n))))
        return GT_FAIL(GT_ERR_ARG,
                       "a packed weight multiplied into rows of %td with strides %td and %td; they must be dense",
                       (ptrdiff_t)g->n, g->lda, g->ldc);
    plan(&p);
    gt_pool_run(x->pool, p.tiles_m * p.tiles_n, run_tile, &p);
    return gt_task_result(&p.error);
}

gt_status gt_gemm_cpu_f32(gt_exec *x, const gt_gemm *g)
{
    return gemm(x, g, GT_F32);
}
gt_status gt_gemm_cpu_bf16(gt_exec *x, const gt_gemm *g)
{
    return gemm(x, g, GT_BF16);
}
