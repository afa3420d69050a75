/* adapter.h - PEFT adapter folders (adapter_config.json + adapter_model.safetensors; docs/model/lora.md section 5):
 * read what PEFT, TRL and this program write, and write what PEFT loads. */
#ifndef GT_ADAPTER_H
#define GT_ADAPTER_H

#include "lora_targets.h"

/* An adapter as read, for a model of a given shape. All values are in one flat vector in the order of gt_lora_layout:
 * layer, projection, A [r, in] before B [out, r]; so a model's adapter is gt_lora_layout(l, c, targets.rank,
 * targets.scaling) and a copy of param. */
typedef struct gt_adapter {
    gt_lora_config config;   /* as the file says; owned */
    gt_lora_targets targets; /* ranks and scalings of what the file holds */
    float *param;            /* [count] owned */
    size_t count;
    char *base_model;      /* base_model_name_or_path, owned; NULL when not given */
    size_t ignored_vision; /* tensors of a vision tower, which a text model does not have: ignored, for a warning */
} gt_adapter;

/* Reads a folder for a model. All three spellings of module paths are taken (text, multimodal new and old), and F32,
 * F16 and BF16 tensors. Refused by name, because the function would be another: DoRA, biases, modules_to_save,
 * embedding adapters, fan_in_fan_out, initializations that change the base weights, other PEFT types; a tensor that no
 * module of the model has, or of another shape or rank than the config says; half a pair; a module that the config
 * targets and the file lacks; a value that is not finite. Release with gt_adapter_free. GT_ERR_IO, GT_ERR_DATA (names
 * folder, tensor and field), GT_ERR_NOMEM. */
gt_status gt_adapter_read(gt_adapter **out, const char *folder, const gt_model_config *m);
void gt_adapter_free(gt_adapter *a); /* NULL is fine */

/* What to write. All pointers are borrowed for the call. */
typedef struct {
    const gt_lora_config *config;
    const int *rank;    /* [layers * GT_PROJ_COUNT] as in gt_lora_targets */
    const float *param; /* flat, as in gt_adapter */
    const gt_model_config *model;
    const char *prefix;     /* gt_weights.prefix */
    const char *base_model; /* base_model_name_or_path; NULL: null */
} gt_adapter_source;

/* Writes both files as a new folder, under a temporary name renamed last. Where the base is multimodal, target_modules
 * is written as a regular expression of the text tower's modules, so that PEFT adds nothing to the vision tower. An
 * existing folder that is not empty is refused with GT_ERR_CONFIG, unless replace is set and it holds nothing but files
 * of an adapter or model (output_folder.h). GT_ERR_DATA: a value is not finite (nothing is written). GT_ERR_IO. */
gt_status gt_adapter_write(const char *folder, const gt_adapter_source *s, bool replace);

#endif
