#include "xent_cpu.h"

#include "checked.h"
#include "cpu_path.h"
#include "decode.h"
#include "onednn.h"

#include <string.h>

static size_t carve(gt_head_scratch *s, char *base, int hidden)
{
    const size_t tile = GT_HEAD_TILE * (size_t)hidden, z = GT_HEAD_TILE * GT_HEAD_GROUP;
    const size_t bytes[] = {GT_ONEDNN_SCRATCH, tile * sizeof(float), tile * sizeof(uint16_t), z * sizeof(float),
                            z * sizeof(float)};
    size_t at[5], used = 0;
    for (int i = 0; i < 5; i++) {
        at[i] = used;
        used += gt_align_up(bytes[i], 64);
    }
    if (base) *s = (gt_head_scratch){base + at[0], base + at[1], base + at[2], base + at[3], (float *)(base + at[4])};
    return used;
}

size_t gt_head_cpu_scratch(int hidden)
{
    return carve(NULL, NULL, hidden);
}

gt_head_scratch gt_head_scratch_of(const gt_exec *x, int worker, int hidden)
{
    gt_head_scratch s;
    carve(&s, gt_exec_scratch(x, worker), hidden);
    return s;
}

gt_status gt_head_plan_make(gt_head_plan *p, const gt_exec *x, const gt_matrix *embed, int rows, int hidden,
                            const int32_t *target, gt_dtype act, size_t buffer_bytes, size_t need)
{
    GT_TRY(gt_head_check(embed, rows, hidden, target, buffer_bytes, need));
    if (x->scratch_stride < gt_head_cpu_scratch(hidden))
        return GT_FAIL(GT_ERR_ARG,
                       "%zu bytes of scratch a worker; a head of width %d needs %zu (gt_kernels.scratch_bytes)",
                       x->scratch_stride, hidden, gt_head_cpu_scratch(hidden));
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
        gt_decode_cpu_span_f32(s->e, p->embed, first, n);
    else if (p->operand == GT_BF16)
        gt_decode_cpu_span_bf16(s->e, p->embed, first, n);
    else {
        gt_decode_cpu_span_bf16(s->narrow, p->embed, first, n);
        gt_head_operands(p, s->e, s->narrow, n);
    }
    return s->e;
}
