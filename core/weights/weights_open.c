/* The one way into a base of any kind: what a MODEL is decides the opener, and no base leaves here unchecked. It stands
 * above the openers, which know weights.c but not each other. */
#include "weights_sources.h"

#include "hub.h"
#include "log.h"
#include "text.h"

#include <stdlib.h>

static gt_status open_file(gt_weights **out, const char *path)
{
    switch (gt_model_file_kind(path)) {
    case GT_MODEL_GGUF:
        return gt_weights_open_gguf(out, path);
    case GT_MODEL_GTQ:
        return gt_weights_open_gtq(out, path);
    case GT_MODEL_OTHER:
        break;
    }
    if (gt_ends_with(path, ".safetensors"))
        return GT_FAIL(GT_ERR_DATA, "%s: one file of a model; give the folder that holds it and its config.json", path);
    return GT_FAIL(GT_ERR_DATA, "%s: not a model: expected a Hugging Face folder, a .gguf or a .gtq file", path);
}

gt_status gt_weights_open(gt_weights **out, const char *model)
{
    char *path;
    bool folder;
    gt_weights *w = NULL;
    GT_TRY(gt_model_resolve(&path, &folder, model));
    gt_status st = folder ? gt_weights_open_hf(&w, path) : open_file(&w, path);
    if (st == GT_OK) st = gt_weights_check(w);
    free(path);
    if (st != GT_OK) {
        gt_weights_close(w);
        return st;
    }
    if (gt_weights_copied(w) > 0)
        gt_log(GT_WARN, "weights",
               "%s: %zu bytes are not aligned in their file and were copied; the copy is not shared", w->path,
               gt_weights_copied(w));
    *out = w;
    return GT_OK;
}
