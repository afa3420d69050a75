/* detok.h - token ids back to text: a whole list's, or as tokens come, handed out as soon as it cannot change any more.
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

/* The text of ids[0..n): malloc'ed, NUL behind it (uncounted; the text may hold NUL bytes); the caller frees *out.
 * U+2581 becomes a space; a run of byte pieces is UTF-8 if it is valid as a whole, else one U+FFFD a byte. skip_special
 * drops the tokens flagged special before runs are formed. Always valid UTF-8. GT_ERR_DATA: an id outside the
 * vocabulary. GT_ERR_NOMEM. */
gt_status gt_tokenizer_decode(const gt_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **out,
                              size_t *size);

#endif
