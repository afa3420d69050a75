/* The backends a program offers, and the choice among them: nothing here names a filling's function, so that no arrow
 * leads from the contract up to what fills it. */
#include "table.h"

const char *const gt_backend_names[GT_BACKEND_COUNT + 1] = {
    [GT_BACKEND_AUTO] = "auto", [GT_BACKEND_CPU] = "cpu", [GT_BACKEND_REF] = "ref"};

static const gt_backend_filling *offered[GT_BACKEND_COUNT];

void gt_kernels_offer(const gt_backend_filling *filling)
{
    offered[filling->id] = filling;
}

static gt_backend resolved(gt_backend backend)
{
    return backend == GT_BACKEND_AUTO ? GT_BACKEND_CPU : backend;
}

gt_status gt_kernels_get(const gt_kernels **out, gt_backend backend, gt_dtype act)
{
    const gt_backend_filling *f = offered[resolved(backend)];
    if (!f)
        return GT_FAIL(GT_ERR_CONFIG, "this program was built without the backend %s (kernels/backends)",
                       gt_backend_names[resolved(backend)]);
    const gt_kernels *k = f->table(act);
    if (!k)
        return GT_FAIL(GT_ERR_CONFIG, "backend %s has no kernels for compute dtype %s; use bfloat16 or float32",
                       gt_backend_names[f->id], gt_dtype_name(act));
    *out = k;
    return GT_OK;
}

int gt_kernels_path(gt_backend backend, const char **name)
{
    const gt_backend_filling *f = offered[resolved(backend)];
    *name = f ? gt_backend_names[f->id] : "?";
    return f && f->path ? f->path(name) : 0;
}

void gt_kernels_lower(gt_backend backend, int path)
{
    const gt_backend_filling *f = offered[resolved(backend)];
    if (f && f->lower) f->lower(path);
}
