/* export_source.h - an adapter to be exported with what is known of its base, wherever it comes from. For export.c
 * only. */
#ifndef GT_EXPORT_SOURCE_H
#define GT_EXPORT_SOURCE_H

#include "adapter.h"
#include "ckpt.h"
#include "recipe.h"

typedef struct {
    bool from_run;
    char *base;             /* MODEL, owned */
    char base_id[65];       /* of the base it was trained on; "" when not known (a PEFT folder) */
    bool nf4, double_quant; /* the run held its base in NF4; not known from a PEFT folder: false */
    bool bf16;              /* the run rounded its base to bf16 */
    long long step;         /* of the checkpoint */
    /* after gt_export_source_load */
    gt_lora_config config; /* borrowed from recipe or adapter */
    gt_lora_targets targets;
    float *param; /* owned */
    gt_recipe recipe;
    gt_ckpt *checkpoint;
    gt_adapter *adapter;
} gt_export_source;

/* Finds out what path is and which base it names. GT_ERR_CONFIG: neither run, checkpoint nor adapter. Close also after
 * failure. */
gt_status gt_export_source_open(gt_export_source *s, const char *path, const char *base);

/* Reads the adapter's values for the opened base. */
gt_status gt_export_source_load(gt_export_source *s, const char *path, const gt_weights *w);

/* Zeroed structs are fine. */
void gt_export_source_close(gt_export_source *s);

#endif
