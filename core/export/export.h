/* export.h - what a run made, in the forms that other programs load: the adapter as a PEFT folder, base plus adapter as
 * a plain model, or a base alone as a plain model. */
#ifndef GT_EXPORT_H
#define GT_EXPORT_H

#include "pool.h"
#include "text.h"

#include <stdbool.h>

typedef enum { GT_EXPORT_PEFT, GT_EXPORT_MERGED, GT_EXPORT_HF } gt_export_format;

typedef struct {
    const char *source; /* a run's output_dir (its last checkpoint), a checkpoint, a PEFT folder; for hf a MODEL */
    const char *out;    /* the new folder */
    const char *base;   /* the base to use instead of the one that the run or adapter names; NULL: that */
    gt_export_format format;
    bool into_original; /* merged: add to the weights before quantization instead of to their 4-bit values */
    bool replace;       /* --force */
} gt_export_options;

/* Not collective. The base of a run is checked by identity (contents, not names); one that the run packed at its start
 * is taken from the cache, or packed again (base_cache.h). report (may be NULL): lines for the user. GT_ERR_CONFIG: not
 * the run's base, --merge-into original without an original, no checkpoint; the folder exists. */
gt_status gt_export(const gt_export_options *o, gt_pool *pool, gt_text *report);

#endif
