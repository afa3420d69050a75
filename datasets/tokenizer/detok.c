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

gt_status gt_tokenizer_decode(const gt_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **out,
                              size_t *size)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= gt_tokenizer_size(t))
            return GT_FAIL(GT_ERR_DATA, "token %zu has id %d, expected 0 to %u", i, ids[i], t->head->pieces - 1);
    gt_detok *d = NULL;
    gt_text all = {0};
    const char *part;
    size_t part_size;
    GT_TRY(gt_detok_create(&d, t, skip_special));
    gt_status st = GT_OK;
    for (size_t i = 0; i < n; i++) {
        GT_TRY_TO(st, gt_detok_push(d, ids[i], &part, &part_size), done);
        gt_text_add(&all, part, part_size);
    }
    GT_TRY_TO(st, gt_detok_finish(d, &part, &part_size), done);
    gt_text_add(&all, part, part_size);
    gt_text_add(&all, "", 0);
    if (all.failed || !all.data) {
        st = GT_FAIL(GT_ERR_NOMEM, "no memory for the text of %zu tokens", n);
        goto done;
    }
    *out = all.data;
    *size = all.size;
    all.data = NULL;
done:
    gt_text_free(&all);
    gt_detok_free(d);
    return st;
}
