#include "xent_plan_cpu.h"

#include "arena.h"
#include "cpu_kernels.h"
#include "cpu_path.h"
#include "onednn.h"

#include <string.h>

static gt_head_scratch carve(gt_cursor *c, int hidden)
{
    const size_t tile = GT_HEAD_TILE * (size_t)hidden, z = GT_HEAD_TILE * GT_HEAD_GROUP;
    gt_head_scratch s;
    s.onednn = gt_cursor_take(c, 1, GT_ONEDNN_SCRATCH);
    s.e = gt_cursor_take(c, tile, sizeof(float));
    s.narrow = gt_cursor_take(c, tile, sizeof(uint16_t));
    s.p = gt_cursor_take(c, z, sizeof(float));
    s.z = gt_cursor_take(c, z, sizeof *s.z);
    return s;
}

size_t gt_head_scratch_cpu(int hidden)
{
    gt_cursor c = {0};
    carve(&c, hidden);
    return c.used;
}

gt_head_scratch gt_head_scratch_of(const gt_exec *x, int worker, int hidden)
{
    gt_cursor c = gt_cursor_over(gt_exec_scratch(x, worker));
    return carve(&c, hidden);
}

gt_status gt_head_plan_make(gt_head_plan *p, const gt_exec *x, const gt_matrix *embed, int rows, int hidden,
                            const int32_t *target, gt_dtype act, size_t buffer_bytes, size_t need)
{
    GT_TRY(gt_head_check(embed, rows, hidden, target, buffer_bytes, need));
    if (x->scratch_stride < gt_head_scratch_cpu(hidden))
        return GT_FAIL(GT_ERR_ARG,
                       "%zu bytes of scratch a worker; a head of width %d needs %zu (gt_kernels.scratch_bytes)",
                       x->scratch_stride, hidden, gt_head_scratch_cpu(hidden));
    *p =
        (gt_head_plan){.embed = embed,
                       .act = act,
                       .operand = act == GT_BF16 && !gt_onednn_bf16() ? GT_F32 : act,
                       .hidden = hidden,
                       .tiles = gt_cpu_path_current() >= GT_PATH_AVX512 ? &gt_xent_tiles_avx512 : &gt_xent_tiles_plain};
    return GT_OK;
}

void gt_head_operands(const gt_head_plan *p, void *dst, const void *src, size_t count)
{
    if (p->operand == p->act)
        memcpy(dst, src, count * gt_head_operand_bytes(p));
    else
        for (size_t i = 0; i < count; i++) ((float *)dst)[i] = gt_bf16_to_f32(((const uint16_t *)src)[i]);
}

const void *gt_head_tile(const gt_head_plan *p, int v0, int count, const gt_head_scratch *s)
{
    const size_t first = (size_t)v0 * (size_t)p->hidden, n = (size_t)count * (size_t)p->hidden;
    const gt_dtype stored = p->embed->dtype;
    if (stored == p->act && (stored == GT_F32 || stored == GT_BF16)) {
        const char *at = (const char *)p->embed->data + first * (stored == GT_F32 ? 4 : 2);
        if (p->operand == p->act) return at;
        gt_head_operands(p, s->e, at, n);
    } else if (p->act == GT_F32)
        gt_decode_span_cpu_f32(s->e, p->embed, first, n);
    else if (p->operand == GT_BF16)
        gt_decode_span_cpu_bf16(s->e, p->embed, first, n);
    else {
        gt_decode_span_cpu_bf16(s->narrow, p->embed, first, n);
        gt_head_operands(p, s->e, s->narrow, n);
    }
    return s->e;
}
