#include "quantize.h"

#include "bnb_folder.h"
#include "fs.h"
#include "gtq.h"
#include "output_folder.h"
#include "tokenizer_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gt_status agree(gt_comm *comm, gt_status mine)
{
    return comm ? gt_comm_agree(comm, mine) : mine;
}

static bool is_packed(const gt_weights *w)
{
    for (int i = 0; i < w->config.num_hidden_layers * GT_PROJ_COUNT; i++) {
        const gt_dtype t = w->proj[i / GT_PROJ_COUNT][i % GT_PROJ_COUNT].dtype;
        if (t != GT_NF4 && t != GT_FP4) return false;
    }
    return true;
}

gt_status gt_quantize_at_load(gt_weights **w, bool double_quant, const char *folder, gt_comm *comm, gt_pool *pool)
{
    if (is_packed(*w)) return agree(comm, gt_gtq_check_quantizer(*w, double_quant));
    const bool first = !comm || comm->rank == 0;
    if (!folder) folder = getenv("TMPDIR");
    if (!folder || !*folder) folder = "/tmp";
    char path[4096] = "";
    gt_status st = GT_OK;
    if (first && snprintf(path, sizeof path, "%s/.gemtune-base-%ld.gtq", folder, (long)getpid()) >= (int)sizeof path)
        st = GT_FAIL(GT_ERR_CONFIG, "%s: the path is too long", folder);
    GT_TRY(agree(comm, st));
    if (comm) GT_TRY(gt_comm_broadcast(comm, path, sizeof path, 0));
    const gt_gtq_options o = {.double_quant = double_quant, .replace = true};
    GT_TRY(gt_gtq_write(path, *w, &o, comm, pool));
    gt_weights *packed = NULL;
    st = agree(comm, gt_weights_open(&packed, path));
    if (first) unlink(path);
    if (st != GT_OK) {
        gt_weights_close(packed);
        return st;
    }
    /* The run speaks of the model it was given, not of the file that is gone. */
    char *name = packed->path;
    packed->path = (*w)->path;
    (*w)->path = name;
    gt_weights_close(*w);
    *w = packed;
    return GT_OK;
}

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
    gt_status st = agree(comm, pack_tokenizer(&blob, &g.tokenizer_bytes, o->model));
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
    if (!is_packed(w)) {
        packed = NULL;
        st = agree(comm, gt_weights_open(&packed, o->model)); /* a second view, to be replaced */
        if (st == GT_OK) st = gt_quantize_at_load(&packed, o->double_quant, NULL, comm, pool);
    }
    if (st == GT_OK && (!comm || comm->rank == 0)) {
        st = gt_tokenizer_source_open(&tokenizer, o->model);
        if (st == GT_OK) st = gt_bnb_write(o->out, packed, w, tokenizer, o->replace);
        if (st == GT_OK && report)
            gt_text_addf(report, "%s: a folder that transformers and bitsandbytes load\n", o->out);
    }
    gt_tokenizer_free(tokenizer);
    if (packed != w) gt_weights_close(packed);
    return agree(comm, st);
}

gt_status gt_quantize(const gt_quantize_options *o, gt_comm *comm, gt_pool *pool, gt_text *report)
{
    gt_weights *w = NULL;
    gt_status st = o->bnb ? gt_output_folder_check(o->out, o->replace) : gt_output_file_check(o->out, o->replace);
    if (st == GT_OK) st = gt_weights_open(&w, o->model);
    st = agree(comm, st);
    if (st == GT_OK) st = o->bnb ? quantize_bnb(o, w, comm, pool, report) : quantize_gtq(o, w, comm, pool, report);
    gt_weights_close(w);
    return st;
}
