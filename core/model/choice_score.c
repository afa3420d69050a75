#include "choice_score.h"

#include "checked.h"
#include "linear.h"

#include <stdlib.h>
#include <string.h>

static gt_status find_letter(int32_t *id, const gt_tokenizer *t, char letter)
{
    gt_ids ids = {0};
    const gt_status st = gt_tokenizer_encode(t, &letter, 1, 0, &ids);
    *id = st == GT_OK && ids.count == 1 ? ids.id[0] : -1;
    gt_ids_free(&ids);
    return st;
}

gt_status gt_choice_scorer_create(gt_choice_scorer *s, gt_model *m, const gt_tokenizer *t)
{
    *s = (gt_choice_scorer){.model = m};
    const size_t row = (size_t)m->config->hidden_size * (size_t)gt_dtype_block_bytes(m->k->act);
    s->head = aligned_alloc(GT_ARENA_ALIGN, gt_align_up(GT_CHOICE_MAX * row, GT_ARENA_ALIGN));
    if (!s->head) return GT_FAIL(GT_ERR_NOMEM, "no memory for the choice letters");
    memset(s->head, 0, GT_CHOICE_MAX * row);
    for (int i = 0; i < GT_CHOICE_MAX; i++) {
        s->id[i] = -1;
        if (t) GT_TRY(find_letter(&s->id[i], t, (char)('A' + i)));
        if (s->id[i] >= 0)
            GT_TRY(m->k->decode(&m->x, (char *)s->head + (size_t)i * row, &m->weights->embed, s->id[i], 1));
    }
    return GT_OK;
}

void gt_choice_scorer_destroy(gt_choice_scorer *s)
{
    free(s->head);
    *s = (gt_choice_scorer){.head = NULL};
}

static bool answerable(const gt_choice_scorer *s, const gt_sample *sample)
{
    return sample->choices > 0 && sample->choices <= GT_CHOICE_MAX && sample->answer >= 0 &&
           sample->answer < sample->choices && sample->prompt_tokens > 0 && sample->prompt_tokens < sample->n &&
           s->id[sample->answer] >= 0 && sample->ids[sample->prompt_tokens] == s->id[sample->answer];
}

gt_status gt_choice_score(const gt_choice_scorer *s, gt_pass *p, const gt_batch *b, int doc, const gt_sample *sample,
                          int *choice)
{
    *choice = -1;
    if (!answerable(s, sample)) return GT_OK;
    gt_model *m = s->model;
    const int32_t row = b->doc_begin[doc] + sample->prompt_tokens - 1;
    float logit[GT_CHOICE_MAX];
    GT_TRY(gt_forward_hidden(m, p, &row, 1));
    GT_TRY(gt_linear(&(gt_linear_rows){m->k, &m->x, 1}, (gt_linear_sum){.at = logit, .dtype = GT_F32, .scale = 1},
                     p->head_xf,
                     (gt_linear_weight){.at = s->head, .out = GT_CHOICE_MAX, .in = m->config->hidden_size}));
    for (int i = 0; i < sample->choices; i++)
        if (s->id[i] >= 0 && (*choice < 0 || logit[i] > logit[*choice])) *choice = i;
    return GT_OK;
}
