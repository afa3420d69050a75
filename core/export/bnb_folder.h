/* bnb_folder.h - a 4-bit base as the Hugging Face folder that bitsandbytes and transformers serialize
 * (docs/model/quant.md section 6): transformers loads it as it is, and so does this program. */
#ifndef GT_BNB_FOLDER_H
#define GT_BNB_FOLDER_H

#include "tokenizer.h"
#include "weights.h"

#include <stdbool.h>

/* Writes w, whose projections are all NF4 or all FP4 of one kind (a .gtq, or a bitsandbytes folder), as the text model
 * to a new folder. source: whose tokenizer files are copied when it is a folder (w itself, or what w was packed from);
 * tokenizer: for the files otherwise, or NULL. GT_ERR_CONFIG: the folder exists (output_folder.h). GT_ERR_DATA:
 * not a 4-bit base. */
gt_status gt_bnb_write(const char *folder, const gt_weights *w, const gt_weights *source, const gt_tokenizer *tokenizer,
                       bool replace);

#endif
