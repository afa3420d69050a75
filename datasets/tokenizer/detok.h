/* detok.h - decoding as tokens come: hands out text as soon as it cannot change any more.
 *
 * The pieces handed out, put together, are exactly gt_tokenizer_decode of all ids. Trailing byte pieces are held back
 * until their run ends, since only the whole run decides whether they are UTF-8. */
#ifndef GT_DETOK_H
#define GT_DETOK_H

#include "tokenizer.h"

typedef struct gt_detok gt_detok;

/* t stays the caller's and must outlive *out. */
gt_status gt_detok_create(gt_detok **out, const gt_tokenizer *t, bool skip_special);
void gt_detok_free(gt_detok *d); /* NULL is fine */

/* Takes the next id; *text[0..*size) is what can be shown now (size 0: nothing yet), valid until the next call on d.
 * An id outside the vocabulary (a padded row of the embedding) has no text and ends no run. GT_ERR_NOMEM. */
gt_status gt_detok_push(gt_detok *d, int32_t id, const char **text, size_t *size);

/* The end of the stream: what was held back. d can then begin anew. */
gt_status gt_detok_finish(gt_detok *d, const char **text, size_t *size);

#endif
