#include "score.h"

#include "checked.h"

#include <math.h>
#include <string.h>

/* Supervised rows, and rows of logits, computed at once: 16 rows of logits are 17 MB at a vocabulary of 262144. */
enum { HEAD_ROWS = 64, LOGIT_ROWS = 16 };

typedef struct {
    gt_scorer *s;
    int max_tokens;
    bool logits;
} carving;

static void carve(void *context, gt_arena *a)
{
    const carving *c = context;
    gt_scorer *s = c->s;
    const gt_model *m = s->m;
    const size_t tokens = (size_t)c->max_tokens, vocab = (size_t)m->config->vocab_size;
    gt_pass_carve(&s->pass, a, m->weights, m->k,
                  &(gt_pass_options){.max_tokens = c->max_tokens,
                                     .max_documents = 1,
                                     .head_rows = HEAD_ROWS,
                                     .lora_rank = m->lora ? m->lora->max_rank : 0});
    s->nll = gt_arena_push(a, tokens, sizeof *s->nll, "score.nll");
    s->greedy = gt_arena_push(a, tokens, sizeof *s->greedy, "score.nll");
    if (!c->logits) return;
    s->logits = gt_arena_push(a, LOGIT_ROWS, vocab * sizeof *s->logits, "score.logits");
    s->scratch = gt_arena_push(a, vocab, sizeof *s->scratch, "score.candidates");
    s->best = gt_arena_push(a, (size_t)s->top + 1, sizeof *s->best, "score.candidates");
}

gt_status gt_scorer_create(gt_scorer *s, gt_model *m, int max_tokens, int top, bool all_logits)
{
    memset(s, 0, sizeof *s);
    if (top < 0 || top > m->config->vocab_size)
        return GT_FAIL(GT_ERR_USAGE, "the %d best tokens of a vocabulary of %d", top, m->config->vocab_size);
    s->m = m;
    s->top = top;
    return gt_arena_build(&s->arena, carve, &(carving){s, max_tokens, top > 0 || all_logits});
}

void gt_scorer_destroy(gt_scorer *s)
{
    gt_arena_free(&s->arena);
}

/* A number as JSON has it: what is not finite is null. */
static void add_number(gt_text *line, const char *before, double value, int digits)
{
    if (isfinite(value))
        gt_text_addf(line, "%s%.*g", before, digits, value);
    else
        gt_text_addf(line, "%snull", before);
}

static gt_status add_top(gt_scorer *s, const gt_batch *b, gt_text *line)
{
    const int vocab = s->m->config->vocab_size;
    gt_text_addf(line, ", \"top\": [");
    for (int first = 0; first < b->targets; first += LOGIT_ROWS) {
        const int rows = gt_min_int(b->targets - first, LOGIT_ROWS);
        GT_TRY(gt_forward_logits(s->m, &s->pass, b->target_row + first, rows, s->logits));
        for (int r = 0; r < rows; r++) {
            gt_top_candidates(s->best, s->top, s->logits + (size_t)r * (size_t)vocab, vocab, s->scratch);
            gt_text_addf(line, first + r ? ", [" : "[");
            for (int i = 0; i < s->top; i++) {
                gt_text_addf(line, "%s[%d, ", i ? ", " : "", s->best[i].id);
                add_number(line, "", (double)s->best[i].logit, 9);
                gt_text_addf(line, "]");
            }
            gt_text_addf(line, "]");
        }
    }
    gt_text_addf(line, "]");
    return GT_OK;
}

static gt_status score_batch(gt_scorer *s, const gt_sample *sample, const gt_batch *b, gt_text *line)
{
    gt_loss_sum sum;
    GT_TRY(gt_forward(s->m, &s->pass, b, &(gt_forward_options){0}));
    GT_TRY(gt_forward_loss(s->m, &s->pass, b, false, &sum, s->nll, s->greedy));
    gt_text_addf(line, "{\"row\": %llu, \"tokens\": %d, \"nll\": [", (unsigned long long)sample->row, b->n);
    for (int i = 0; i < b->targets; i++) add_number(line, i ? ", " : "", s->nll[i], 9);
    add_number(line, "], \"sum\": ", sum.loss, 12);
    gt_text_addf(line, ", \"greedy\": [");
    for (int i = 0; i < b->targets; i++) gt_text_addf(line, "%s%s", i ? ", " : "", s->greedy[i] ? "true" : "false");
    gt_text_addf(line, "]");
    if (s->top > 0) GT_TRY(add_top(s, b, line));
    gt_text_addf(line, "}");
    if (line->failed)
        return GT_FAIL(GT_ERR_NOMEM, "no memory for the scores of row %llu", (unsigned long long)sample->row);
    return GT_OK;
}

gt_status gt_score_row(gt_scorer *s, const gt_sample *sample, gt_text *line)
{
    gt_batch b;
    GT_TRY(gt_batch_build(&b, &sample, 1));
    gt_status st = score_batch(s, sample, &b, line);
    gt_batch_free(&b);
    return st;
}

gt_status gt_score_logits(gt_scorer *s, const gt_sample *sample, gt_logit_sink sink, void *context)
{
    for (int first = 0; first < sample->n; first += LOGIT_ROWS) {
        const int rows = gt_min_int(sample->n - first, LOGIT_ROWS);
        int32_t row[LOGIT_ROWS];
        for (int i = 0; i < rows; i++) row[i] = first + i;
        GT_TRY(gt_forward_logits(s->m, &s->pass, row, rows, s->logits));
        GT_TRY(sink(context, s->logits, rows));
    }
    return GT_OK;
}
