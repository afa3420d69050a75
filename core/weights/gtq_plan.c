#include "gtq_plan.h"

#include "checked.h"
#include "hub.h"
#include "nf4.h"
#include "pack_nf4.h"
#include "weights_sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gt_gtq_plan_free(gt_gtq_plan *p)
{
    gt_gtq_meta_free(&p->meta);
    free(p->book);
    free(p->owner);
    *p = (gt_gtq_plan){0};
}

/* A place for bytes behind *end. */
static void place(gt_gtq_section *s, uint64_t *end, uint64_t alignment)
{
    if (s->bytes == 0) return;
    s->offset = (*end + alignment - 1) & ~(alignment - 1);
    *end = s->offset + s->bytes;
}

/* The section of a code book, placed when it is the first of its kind. */
static gt_gtq_section book_section(gt_gtq_plan *p, const float *value, uint64_t bytes, uint64_t *end)
{
    for (size_t i = 0; i < p->books; i++)
        if (p->book[i].at.bytes == bytes && memcmp(p->book[i].value, value, bytes) == 0) return p->book[i].at;
    gt_gtq_book *b = &p->book[p->books++];
    *b = (gt_gtq_book){value, {0, bytes}};
    place(&b->at, end, GT_GTQ_ALIGN);
    return b->at;
}

/* What a projection becomes: its sizes, no places yet. */
static gt_status describe(gt_gtq_tensor *t, const gt_matrix *m, bool double_quant, const char *name)
{
    const bool stored = gt_dtype_fourbit(m->dtype);
    *t = (gt_gtq_tensor){.dtype = stored ? m->dtype : GT_NF4,
                         .rows = m->rows,
                         .cols = m->cols,
                         .round_to = stored ? m->round_to : gt_pack_source_dtype(m),
                         .block = stored ? m->block : GT_NF4_BLOCK,
                         .block2 = stored ? m->block2 : GT_NF4_BLOCK2,
                         .offset = stored ? m->offset : 0};
    const bool nested = stored ? m->absmax == NULL : double_quant;
    if (!nested) t->block2 = 0;
    if (!gt_gtq_tensor_sizes(t, nested))
        return GT_FAIL(GT_ERR_DATA, "%s: [%d, %d] cannot be packed", name, m->rows, m->cols);
    return GT_OK;
}

static gt_status describe_all(gt_gtq_plan *p, const gt_weights *w, bool double_quant)
{
    size_t stored = 0, nested = 0, count = (size_t)gt_slot_count(&w->config);
    for (size_t i = 0; i < count; i++) {
        const gt_slot slot = gt_slot_at((int)i);
        const gt_matrix *m = gt_weights_slot(w, (int)i);
        char name[80];
        gt_weights_proj_name(name, slot.layer, slot.proj);
        GT_TRY(describe(&p->meta.proj[i], m, double_quant, name));
        stored += gt_dtype_fourbit(m->dtype);
        nested += p->meta.proj[i].absmax8.bytes != 0;
        if (!gt_dtype_fourbit(m->dtype))
            p->pack_bytes = gt_max_size(p->pack_bytes, gt_pack_bytes((size_t)m->rows * (size_t)m->cols, double_quant));
    }
    gt_quantizer *q = &p->meta.info.quantizer;
    snprintf(q->rule, sizeof q->rule, "%s", stored == count ? "stored" : stored ? GT_NF4_RULE "+stored" : GT_NF4_RULE);
    q->double_quant = nested > 0;
    q->block = p->meta.proj[0].block;
    q->block2 = nested ? GT_NF4_BLOCK2 : 0;
    return GT_OK;
}

