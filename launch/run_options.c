#include "run_options.h"

#include "recipe.h"

#include <string.h>

const char *const gt_backend_names[] = {"auto", "cpu", "ref", NULL};

gt_backend gt_run_backend(const gt_run_options *o)
{
    if (!o->backend || strcmp(o->backend, "auto") == 0) return GT_BACKEND_AUTO;
    return strcmp(o->backend, "ref") == 0 ? GT_BACKEND_REF : GT_BACKEND_CPU;
}

gt_open_options gt_run_open_options(const gt_model_words *w)
{
    const gt_run_options *o = &w->run;
    return (gt_open_options){.model = w->model,
                             .adapter = w->adapter,
                             .backend = gt_run_backend(o),
                             .threads = (int)o->threads,
                             .base_dtype = gt_recipe_choice("base_dtype", o->base_dtype ? o->base_dtype : "native"),
                             .compute_dtype =
                                 gt_recipe_choice("compute_dtype", o->compute_dtype ? o->compute_dtype : "bfloat16")};
}
