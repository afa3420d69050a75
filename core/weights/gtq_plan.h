/* gtq_plan.h - what a .gtq of a base will hold, where, and which rank writes it: known before anything is read. For
 * gtq_write.c only. */
#ifndef GT_GTQ_PLAN_H
#define GT_GTQ_PLAN_H

#include "gtq_meta.h"

/* A code book that some matrices share. */
typedef struct {
    const float *value; /* [bytes / 4] borrowed */
    gt_gtq_section at;
} gt_gtq_book;

typedef struct {
    gt_gtq_meta meta; /* digests, nested offsets and identity are filled while writing */
    float code2[256]; /* of our quantizer */
    gt_gtq_book *book;
    size_t books;
    int *owner;           /* [layers] the rank that packs a layer */
    int embed_owner;      /* and the one that writes embedding, norms, tokenizer and code books */
    uint64_t meta_offset; /* where the directory begins: everything else lies before */
    size_t pack_bytes;    /* the most memory that one matrix takes to quantize */
} gt_gtq_plan;

/* GT_ERR_DATA: source is packed already, or holds a format that no .gtq can. Release with gt_gtq_plan_free. */
gt_status gt_gtq_plan_make(gt_gtq_plan *out, const gt_weights *source, const gt_gtq_options *o, int ranks);
void gt_gtq_plan_free(gt_gtq_plan *p);

#endif
