#include "train_run.h"

#include "checked.h"
#include "clock.h"
#include "signals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LETTERS = 26, SUM_LOSS = 0, SUM_SUPERVISED, SUM_CHOICES, SUM_RIGHT, SUMS };

/* A multiple-choice row is answered by its letter: the candidate letter with the highest logit where the answer begins.
 * Rows whose answer does not begin with its letter as one token are not counted. */
typedef struct {
    int32_t id[LETTERS]; /* token of "A" ...; -1: not one token */
    void *row;           /* [LETTERS, H] act: their rows of the head, owned */
    float logit[LETTERS];
} letters;

static gt_status letters_open(letters *l, gt_train_run *t)
{
    memset(l, 0, sizeof *l);
    const size_t row = (size_t)t->w->config.hidden_size * (size_t)gt_dtype_block_bytes(t->m->k->act);
    l->row = aligned_alloc(GT_ARENA_ALIGN, gt_align_up(LETTERS * row, GT_ARENA_ALIGN));
    if (!l->row) return GT_FAIL(GT_ERR_NOMEM, "no memory for the choice letters");
    memset(l->row, 0, LETTERS * row);
    for (int i = 0; i < LETTERS; i++) {
        const char letter = (char)('A' + i);
        gt_ids ids = {0};
        l->id[i] = -1;
        if (!t->tok) continue;
        gt_status st = gt_tokenizer_encode(t->tok, &letter, 1, 0, &ids);
        if (st == GT_OK && ids.count == 1) l->id[i] = ids.id[0];
        gt_ids_free(&ids);
        GT_TRY(st);
        if (l->id[i] >= 0)
            GT_TRY(t->m->k->decode(&t->m->x, (char *)l->row + (size_t)i * row, &t->w->embed, l->id[i], 1));
    }
    return GT_OK;
}

static bool answerable(const letters *l, const gt_sample *s)
{
    return s->choices > 0 && s->choices <= LETTERS && s->answer >= 0 && s->answer < s->choices &&
           s->prompt_tokens > 0 && s->prompt_tokens < s->n && l->id[s->answer] >= 0 &&
           s->ids[s->prompt_tokens] == l->id[s->answer];
}

/* The row's hidden states are still in the pass: one product with the letters' rows of the head. */
static gt_status answer(gt_train_run *t, letters *l, const gt_sample *s, int begin, int64_t *sum)
{
    if (!answerable(l, s)) return GT_OK;
    const int H = t->w->config.hidden_size;
    const int32_t row = begin + s->prompt_tokens - 1;
    GT_TRY(gt_forward_hidden(t->m, &t->pass, &row, 1));
    GT_TRY(t->m->k->gemm(&t->m->x, &(gt_gemm){.a = t->pass.head_xf,
                                              .lda = H,
                                              .b = l->row,
                                              .ldb = H,
                                              .tb = true,
                                              .c = l->logit,
                                              .ldc = LETTERS,
                                              .m = 1,
                                              .n = LETTERS,
                                              .k = H,
                                              .alpha = 1,
                                              .c_dtype = GT_F32}));
    int best = -1;
    for (int i = 0; i < s->choices; i++)
        if (l->id[i] >= 0 && (best < 0 || l->logit[i] > l->logit[best])) best = i;
    sum[SUM_CHOICES]++;
    sum[SUM_RIGHT] += best == s->answer;
    return GT_OK;
}

static gt_status eval_batch(gt_train_run *t, letters *l, const gt_sample *const *sample, const gt_batch *b,
                            int64_t *sum)
{
    gt_loss_sum loss;
    GT_TRY(gt_forward(t->m, &t->pass, b, &(gt_forward_options){0}));
    GT_TRY(gt_forward_loss(t->m, &t->pass, b, false, &loss, NULL, NULL));
    if (!isfinite(loss.loss))
        return GT_FAIL(GT_ERR_DATA, "the loss of eval row %llu is not finite", (unsigned long long)sample[0]->row);
    sum[SUM_LOSS] += llround(loss.loss * GT_LOSS_SCALE);
    sum[SUM_SUPERVISED] += b->targets;
    for (int d = 0; d < b->docs; d++) GT_TRY(answer(t, l, sample[d], b->doc_begin[d], sum));
    return GT_OK;
}

/* Rows are grouped in file order by size alone, groups dealt out in turn: the same sums on any number of ranks. */
static gt_status eval_all(gt_train_run *t, letters *l, int64_t *sum)
{
    const gt_samples *dev = &t->dev;
    int group = 0;
    for (size_t first = 0; first < dev->count; group++) {
        const gt_sample *sample[64];
        int n = 0, tokens = 0;
        while (n < 64 && n < t->r->per_device_eval_batch_size && n < t->pass.max_spans &&
               first + (size_t)n < dev->count) {
            const gt_sample *s = &dev->sample[first + (size_t)n];
            if (n > 0 && s->n > t->t.pass_tokens - tokens) break;
            sample[n++] = s;
            tokens += s->n;
        }
        first += (size_t)n;
        if (group % t->c->size != t->c->rank) continue;
        GT_TRY(gt_signals_check());
        if (gt_signals_save_asked()) return GT_OK;
        gt_batch b;
        GT_TRY(gt_batch_build(&b, sample, n));
        gt_status st = eval_batch(t, l, sample, &b, sum);
        gt_batch_free(&b);
        GT_TRY(st);
    }
    return GT_OK;
}

gt_status gt_train_evaluate(gt_train_run *t, gt_eval_result *out)
{
    const double begin = gt_clock();
    int64_t sum[SUMS] = {0};
    letters l;
    gt_status st = letters_open(&l, t);
    if (st == GT_OK) st = eval_all(t, &l, sum);
    free(l.row);
    if (st == GT_ERR_INTERRUPTED) return st;
    GT_TRY(gt_comm_agree(t->c, st));
    int32_t save_asked = gt_signals_save_asked();
    GT_TRY(gt_comm_max_i32(t->c, &save_asked, 1));
    if (save_asked) {
        *out = (gt_eval_result){.save_asked = true};
        return GT_OK;
    }
    GT_TRY(gt_comm_sum_i64(t->c, sum, SUMS));
    *out = (gt_eval_result){.loss = (double)sum[SUM_LOSS] / GT_LOSS_SCALE / (double)sum[SUM_SUPERVISED],
                            .supervised = sum[SUM_SUPERVISED],
                            .choices = sum[SUM_CHOICES],
                            .right = sum[SUM_RIGHT],
                            .accuracy = sum[SUM_CHOICES] ? (double)sum[SUM_RIGHT] / (double)sum[SUM_CHOICES] : NAN,
                            .seconds = gt_clock() - begin};
    return GT_OK;
}
