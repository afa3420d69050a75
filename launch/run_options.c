#include "run_options.h"

#include "recipe.h"

#include <string.h>

gt_backend gt_run_backend(const gt_run_options *o)
{
    int id = GT_BACKEND_AUTO;
    for (int i = 0; o->backend && gt_backend_names[i]; i++)
        if (strcmp(o->backend, gt_backend_names[i]) == 0) id = i;
    return (gt_backend)id;
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
