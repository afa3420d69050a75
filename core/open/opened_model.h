/* opened_model.h - a base, an adapter beside it and a kernel table, ready to score or to generate: what every command
 * and server that only runs a model begins with. */
#ifndef GT_OPENED_MODEL_H
#define GT_OPENED_MODEL_H

#include "base_dtype.h"
#include "model.h"

typedef struct {
    const char *model;
    const char *adapter; /* a PEFT folder, or NULL */
    gt_backend backend;
    int threads; /* 0: this process's CPU affinity mask */
    gt_base_dtype base_dtype;
    gt_compute_dtype compute_dtype;
} gt_open_options;

typedef struct {
    gt_weights *w;
    gt_model *m;
    gt_lora lora; /* m->lora when there is an adapter */
    gt_arena adapter_arena;
    gt_open_options o;
} gt_opened_model;

/* Opens base and adapter: m is still NULL, since a model is made for a length that the caller may have to read first.
 */
gt_status gt_opened_model_open(gt_opened_model *x, const gt_open_options *o);

/* Makes the model for `positions` positions and passes of up to max_tokens tokens. */
gt_status gt_opened_model_start(gt_opened_model *x, int positions, int max_tokens);

void gt_opened_model_close(gt_opened_model *x); /* half-opened and zeroed structs are fine */

#endif
