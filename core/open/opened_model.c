#include "opened_model.h"

#include "adapter.h"
#include "base_open.h"
#include "log.h"

#include <string.h>

static void carve_adapter(void *context, gt_arena *a)
{
    gt_opened_model *x = context;
    gt_lora_carve(&x->lora, a, gt_compute_act(x->o.compute_dtype));
}

static gt_status open_adapter(gt_opened_model *x)
{
    gt_adapter *a;
    GT_TRY(gt_adapter_read(&a, x->o.adapter, &x->w->config));
    if (a->ignored_vision > 0)
        gt_log(GT_WARN, "adapter", "%s: %zu tensors of a vision tower are passed over", x->o.adapter,
               a->ignored_vision);
    gt_lora_layout(&x->lora, &x->w->config, a->targets.rank, a->targets.scaling);
    gt_status st = gt_arena_build(&x->adapter_arena, carve_adapter, x);
    if (st == GT_OK) memcpy(x->lora.param, a->param, x->lora.count * sizeof *x->lora.param);
    gt_adapter_free(a);
    return st;
}

gt_status gt_opened_model_open(gt_opened_model *x, const gt_open_options *o)
{
    memset(x, 0, sizeof *x);
    x->o = *o;
    const gt_base_options base = {.dtype = o->base_dtype, .threads = o->threads};
    gt_status st = gt_base_open(&x->w, o->model, &base, NULL);
    if (st == GT_OK && o->adapter) st = open_adapter(x);
    if (st != GT_OK) gt_opened_model_close(x);
    return st;
}

gt_status gt_opened_model_start(gt_opened_model *x, int positions, int max_tokens)
{
    const gt_model_options o = {.backend = x->o.backend,
                                .act = gt_compute_act(x->o.compute_dtype),
                                .threads = x->o.threads,
                                .positions = positions,
                                .lora_rank = x->o.adapter ? x->lora.max_rank : 0,
                                .max_tokens = max_tokens};
    GT_TRY(gt_model_create(&x->m, x->w, &o));
    if (!x->o.adapter) return GT_OK;
    x->m->lora = &x->lora;
    return gt_lora_refresh(&x->lora, x->m->k, &x->m->x);
}

void gt_opened_model_close(gt_opened_model *x)
{
    gt_model_destroy(x->m);
    gt_arena_free(&x->adapter_arena);
    gt_weights_close(x->w);
    memset(x, 0, sizeof *x);
}
