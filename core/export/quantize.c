#include "quantize.h"

#include "base_cache.h"
#include "bnb_folder.h"
#include "gtq.h"
#include "output_folder.h"
#include "tokenizer_source.h"

#include <stdlib.h>
#include <string.h>

/* The packed form of the model's tokenizer, or NULL when it brings none. */
static gt_status pack_tokenizer(void **blob, size_t *size, const char *model)
{
    gt_tokenizer *t = NULL;
    GT_TRY(gt_tokenizer_source_open(&t, model));
    if (!t) return GT_OK;
    const gt_status st = gt_tokenizer_pack(t, blob, size);
    gt_tokenizer_free(t);
    return st;
}

static void report_base(gt_text *report, const gt_weights *w, const char *out)
{
    if (!report || !w->packed) return;
    const gt_gtq_info *i = w->packed;
    gt_text_addf(report, "%s: %.1f MB, nf4 by rule %s, %s double quantization, %s\nidentity %s\n", out,
                 (double)i->file_bytes / 1e6, i->quantizer.rule, i->quantizer.double_quant ? "with" : "without",
                 i->tokenizer ? "tokenizer inside" : "no tokenizer (the model brings none)", i->identity);
}

static gt_status quantize_gtq(const gt_quantize_options *o, const gt_weights *w, gt_comm *comm, gt_pool *pool,
                              gt_text *report)
{
    gt_gtq_options g = {.double_quant = o->double_quant, .replace = o->replace};
    void *blob = NULL;
    gt_status st = gt_comm_agree(comm, pack_tokenizer(&blob, &g.tokenizer_bytes, o->model));
    g.tokenizer = blob;
    if (st == GT_OK) st = gt_gtq_write(o->out, w, &g, comm, pool);
    free(blob);
    if (st != GT_OK || (comm && comm->rank != 0)) return st;
    gt_weights *made = NULL;
    GT_TRY(gt_weights_open(&made, o->out));
    report_base(report, made, o->out);
    gt_weights_close(made);
    return GT_OK;
}

/* The folder is written from a packed base, because its tensors' sizes must be known before their contents. */
static gt_status quantize_bnb(const gt_quantize_options *o, gt_weights *w, gt_comm *comm, gt_pool *pool,
                              gt_text *report)
{
    gt_weights *packed = w;
    gt_tokenizer *tokenizer = NULL;
    gt_status st = GT_OK;
    const gt_fourbit have = gt_weights_fourbit(w);
    if (have == GT_FOURBIT_NONE || have == GT_FOURBIT_SOME) {
        packed = NULL;
        st = gt_base_pack(&packed, w, o->double_quant, pool ? gt_pool_threads(pool) : 1, comm);
    }
    if (st == GT_OK && (!comm || comm->rank == 0)) {
        st = gt_tokenizer_source_open(&tokenizer, o->model);
        if (st == GT_OK) st = gt_bnb_write(o->out, packed, w, tokenizer, o->replace);
        if (st == GT_OK && report)
            gt_text_addf(report, "%s: a folder that transformers and bitsandbytes load\n", o->out);
    }
    gt_tokenizer_free(tokenizer);
    if (packed != w) gt_weights_close(packed);
    return gt_comm_agree(comm, st);
}

gt_status gt_quantize(const gt_quantize_options *o, gt_comm *comm, gt_pool *pool, gt_text *report)
{
    gt_weights *w = NULL;
    gt_status st = o->bnb ? gt_output_folder_check(o->out, o->replace) : gt_output_file_check(o->out, o->replace);
    if (st == GT_OK) st = gt_weights_open(&w, o->model);
    st = gt_comm_agree(comm, st);
    if (st == GT_OK) st = o->bnb ? quantize_bnb(o, w, comm, pool, report) : quantize_gtq(o, w, comm, pool, report);
    gt_weights_close(w);
    return st;
}
