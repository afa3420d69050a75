#include "detok.h"

#include "text.h"
#include "tokenizer_blob.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

struct gt_detok {
    const gt_tokenizer *t;
    bool skip_special;
    gt_text run; /* byte pieces held back */
    gt_text out; /* what the last call handed out */
};

gt_status gt_detok_create(gt_detok **out, const gt_tokenizer *t, bool skip_special)
{
    gt_detok *d = calloc(1, sizeof *d);
    if (!d) return GT_FAIL(GT_ERR_NOMEM, "no memory for a decoder");
    d->t = t;
    d->skip_special = skip_special;
    *out = d;
    return GT_OK;
}

void gt_detok_free(gt_detok *d)
{
    if (!d) return;
    gt_text_free(&d->run);
    gt_text_free(&d->out);
    free(d);
}

/* The run is over: UTF-8 as a whole, or U+FFFD for each of its bytes. */
static void end_run(gt_detok *d)
{
    if (d->run.size == 0) return;
    if (gt_utf8_valid(d->run.data, d->run.size, NULL))
        gt_text_add(&d->out, d->run.data, d->run.size);
    else
        for (size_t i = 0; i < d->run.size; i++) gt_text_add(&d->out, "\xEF\xBF\xBD", 3);
    gt_text_clear(&d->run);
}

static void add_piece(gt_detok *d, const char *piece, size_t size)
{
    for (size_t i = 0; i < size;) {
        if (size - i >= 3 && memcmp(piece + i, "\xE2\x96\x81", 3) == 0) {
            gt_text_add(&d->out, " ", 1);
            i += 3;
        } else {
            gt_text_add(&d->out, piece + i++, 1);
        }
    }
}

static gt_status hand_out(gt_detok *d, const char **text, size_t *size)
{
    if (d->out.failed || d->run.failed) return GT_FAIL(GT_ERR_NOMEM, "no memory for decoded text");
    *text = d->out.size ? d->out.data : "";
    *size = d->out.size;
    return GT_OK;
}

gt_status gt_detok_push(gt_detok *d, int32_t id, const char **text, size_t *size)
{
    gt_text_clear(&d->out);
    size_t n;
    const char *piece = gt_tokenizer_piece(d->t, id, &n);
    if (piece && !(d->skip_special && gt_tokenizer_is_special(d->t, id))) {
        const int byte = gt_tokenizer_byte_of(d->t, id);
        if (byte >= 0) {
            const char b = (char)byte;
            gt_text_add(&d->run, &b, 1);
        } else {
            end_run(d);
            add_piece(d, piece, n);
        }
    }
    return hand_out(d, text, size);
}

gt_status gt_detok_finish(gt_detok *d, const char **text, size_t *size)
{
    gt_text_clear(&d->out);
    end_run(d);
    return hand_out(d, text, size);
}
