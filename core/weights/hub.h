/* hub.h - which file or folder a MODEL is: a path, or the id of a model ("google/gemma-3-270m") in the local Hugging
 * Face cache. Nothing is ever downloaded. */
#ifndef GT_HUB_H
#define GT_HUB_H

#include "status.h"

#include <stdbool.h>

/* *path: malloc'ed, the caller frees; *folder: whether it is one. What exists as a path is that path, whatever its
 * name. Else an id is looked up below HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub: models--ORG--NAME/refs/main names the folder below snapshots/.
 * GT_ERR_DATA: an id that is not there; the message holds the command that downloads it. GT_ERR_IO: neither. */
gt_status gt_model_resolve(char **path, bool *folder, const char *model);

/* Whether a name has the form of a hub id: ORG/NAME or NAME. */
bool gt_hub_is_id(const char *name);

typedef enum { GT_MODEL_GGUF, GT_MODEL_GTQ, GT_MODEL_OTHER } gt_model_kind;

/* What a file is, by its first bytes, or by its name where those say nothing (so that a broken file's opener speaks).
 */
gt_model_kind gt_model_file_kind(const char *path);

/* The hub id of a folder inside such a cache ("google/gemma-3-270m"), malloc'ed; NULL if it is none or without memory.
 */
char *gt_hub_id_of(const char *path);

#endif
