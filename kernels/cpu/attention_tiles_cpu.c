#include "attention_tiles_cpu.h"

#include "checked.h"
#include "cpu_path.h"
#include "row_loops.h"

#include <string.h>

gt_status gt_attn_plan_make(gt_attn_plan *p, const gt_exec *x, const gt_attn *a, gt_dtype act, size_t need)
{
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads != 0 || a->heads / a->kv_heads > GT_ATTN_ROWS ||
        a->head_dim < 1)
        return GT_FAIL(GT_ERR_ARG, "attention with %d heads, %d kv heads of %d; expected 1 to %d heads a kv head",
                       a->heads, a->kv_heads, a->head_dim, (int)GT_ATTN_ROWS);
    if (x->scratch_stride < need)
        return GT_FAIL(GT_ERR_ARG,
                       "%zu bytes of scratch a worker; this attention needs %zu (gt_kernels.scratch_bytes with "
                       "max_tokens no less than the keys of a document)",
                       x->scratch_stride, need);
    p->a = a;
    p->act = act;
    p->operand = act == GT_BF16 && !gt_onednn_bf16() ? GT_F32 : act;
    p->rows = gt_cpu_path_current() >= GT_PATH_AVX512 ? &gt_attention_rows_avx512 : &gt_attention_rows_plain;
    p->act_bytes = act == GT_BF16 ? 2 : 4;
    p->operand_bytes = p->operand == GT_BF16 ? 2 : 4;
    p->group = a->heads / a->kv_heads;
    p->tile_queries = GT_ATTN_ROWS / p->group;
    return GT_OK;
}

int gt_attn_tiles(const gt_attn_plan *p, const gt_attn_span *s)
{
    return (s->q_len + p->tile_queries - 1) / p->tile_queries;
}

void gt_attn_tile_make(gt_attn_tile *t, const gt_attn_plan *p, const gt_attn_span *s, int kv_head, int tile)
{
    t->span = s;
    t->kv_head = kv_head;
    t->q0 = tile * p->tile_queries;
    t->queries = gt_min_int(p->tile_queries, s->q_len - t->q0);
    t->rows = t->queries * p->group;
    t->padded = (t->rows + 15) / 16 * 16;
    t->key_begin = s->kv.len;
    t->key_end = 0;
    for (int r = 0; r < GT_ATTN_ROWS; r++) {
        t->begin[r] = t->end[r] = 0;
        if (r >= t->rows) continue;
        gt_attn_visible(p->a, &s->kv, s->q_pos + t->q0 + r / p->group, &t->begin[r], &t->end[r]);
        if (t->begin[r] >= t->end[r]) continue;
        t->key_begin = gt_min_int(t->key_begin, t->begin[r] / GT_ATTN_KEYS * GT_ATTN_KEYS);
        t->key_end = gt_max_int(t->key_end, t->end[r]);
    }
}

/* Elements from the start of a batch-shaped array to row r of the tile. */
static ptrdiff_t row_offset(const gt_attn_plan *p, const gt_attn_tile *t, int r, ptrdiff_t stride)
{
    const ptrdiff_t token = (ptrdiff_t)t->span->q_begin + t->q0 + r / p->group;
    return token * stride + ((ptrdiff_t)t->kv_head * p->group + r % p->group) * p->a->head_dim;
}

void gt_attn_gather(void *dst, const gt_attn_plan *p, const gt_attn_tile *t, const void *src, ptrdiff_t stride)
{
    const size_t d = (size_t)p->a->head_dim, row_bytes = d * p->operand_bytes;
    for (int r = 0; r < t->rows; r++)
        gt_rows_current()->cast((char *)dst + (size_t)r * row_bytes, p->operand,
                                (const char *)src + row_offset(p, t, r, stride) * (ptrdiff_t)p->act_bytes, p->act, d);
    memset((char *)dst + (size_t)t->rows * row_bytes, 0, (size_t)(t->padded - t->rows) * row_bytes);
}

void gt_attn_scatter(void *dst, ptrdiff_t stride, const gt_attn_plan *p, const gt_attn_tile *t, const float *src)
{
    const size_t d = (size_t)p->a->head_dim;
    for (int r = 0; r < t->rows; r++, src += d)
        gt_rows_current()->cast((char *)dst + row_offset(p, t, r, stride) * (ptrdiff_t)p->act_bytes, p->act, src,
                                GT_F32, d);
}