/* Code books, norms, tokenizer and embedding in front, then layer behind layer. */
static void place_all(gt_gtq_plan *p, const gt_weights *w)
{
    gt_gtq_meta *m = &p->meta;
    uint64_t end = GT_GTQ_DATA;
    const int count = gt_slot_count(&w->config);
    for (int i = 0; i < count; i++) {
        const gt_matrix *s = gt_weights_slot(w, i);
        gt_gtq_tensor *t = &m->proj[i];
        t->code = book_section(p, gt_dtype_fourbit(s->dtype) ? s->code : gt_nf4_code, t->code.bytes, &end);
        if (t->code2.bytes)
            t->code2 = book_section(p, gt_dtype_fourbit(s->dtype) ? s->code2 : p->code2, t->code2.bytes, &end);
    }
    place(&m->norms, &end, GT_GTQ_ALIGN);
    place(&m->tokenizer, &end, GT_GTQ_PAGE);
    place(&m->embed.data, &end, GT_GTQ_PAGE);
    for (int i = 0; i < count; i++) {
        gt_gtq_tensor *t = &m->proj[i];
        place(&t->data, &end, GT_GTQ_PAGE);
        place(&t->absmax, &end, GT_GTQ_ALIGN);
        place(&t->absmax8, &end, GT_GTQ_ALIGN);
        place(&t->absmax2, &end, GT_GTQ_ALIGN);
    }
    p->meta_offset = gt_align_up(end, GT_GTQ_ALIGN);
}

/* The embedding goes to the last rank, every layer to the rank with the least work so far. */
static void share_out(gt_gtq_plan *p, const gt_model_config *c, int ranks, uint64_t *work)
{
    p->embed_owner = ranks - 1;
    work[ranks - 1] = (uint64_t)c->vocab_size * (uint64_t)c->hidden_size;
    uint64_t layer = 0;
    for (int i = 0; i < GT_PROJ_COUNT; i++) {
        int rows, cols;
        gt_proj_shape(c, (gt_proj)i, &rows, &cols);
        layer += (uint64_t)rows * (uint64_t)cols;
    }
    for (int l = 0; l < c->num_hidden_layers; l++) {
        int least = 0;
        for (int r = 1; r < ranks; r++)
            if (work[r] < work[least]) least = r;
        p->owner[l] = least;
        work[least] += layer;
    }
}

static void name_source(gt_gtq_info *i, const gt_weights *w)
{
    char *hub = gt_hub_id_of(w->path);
    const char *slash = strrchr(w->path, '/');
    snprintf(i->source_name, sizeof i->source_name, "%s", hub ? hub : slash && slash[1] ? slash + 1 : w->path);
    snprintf(i->source, sizeof i->source, "%s", w->source);
    snprintf(i->tool, sizeof i->tool, "gemtune %s", GT_VERSION);
    free(hub);
}

static gt_status make(gt_gtq_plan *p, const gt_weights *w, const gt_gtq_options *o, int ranks)
{
    const size_t layers = (size_t)w->config.num_hidden_layers, count = layers * GT_PROJ_COUNT;
    uint64_t *work = calloc((size_t)ranks, sizeof *work);
    p->meta.proj = calloc(count, sizeof *p->meta.proj);
    p->book = calloc(2 * count, sizeof *p->book);
    p->owner = calloc(layers, sizeof *p->owner);
    if (!work || !p->meta.proj || !p->book || !p->owner) {
        free(work);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for the plan of %zu tensors", w->path, count);
    }
    share_out(p, &w->config, ranks, work);
    free(work);
    gt_nf4_code2(p->code2);
    p->meta.config = w->config;
    snprintf(p->meta.prefix, sizeof p->meta.prefix, "%s", w->prefix);
    name_source(&p->meta.info, w);
    const gt_matrix *e = &w->embed;
    p->meta.embed = (gt_gtq_tensor){
        .dtype = gt_pack_source_dtype(e), .rows = e->rows, .cols = e->cols, .round_to = gt_pack_source_dtype(e)};
    if (gt_dtype_fourbit(e->dtype) || !gt_gtq_tensor_sizes(&p->meta.embed, false))
        return GT_FAIL(GT_ERR_DATA, "%s: its embedding is %s [%d, %d], which cannot be packed", w->path,
                       gt_dtype_name(e->dtype), e->rows, e->cols);
    p->meta.norms.bytes = gt_gtq_norm_count(&w->config) * sizeof(float);
    p->meta.tokenizer.bytes = o->tokenizer ? o->tokenizer_bytes : 0;
    GT_TRY(describe_all(p, w, o->double_quant));
    place_all(p, w);
    return GT_OK;
}

gt_status gt_gtq_plan_make(gt_gtq_plan *out, const gt_weights *source, const gt_gtq_options *o, int ranks)
{
    *out = (gt_gtq_plan){0};
    if (source->packed) return GT_FAIL(GT_ERR_DATA, "%s: is a packed base already", source->path);
    const gt_status st = make(out, source, o, ranks);
    if (st != GT_OK) gt_gtq_plan_free(out);
    return st;
}
