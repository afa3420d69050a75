/* real_model.h - the real Gemma 3 270M, which the reference environment puts below ${XDG_CACHE_HOME:-~/.cache}/gemtune.
 */
#ifndef GT_REAL_MODEL_H
#define GT_REAL_MODEL_H

/* The GGUF's path, a static buffer; skips the running test with a visible reason if it is absent. */
const char *real_270m(void);

#endif