size_t gt_attn_run_bytes(int head_dim)
{
    return sizeof(float) * GT_ATTN_RUN * (size_t)head_dim;
}

gt_attn_run gt_attn_run_at(const gt_attn_tile *t, int at, int limit)
{
    const gt_kv_view *kv = &t->span->kv;
    gt_attn_run run = {.begin = at, .keys = GT_ATTN_KEYS};
    int left = gt_min_int((t->key_end - at + GT_ATTN_KEYS - 1) / GT_ATTN_KEYS * GT_ATTN_KEYS, limit);
    if (kv->page_tokens > 0) left = gt_min_int(left, kv->page_tokens - at % kv->page_tokens);
    const int whole = (kv->len - at) / GT_ATTN_KEYS * GT_ATTN_KEYS; /* keys that exist, in full blocks */
    while (2 * run.keys <= gt_min_int(gt_min_int(left, whole), GT_ATTN_RUN)) run.keys *= 2;
    run.count = gt_min_int(run.keys, kv->len - at);
    return run;
}

static const void *operand(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, const void *memory,
                           const void *const *pages, char *scratch, ptrdiff_t *stride)
{
    const gt_kv_view *kv = &t->span->kv;
    const size_t d = (size_t)p->a->head_dim, row_bytes = d * p->operand_bytes;
    ptrdiff_t at = run->begin;
    if (kv->page_tokens > 0) {
        memory = pages[at / kv->page_tokens];
        at %= kv->page_tokens;
    }
    const char *rows = (const char *)memory + (at * kv->stride + t->kv_head * p->a->head_dim) * (ptrdiff_t)p->act_bytes;
    /* Rows with gaps (several kv heads) would meet the library's slower kernel in every product they enter. */
    if (run->count == run->keys && p->operand == p->act && kv->stride == p->a->head_dim) {
        *stride = kv->stride;
        return rows;
    }
    for (int i = 0; i < run->count; i++)
        gt_rows_current()->cast(scratch + (size_t)i * row_bytes, p->operand,
                                rows + i * kv->stride * (ptrdiff_t)p->act_bytes, p->act, d);
    memset(scratch + (size_t)run->count * row_bytes, 0, (size_t)(run->keys - run->count) * row_bytes);
    *stride = p->a->head_dim;
    return scratch;
}

const void *gt_attn_run_keys(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, void *scratch,
                             ptrdiff_t *stride)
{
    return operand(p, t, run, t->span->kv.k, t->span->kv.k_pages, scratch, stride);
}

const void *gt_attn_run_values(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, void *scratch,
                               ptrdiff_t *stride)
{
    return operand(p, t, run, t->span->kv.v, t->span->kv.v_pages, scratch, stride);
}

gt_score_block gt_attn_block(const gt_attn_plan *p, const gt_attn_tile *t, const gt_attn_run *run, void *scores)
{
    return (gt_score_block){.s = scores,
                            .rows = t->padded,
                            .len = run->keys,
                            .first = run->begin,
                            .begin = t->begin,
                            .end = t->end,
                            .wide = p->operand == GT_F32,
                            .round = p->act == GT_BF16,
                            .scale = p->a->scale};
}

gt_status gt_attn_product(const gt_attn_plan *p, int m, int n, int k, const void *a, bool ta, const void *b,
                          ptrdiff_t ldb, bool tb, void *c, gt_dtype c_dtype, float beta, void *scratch)
{
    const gt_onednn_product q = {.m = m,
                                 .n = n,
                                 .k = k,
                                 .lda = ta ? m : k,
                                 .ldb = ldb,
                                 .ldc = n,
                                 .ta = ta,
                                 .tb = tb,
                                 .alpha = 1.0f,
                                 .beta = beta,
                                 .ab = p->operand,
                                 .c = c_dtype};
    return gt_onednn_run(&q, a, b, c, scratch);
}

bool gt_attn_locate(const gt_attn_plan *p, gt_attn_parts *parts, int task, int *span, int *kv_head, int *part)
{
    int total = 0;
    for (int s = 0; s < p->a->span_count; s++) {
        const int n = parts(p, &p->a->span[s]), here = n * p->a->kv_heads;
        if (task >= 0 && task - total < here) {
            *span = s;
            *kv_head = (task - total) / n;
            *part = (task - total) % n;
            return true;
        }
        total += here;
    }
    *part = total;
    return false;
}
