#include "export.h"

#include "base_open.h"
#include "export_source.h"
#include "gtq.h"
#include "merge.h"
#include "output_folder.h"
#include "tokenizer_source.h"

#include <stdlib.h>
#include <string.h>

static const char tool[] = "gemtune " GT_VERSION;

static bool is_fourbit(const gt_weights *w)
{
    return gt_weights_fourbit(w) != GT_FOURBIT_NONE;
}

/* Whether the base, opened as the run opened it, is the one that the run saw. */
static gt_status check_base(const gt_export_source *s, const gt_base_options *o)
{
    gt_weights *w;
    char id[65];
    GT_TRY(gt_base_open(&w, s->base, o, NULL));
    gt_status st = gt_weights_identity(w, id);
    gt_weights_close(w);
    if (st == GT_OK && strcmp(id, s->base_id) != 0)
        st = GT_FAIL(GT_ERR_CONFIG,
                     "%s is not the base that the adapter was trained on: identity %.16s..., trained on %.16s...; pass "
                     "the right one with --base",
                     s->base, id, s->base_id);
    return st;
}

/* The base that the run computed with, packed where the run packed it; its 4-bit values as others decode them. */
static gt_status open_trained_base(gt_weights **out, const gt_export_source *s, gt_pool *pool)
{
    gt_base_options o = {.dtype = s->nf4    ? GT_BASE_NF4
                                  : s->bf16 ? GT_BASE_BF16
                                            : GT_BASE_NATIVE,
                         .scales = s->double_quant ? GT_SCALES_NESTED : GT_SCALES_PLAIN,
                         .threads = pool ? gt_pool_threads(pool) : 1};
    if (s->from_run) GT_TRY(check_base(s, &o));
    o.as_stored = !s->bf16;
    gt_weights *w;
    GT_TRY(gt_base_open(&w, s->base, &o, NULL));
    const gt_status st = w->packed ? gt_gtq_verify(w->packed->file, pool) : GT_OK;
    if (st == GT_OK)
        *out = w;
    else
        gt_weights_close(w);
    return st;
}

/* Only for files that are not copied from a folder. */
static gt_status open_tokenizer(gt_tokenizer **out, const gt_weights *w)
{
    *out = NULL;
    return strcmp(w->source, "huggingface") == 0 ? GT_OK : gt_tokenizer_source_open(out, w->path);
}

static gt_status export_peft(const gt_export_options *o, gt_export_source *s)
{
    gt_weights *w = NULL; /* for shapes and module names: mapped, not read */
    GT_TRY(gt_weights_open(&w, s->base));
    gt_status st = gt_export_source_load(s, o->source, w);
    if (st == GT_OK) {
        const gt_adapter_source a = {&s->config, s->targets.rank, s->param, &w->config, w->prefix, s->base};
        st = gt_adapter_write(o->out, &a, o->replace);
    }
    gt_weights_close(w);
    return st;
}

static gt_status merge_into(const gt_export_options *o, gt_export_source *s, const gt_weights *w, gt_pool *pool)
{
    const char *kind = o->into_original ? "original" : is_fourbit(w) ? "dequantized" : "as stored";
    const char *const note[] = {"merge_into", kind, "base", s->base, "adapter", o->source, "tool", tool, NULL};
    const gt_merge_adapter a = {s->targets.rank, s->targets.scaling, s->param};
    gt_tokenizer *t = NULL;
    GT_TRY(open_tokenizer(&t, w));
    const gt_status st = gt_merge_write(o->out, w, &a, note, t, o->replace, pool);
    gt_tokenizer_free(t);
    return st;
}

static gt_status export_merged(const gt_export_options *o, gt_export_source *s, gt_pool *pool, gt_text *report)
{
    gt_weights *trained = NULL, *original = NULL;
    GT_TRY(open_trained_base(&trained, s, pool));
    gt_status st = gt_export_source_load(s, o->source, trained);
    if (st == GT_OK && o->into_original) {
        st = gt_weights_open(&original, s->base);
        if (st == GT_OK && is_fourbit(original))
            st = GT_FAIL(
                GT_ERR_CONFIG,
                "%s holds 4-bit weights only: --merge-into original needs the original model; pass it with --base",
                s->base);
    }
    if (st == GT_OK) st = merge_into(o, s, original ? original : trained, pool);
    if (st == GT_OK && report)
        gt_text_addf(report, "%s: %s with the adapter of %s added to its %s weights\n", o->out, s->base, o->source,
                     original              ? "original"
                     : is_fourbit(trained) ? "dequantized"
                                           : "stored");
    gt_weights_close(original);
    gt_weights_close(trained);
    return st;
}

/* A base alone. */
static gt_status export_hf(const gt_export_options *o, gt_pool *pool, gt_text *report)
{
    gt_weights *w = NULL;
    gt_tokenizer *t = NULL;
    GT_TRY(gt_weights_open(&w, o->source));
    const char *const note[] = {"converted_from", w->source, "tool", tool, NULL};
    gt_status st = w->packed ? gt_gtq_verify(w->packed->file, pool) : GT_OK;
    if (st == GT_OK) st = open_tokenizer(&t, w);
    if (st == GT_OK) st = gt_merge_write(o->out, w, NULL, note, t, o->replace, pool);
    if (st == GT_OK && report)
        gt_text_addf(report, "%s: %s as plain bf16%s\n", o->out, o->source,
                     t                                       ? ", with a tokenizer.json made from its vocabulary"
                     : strcmp(w->source, "huggingface") == 0 ? ""
                                                             : " (it brings no tokenizer)");
    gt_tokenizer_free(t);
    gt_weights_close(w);
    return st;
}

gt_status gt_export(const gt_export_options *o, gt_pool *pool, gt_text *report)
{
    GT_TRY(gt_output_folder_check(o->out, o->replace));
    if (o->format == GT_EXPORT_HF) return export_hf(o, pool, report);
    gt_export_source *s = calloc(1, sizeof *s);
    if (!s) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for an export", o->source);
    gt_status st = gt_export_source_open(s, o->source, o->base);
    if (st == GT_OK && s->from_run && report)
        gt_text_addf(report, "%s: step %lld\n", gt_ckpt_path(s->checkpoint), s->step);
    if (st == GT_OK) st = o->format == GT_EXPORT_PEFT ? export_peft(o, s) : export_merged(o, s, pool, report);
    if (st == GT_OK && report && o->format == GT_EXPORT_PEFT)
        gt_text_addf(report, "%s: an adapter folder that PEFT loads, %zu modules\n", o->out, s->targets.modules);
    gt_export_source_close(s);
    free(s);
    return st;
}
