/* The letter a model answers a multiple-choice row with: compared with the logits of the whole vocabulary at the same
 * position, on both backends, for several rows in one batch. */
#include "base_open.h"
#include "choice_score.h"
#include "testing.h"
#include "tiny.h"
#include "tokenizer_files.h"

#include <string.h>

enum { PROMPT = 9, LENGTH = 12, ROWS = 8, CHOICES = 5 };

typedef struct {
    gt_weights *w;
    gt_tokenizer *t;
    tiny_run r;
    int32_t letter[CHOICES];
} opened;

static void open_model(opened *o, gt_backend backend, gt_dtype act)
{
    assert_ok(gt_base_open(&o->w, golden("tiny/mqa_short"), &(gt_base_options){.dtype = GT_BASE_NATIVE}, NULL));
    o->t = small_tokenizer();
    tiny_open(&o->r, o->w, backend, act, 2, NULL,
              &(gt_pass_options){.max_tokens = ROWS * LENGTH, .max_documents = ROWS, .head_rows = ROWS}, 256);
    for (int i = 0; i < CHOICES; i++) {
        gt_ids ids = {0};
        assert_ok(gt_tokenizer_encode(o->t, &"ABCDE"[i], 1, 0, &ids));
        assert_int_equal(ids.count, 1);
        o->letter[i] = ids.id[0];
        gt_ids_free(&ids);
    }
}

static void close_model(opened *o)
{
    tiny_close(&o->r);
    gt_tokenizer_free(o->t);
    gt_weights_close(o->w);
}

/* Rows of unlike prompts, each answered by the letter of its right choice. */
typedef struct {
    int32_t ids[ROWS][LENGTH];
    uint8_t label[LENGTH];
    gt_sample sample[ROWS];
    const gt_sample *at[ROWS];
} rows;

static void make_rows(rows *r, const opened *o)
{
    memset(r, 0, sizeof *r);
    for (int i = 0; i < ROWS; i++) {
        for (int p = 0; p < LENGTH; p++) r->ids[i][p] = 13 + (i * 37 + p * 11) % 400;
        r->ids[i][PROMPT + i % 2] = o->letter[i % CHOICES];
        r->sample[i] = (gt_sample){.ids = r->ids[i],
                                   .label = r->label,
                                   .n = LENGTH,
                                   .prompt_tokens = PROMPT + i % 2,
                                   .row = (uint64_t)i,
                                   .choices = CHOICES,
                                   .answer = i % CHOICES};
        r->at[i] = &r->sample[i];
    }
}

/* The answers to all rows, in one batch. t NULL: without a tokenizer. */
static void answers(int *choice, opened *o, const rows *r, const gt_tokenizer *t)
{
    gt_choice_scorer s;
    gt_batch b;
    assert_ok(gt_batch_build(&b, r->at, ROWS));
    assert_ok(gt_forward(o->r.m, &o->r.pass, &b, &(gt_forward_options){0}));
    assert_ok(gt_choice_scorer_create(&s, o->r.m, t));
    for (int i = 0; i < ROWS; i++) assert_ok(gt_choice_score(&s, &o->r.pass, &b, i, r->at[i], &choice[i]));
    gt_choice_scorer_destroy(&s);
    gt_batch_free(&b);
}

static void the_letter_with_the_greatest_logit_of_the_vocabularys_is_chosen(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        opened o;
        rows r;
        int choice[ROWS], seen = 0;
        open_model(&o, which % 2 ? GT_BACKEND_CPU : GT_BACKEND_REF, which / 2 ? GT_BF16 : GT_F32);
        make_rows(&r, &o);
        answers(choice, &o, &r, o.t);
        gt_batch b;
        float logit[512];
        assert_int_equal(o.w->config.vocab_size, 512);
        assert_ok(gt_batch_build(&b, r.at, ROWS));
        for (int i = 0; i < ROWS; i++) {
            const int32_t row = b.doc_begin[i] + r.sample[i].prompt_tokens - 1;
            assert_ok(gt_forward_logits(o.r.m, &o.r.pass, &row, 1, logit));
            int best = 0;
            for (int c = 1; c < CHOICES; c++)
                if (logit[o.letter[c]] > logit[o.letter[best]]) best = c;
            assert_int_equal(choice[i], best);
            seen |= 1 << best;
        }
        assert_true(seen & (seen - 1)); /* the rows are not all answered alike */
        gt_batch_free(&b);
        close_model(&o);
    }
}

static void only_the_rows_own_choices_are_compared(void **state)
{
    (void)state;
    opened o;
    rows r;
    int all[ROWS], fewer[ROWS];
    open_model(&o, GT_BACKEND_REF, GT_F32);
    make_rows(&r, &o);
    answers(all, &o, &r, o.t);
    int changed = 0;
    for (int i = 0; i < ROWS; i++) {
        r.sample[i].choices = 2;
        r.sample[i].answer = 1;
        r.ids[i][r.sample[i].prompt_tokens] = o.letter[1];
    }
    answers(fewer, &o, &r, o.t);
    for (int i = 0; i < ROWS; i++) {
        assert_in_range(fewer[i], 0, 1);
        changed += all[i] > 1;
        if (all[i] < 2) assert_int_equal(fewer[i], all[i]);
    }
    assert_true(changed > 0); /* some row would have had another letter */
    close_model(&o);
}

static void a_row_whose_answer_is_not_its_letter_has_none(void **state)
{
    (void)state;
    opened o;
    rows r;
    int choice[ROWS];
    open_model(&o, GT_BACKEND_REF, GT_F32);
    make_rows(&r, &o);
    r.sample[0].choices = 0;
    r.ids[1][r.sample[1].prompt_tokens] = 400;
    r.sample[2].prompt_tokens = 0;
    r.sample[3].prompt_tokens = LENGTH;
    r.sample[4].answer = CHOICES;
    r.sample[5].choices = GT_CHOICE_MAX + 1;
    answers(choice, &o, &r, o.t);
    for (int i = 0; i < 6; i++) assert_int_equal(choice[i], -1);
    for (int i = 6; i < ROWS; i++) assert_in_range(choice[i], 0, CHOICES - 1);
    answers(choice, &o, &r, NULL);
    for (int i = 0; i < ROWS; i++) assert_int_equal(choice[i], -1);
    close_model(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_letter_with_the_greatest_logit_of_the_vocabularys_is_chosen),
        cmocka_unit_test(only_the_rows_own_choices_are_compared),
        cmocka_unit_test(a_row_whose_answer_is_not_its_letter_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
