/* tokenizer_source.h - the tokenizer that comes with a MODEL (weights.h says what that is), however it is stored. */
#ifndef GT_TOKENIZER_SOURCE_H
#define GT_TOKENIZER_SOURCE_H

#include "tokenizer.h"

/* A folder: tokenizer.json, with tokenizer_config.json where there is one. The weights need not be there. A folder may
 * also be given by its tokenizer.json. *out is NULL, with GT_OK, when the model brings none: rows of ids need none. The
 * caller's; gt_tokenizer_free. GT_ERR_IO, GT_ERR_DATA name the file. */
gt_status gt_tokenizer_source_open(gt_tokenizer **out, const char *model);

/* The same, but a model without one is GT_ERR_CONFIG that says what to do: for commands that read or write text. */
gt_status gt_tokenizer_source_need(gt_tokenizer **out, const char *model);

#endif
