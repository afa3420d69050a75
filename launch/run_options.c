#include "run_options.h"

#include <string.h>

const char *const gt_backend_names[] = {"auto", "cpu", "ref", NULL};
const char *const gt_base_dtype_names[] = {"native", "bf16", "bfloat16", "nf4", NULL};
const char *const gt_compute_dtype_names[] = {"bfloat16", "bf16", "float32", NULL};

gt_backend gt_run_backend(const gt_run_options *o)
{
    if (!o->backend || strcmp(o->backend, "auto") == 0) return GT_BACKEND_AUTO;
    return strcmp(o->backend, "ref") == 0 ? GT_BACKEND_REF : GT_BACKEND_CPU;
}

gt_base_dtype gt_run_base_dtype(const gt_run_options *o)
{
    if (!o->base_dtype || strcmp(o->base_dtype, "native") == 0) return GT_BASE_NATIVE;
    return strcmp(o->base_dtype, "nf4") == 0 ? GT_BASE_NF4 : GT_BASE_BF16;
}

gt_compute_dtype gt_run_compute_dtype(const gt_run_options *o)
{
    return o->compute_dtype && strcmp(o->compute_dtype, "float32") == 0 ? GT_COMPUTE_F32 : GT_COMPUTE_BF16;
}

gt_open_options gt_run_open_options(const gt_run_options *o, const char *model, const char *adapter)
{
    return (gt_open_options){.model = model,
                             .adapter = adapter,
                             .backend = gt_run_backend(o),
                             .threads = (int)o->threads,
                             .base_dtype = gt_run_base_dtype(o),
                             .compute_dtype = gt_run_compute_dtype(o)};
}
