#include "pack_nf4.h"

#include "checked.h"
#include "decode.h"
#include "nf4.h"

#include <math.h>
#include <stdatomic.h>

enum { TILE = 8192, ALIGN = 64 }; /* elements a task: whole blocks of every format, and 32 KiB of stack */

gt_dtype gt_pack_source_dtype(const gt_matrix *src)
{
    if (src->dtype != GT_F32 && src->dtype != GT_F16) return GT_BF16;
    return src->round_to == GT_BF16 || src->round_to == GT_F16 ? src->round_to : src->dtype;
}

void gt_pack_read(float *out, const gt_matrix *src, size_t first, size_t count)
{
    if (src->dtype == GT_BF16) {
        const uint16_t *at = (const uint16_t *)src->data + first;
        for (size_t i = 0; i < count; i++) out[i] = gt_bf16_to_f32(at[i]);
        return;
    }
    gt_matrix m = *src;
    m.round_to = gt_pack_source_dtype(src);
    for (size_t i = 0; i < count; i += 256) {
        double value[256];
        const size_t n = gt_min_size(256, count - i);
        gt_decode_exact(value, &m, first + i, n);
        for (size_t j = 0; j < n; j++) out[i + j] = (float)value[j]; /* exact: they were rounded to f32 or less */
    }
}

typedef struct {
    const gt_matrix *src;
    gt_matrix *out;
    size_t n, nb;
    uint8_t *codes, *absmax8;
    float *absmax, *absmax2;
    atomic_size_t bad; /* the first tile with a value that is not finite, or SIZE_MAX */
} job;

static void quantize_tile(void *context, int task, int worker)
{
    (void)worker;
    job *j = context;
    float value[TILE];
    const size_t first = (size_t)task * TILE, count = gt_min_size(TILE, j->n - first);
    gt_pack_read(value, j->src, first, count);
    if (gt_nf4_quantize(j->codes + first / 2, j->absmax + first / GT_NF4_BLOCK, value, count)) return;
    size_t lowest = atomic_load(&j->bad);
    while (first < lowest && !atomic_compare_exchange_weak(&j->bad, &lowest, first)) {}
}

static void nest_tile(void *context, int task, int worker)
{
    (void)worker;
    job *j = context;
    const size_t first = (size_t)task * GT_NF4_BLOCK2 * 64, count = gt_min_size(GT_NF4_BLOCK2 * 64, j->nb - first);
    gt_nf4_nest(j->absmax8 + first, j->absmax2 + first / GT_NF4_BLOCK2, j->absmax + first, count, j->out->offset,
                j->out->code2);
}

/* The layout of memory: codes, absmax, absmax8, absmax2, each aligned. Returns the bytes; sets pointers when memory is
 * given. */
static size_t carve(job *j, uint8_t *memory, size_t n, bool double_quant)
{
    const size_t nb = gt_nf4_blocks(n, GT_NF4_BLOCK), nb2 = gt_nf4_blocks(nb, GT_NF4_BLOCK2);
    const size_t codes = gt_align_up((n + 1) / 2, ALIGN), absmax = gt_align_up(nb * sizeof(float), ALIGN);
    const size_t absmax8 = double_quant ? gt_align_up(nb, ALIGN) : 0,
                 absmax2 = double_quant ? gt_align_up(nb2 * sizeof(float), ALIGN) : 0;
    if (memory) {
        j->n = n;
        j->nb = nb;
        j->codes = memory;
        j->absmax = (float *)(memory + codes);
        j->absmax8 = memory + codes + absmax;
        j->absmax2 = (float *)(memory + codes + absmax + absmax8);
    }
    return codes + absmax + absmax8 + absmax2;
}

size_t gt_pack_bytes(size_t n, bool double_quant)
{
    return carve(NULL, NULL, n, double_quant);
}

static gt_status not_finite(const job *j, size_t first)
{
    float value[TILE];
    const size_t count = gt_min_size(TILE, j->n - first), cols = (size_t)j->src->cols;
    gt_pack_read(value, j->src, first, count);
    size_t i = 0;
    while (i < count && isfinite(value[i])) i++;
    return GT_FAIL(GT_ERR_DATA, "row %zu, column %zu holds a value that is not finite", (first + i) / cols,
                   (first + i) % cols);
}

gt_status gt_pack_nf4(gt_matrix *out, void *memory, const gt_matrix *src, bool double_quant, const float *code2,
                      gt_pool *pool)
{
    job j = {.src = src, .out = out, .bad = SIZE_MAX};
    const size_t n = (size_t)src->rows * (size_t)src->cols;
    carve(&j, memory, n, double_quant);
    if (n / TILE >= INT32_MAX)
        return GT_FAIL(GT_ERR_ARG, "matrix of %d x %d is too large to quantize", src->rows, src->cols);
    gt_pool_run(pool, (int)((n + TILE - 1) / TILE), quantize_tile, &j);
    const size_t bad = atomic_load(&j.bad);
    if (bad != SIZE_MAX) return not_finite(&j, bad);
    *out = (gt_matrix){.data = j.codes,
                       .dtype = GT_NF4,
                       .rows = src->rows,
                       .cols = src->cols,
                       .block = GT_NF4_BLOCK,
                       .code = gt_nf4_code,
                       .absmax = j.absmax,
                       .round_to = gt_pack_source_dtype(src)};
    if (!double_quant) return GT_OK;
    out->absmax = NULL;
    out->absmax8 = j.absmax8;
    out->absmax2 = j.absmax2;
    out->code2 = code2;
    out->block2 = GT_NF4_BLOCK2;
    out->offset = gt_nf4_offset(j.absmax, j.nb);
    gt_pool_run(pool, (int)((j.nb + GT_NF4_BLOCK2 * 64 - 1) / (GT_NF4_BLOCK2 * 64)), nest_tile, &j);
    return GT_OK;
}
