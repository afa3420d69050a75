#include "score.h"

#include "checked.h"
#include "json_write.h"

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

/* The lists of "top" are one text: a node for each of top * targets numbers would be many times as large. */
static gt_status add_top(gt_scorer *s, const gt_batch *b, gt_text *top)
{
    const int vocab = s->m->config->vocab_size;
    gt_text_addf(top, "[");
    for (int first = 0; first < b->targets; first += LOGIT_ROWS) {
        const int rows = gt_min_int(b->targets - first, LOGIT_ROWS);
        GT_TRY(gt_forward_logits(s->m, &s->pass, b->target_row + first, rows, s->logits));
        for (int r = 0; r < rows; r++) {
            gt_top_candidates(s->best, s->top, s->logits + (size_t)r * (size_t)vocab, vocab, s->scratch);
            gt_text_addf(top, first + r ? ",[" : "[");
            for (int i = 0; i < s->top; i++) {
                gt_text_addf(top, "%s[%d,", i ? "," : "", s->best[i].id);
                gt_text_addf(top, isfinite(s->best[i].logit) ? "%.9g]" : "null]", (double)s->best[i].logit);
            }
            gt_text_addf(top, "]");
        }
    }
    gt_text_addf(top, "]");
    return top->failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for the %d best tokens of each of %d", s->top, b->targets)
                       : GT_OK;
}

static gt_status print_scores(gt_scorer *s, const gt_sample *sample, const gt_batch *b, double sum, const char *top,
                              gt_text *line)
{
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    gt_json_add_int(&w, root, "row", (int64_t)sample->row);
    gt_json_add_int(&w, root, "tokens", b->n);
    gt_json_node *nll = gt_json_add_array(&w, root, "nll");
    for (int i = 0; i < b->targets; i++) gt_json_add_number(&w, nll, NULL, s->nll[i], 9);
    gt_json_add_number(&w, root, "sum", sum, 12);
    gt_json_node *greedy = gt_json_add_array(&w, root, "greedy");
    for (int i = 0; i < b->targets; i++) gt_json_add_bool(&w, greedy, NULL, s->greedy[i]);
    if (top) gt_json_add_raw(&w, root, "top", top);
    return gt_json_end(&w, line, GT_JSON_LINE, "scores");
}

static gt_status score_batch(gt_scorer *s, const gt_sample *sample, const gt_batch *b, gt_text *line)
{
    gt_loss_sum sum;
    gt_text top = {0};
    GT_TRY(gt_forward(s->m, &s->pass, b, &(gt_forward_options){0}));
    GT_TRY(gt_forward_loss(s->m, &s->pass, b, false, &sum, s->nll, s->greedy));
    gt_status st = s->top > 0 ? add_top(s, b, &top) : GT_OK;
    if (st == GT_OK) st = print_scores(s, sample, b, sum.loss, top.data, line);
    gt_text_free(&top);
    return st;
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
