/* tiny.h - the golden tiny models opened, quantized in memory, and run: what the model tests share. */
#ifndef GT_TINY_H
#define GT_TINY_H

#include "forward.h"
#include "model.h"
#include "pass.h"
#include "weights.h"

/* Every projection of an opened model quantized to nested NF4 in memory, as bitsandbytes would after a
 * float32 load: values are not rounded to bf16 again (weights stay open and are only pointed away from). Free with
 * free_quantized. */
typedef struct {
    void *block[GT_MAX_LAYERS][GT_PROJ_COUNT];
} tiny_quantized;
void quantize_in_memory(tiny_quantized *q, gt_weights *w);
void free_quantized(tiny_quantized *q);

/* A model with its pass memory. */
typedef struct {
    gt_model *m;
    gt_arena arena;
    gt_pass pass;
} tiny_run;

/* What of o depends on the adapter is filled in from lora, the model's adapter; NULL: as o says. */
void tiny_open(tiny_run *r, const gt_weights *w, gt_backend backend, gt_dtype act, int threads, gt_lora *lora,
               const gt_pass_options *o, int positions);
void tiny_close(tiny_run *r);

/* A one-document batch over ids; the last first_label..n-1 supervised when first_label > 0. Free with gt_batch_free. */
void tiny_batch(gt_batch *b, const int32_t *ids, int n, int first_label);

#endif
