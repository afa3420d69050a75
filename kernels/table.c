#include "table.h"

#include "tables.h"

gt_status gt_kernels_get(const gt_kernels **out, gt_backend backend, gt_dtype act)
{
    const gt_kernels *k = NULL;
    if (backend == GT_BACKEND_REF) k = gt_kernels_ref(act);
    else k = gt_kernels_cpu(act);
    if (!k)
        return GT_FAIL(GT_ERR_CONFIG, "backend %s has no kernels for compute dtype %s; use bfloat16 or float32",
                       backend == GT_BACKEND_REF ? "ref" : "cpu", gt_dtype_name(act));
    *out = k;
    return GT_OK;
}
