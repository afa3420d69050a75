#include "base_open.h"

#include "base_cache.h"
#include "weights_sources.h"

/* Whether a base that is 4-bit already is the one asked for. */
static gt_status check_stored(const gt_weights *w, gt_scales want)
{
    for (int i = 0; i < gt_slot_count(&w->config); i++) {
        const gt_slot slot = gt_slot_at(i);
        const gt_matrix *m = gt_weights_slot(w, i);
        char name[80];
        gt_weights_proj_name(name, slot.layer, slot.proj);
        if (m->dtype == GT_FP4)
            return GT_FAIL(
                GT_ERR_CONFIG,
                "%s: %s is FP4, and nf4 was asked for: point it at the original model, or take the base as it "
                "is stored (--base-dtype native)",
                w->path, name);
        if (m->dtype == GT_NF4 && want != GT_SCALES_ANY && (m->absmax == NULL) != (want == GT_SCALES_NESTED))
            return GT_FAIL(GT_ERR_CONFIG,
                           "%s: packed %s double quantization, and the recipe says bnb_4bit_use_double_quant %s: "
                           "change the recipe, or quantize the original again%s",
                           w->path, m->absmax ? "without" : "with", want == GT_SCALES_NESTED ? "true" : "false",
                           want == GT_SCALES_NESTED ? "" : " with --no-double-quant");
    }
    return GT_OK;
}

/* Leaves *w alone when it is NF4, otherwise puts its packed form in its place. */
static gt_status make_nf4(gt_weights **w, const gt_base_options *o, gt_comm *comm)
{
    const gt_fourbit have = gt_weights_fourbit(*w);
    if (have == GT_FOURBIT_NF4 || have == GT_FOURBIT_FP4) return gt_comm_agree(comm, check_stored(*w, o->scales));
    gt_weights *packed;
    GT_TRY(gt_base_pack(&packed, *w, o->scales != GT_SCALES_PLAIN, o->threads, comm));
    gt_weights_close(*w);
    *w = packed;
    return GT_OK;
}

/* A 4-bit value is code * scale, rounded once, to the compute dtype. bitsandbytes rounds to the dtype its file names
 * first, which is the same in bfloat16; in float32 mode the reference's own float32 runs do not (docs/numerics.md). */
static void decode_unrounded(gt_weights *w)
{
    for (int l = 0; l < w->config.num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++)
            if (gt_dtype_fourbit(w->proj[l][p].dtype)) w->proj[l][p].round_to = GT_F32;
}

gt_status gt_base_open(gt_weights **out, const char *model, const gt_base_options *o, gt_comm *comm)
{
    gt_weights *w = NULL;
    gt_status st = gt_comm_agree(comm, gt_weights_open(&w, model));
    if (st == GT_OK && o->dtype == GT_BASE_NF4) st = make_nf4(&w, o, comm);
    if (st != GT_OK) {
        gt_weights_close(w);
        return st;
    }
    if (!o->as_stored) decode_unrounded(w);
    if (o->dtype == GT_BASE_BF16) gt_weights_round_to_bf16(w);
    *out = w;
    return GT_OK;
}
