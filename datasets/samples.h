/* samples.h - all rows of all files into samples, in order, under the policy for bad rows. */
#ifndef GT_SAMPLES_H
#define GT_SAMPLES_H

#include "load_options.h"
#include "sample.h"
#include "tokenizer.h"

/* Reads all rows. tok may be NULL when every row has ids. GT_ERR_DATA: names file, line, field, remedy; also when not
 * one supervised token is left. GT_ERR_CONFIG: text rows without a tokenizer. *out is the caller's: gt_samples_free. */
gt_status gt_samples_load(gt_samples *out, const gt_load_options *o, const gt_tokenizer *tok);

#endif
