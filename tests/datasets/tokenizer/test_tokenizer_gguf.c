/* The vocabulary of a GGUF file gives the same tokenizer as the model's tokenizer.json: every golden case, every piece
 * and its kind, every merge in its order. */
#include "real_model.h"
#include "tokenizer_blob.h"
#include "tokenizer_files.h"
#include "tokenizer_source.h"

#include <stdlib.h>
#include <string.h>

static gt_tokenizer *from_gguf(void)
{
    gt_tokenizer *t;
    assert_ok(gt_tokenizer_source_need(&t, real_270m()));
    return t;
}

static void gguf_vocabulary_gives_every_golden_case(void **state)
{
    (void)state;
    gt_tokenizer *t = from_gguf();
    assert_int_equal(262145, gt_tokenizer_size(t));
    assert_int_equal(1500, for_each_line(golden("tokenizer/cases.jsonl"), t, check_golden_text));
    gt_tokenizer_free(t);
}

static void special_ids_are_those_of_the_file(void **state)
{
    (void)state;
    gt_tokenizer *t = from_gguf();
    const gt_tokenizer_specials *s = gt_tokenizer_get_specials(t);
    assert_true(s->bos == 2 && s->eos == 1 && s->pad == 0 && s->unk == 3 && s->add_bos && !s->add_eos);
    assert_true(s->start_of_turn == 105 && s->end_of_turn == 106 && s->start_of_image == 255999);
    gt_tokenizer_free(t);
}

/* More than the cases: pieces, kinds and merges agree, and so does everything that follows from them. */
static void gguf_and_json_make_the_same_tokenizer(void **state)
{
    (void)state;
    const gt_tokenizer *j = gemma_tokenizer();
    gt_tokenizer *g = from_gguf();
    assert_int_equal(gt_tokenizer_size(j), gt_tokenizer_size(g));
    for (int32_t id = 0; id < gt_tokenizer_size(j); id++) {
        size_t a, b;
        const char *x = gt_tokenizer_piece(j, id, &a), *y = gt_tokenizer_piece(g, id, &b);
        if (a != b || memcmp(x, y, a) != 0 || j->kind[id] != g->kind[id])
            fail_msg("piece %d is '%.*s' (kind %d) in tokenizer.json, '%.*s' (kind %d) in the GGUF", id, (int)a, x,
                     j->kind[id], (int)b, y, g->kind[id]);
    }
    /* The merges of newlines and tabs are not made from a GGUF: such runs are found in the raw text and never merged.
     */
    const uint32_t space = (uint32_t)gt_scalar_find(j, 0x2581);
    uint32_t k = 0, skipped = 0;
    const uint32_t runs = 31 * 30 / 2; /* merges of U+2581: every split of 2 … 31; in tokenizer.json among the others */
    uint32_t next_run = 0;
    for (uint32_t m = 0; m < j->head->merges; m++) {
        const gt_merge *e = &j->merge[m];
        if (j->text[j->piece_at[e->result]] == '\n' || j->text[j->piece_at[e->result]] == '\t') {
            skipped++;
            continue;
        }
        const bool run = (e->left == space || (e->left >= 138 && e->left <= 167)) && e->result <= 167;
        const uint32_t at = run ? next_run++ : runs + k++;
        if (memcmp(e, &g->merge[at], sizeof *e) != 0)
            fail_msg("merge %u of tokenizer.json is not %u of the GGUF", m, at);
    }
    assert_int_equal(runs, next_run);
    assert_int_equal(j->head->merges - skipped, g->head->merges);
    gt_tokenizer_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_vocabulary_gives_every_golden_case),
        cmocka_unit_test(special_ids_are_those_of_the_file),
        cmocka_unit_test(gguf_and_json_make_the_same_tokenizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
