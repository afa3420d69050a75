#include "ckpt_state.h"

#include "checked.h"
#include "hash.h"

#include <math.h>
#include <string.h>

size_t gt_ckpt_tensor_elements(const gt_ckpt_tensor *t)
{
    size_t n = 1;
    if (t->dims < 1 || t->dims > GT_CKPT_DIMS) return SIZE_MAX;
    for (int d = 0; d < t->dims; d++)
        if (t->shape[d] < 1 || !gt_mul_size(n, (size_t)t->shape[d], &n)) return SIZE_MAX;
    return n;
}

size_t gt_ckpt_elements(const gt_train_state *s)
{
    size_t total = 0;
    for (int i = 0; i < s->tensor_count; i++)
        if (!gt_add_size(total, gt_ckpt_tensor_elements(&s->tensor[i]), &total) || total > ((size_t)1 << 48))
            return SIZE_MAX;
    return total;
}

static void hash_text(gt_sha256 *h, const char *text)
{
    gt_sha256_add(h, text, strlen(text) + 1);
}

gt_status gt_ckpt_state_id(const gt_train_state *s, char hex[65])
{
    if (gt_ckpt_elements(s) == SIZE_MAX) return GT_FAIL(GT_ERR_ARG, "the shape of a tensor is not sound");
    gt_sha256 h;
    gt_sha256_init(&h);
    hash_text(&h, "gemtune state 1");
    gt_sha256_add_u64(&h, (uint64_t)s->step);
    gt_sha256_add_u64(&h, (uint64_t)s->epoch);
    gt_sha256_add_u64(&h, (uint64_t)s->window);
    gt_sha256_add_u64(&h, s->seed);
    hash_text(&h, s->base);
    hash_text(&h, s->dataset);
    for (int i = 0; i < s->tensor_count; i++) {
        const gt_ckpt_tensor *t = &s->tensor[i];
        hash_text(&h, t->name);
        gt_sha256_add_u64(&h, (uint64_t)t->dims);
        for (int d = 0; d < t->dims; d++) gt_sha256_add_u64(&h, (uint64_t)t->shape[d]);
        gt_sha256_add(&h, t->value, gt_ckpt_tensor_elements(t) * sizeof *t->value);
    }
    uint8_t digest[32];
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
    return GT_OK;
}

/* x - x is 0 for every finite x and NaN for the others; a sum of zeros stays zero. */
static bool all_finite(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] - x[i];
    return sum == 0;
}

gt_status gt_ckpt_state_check(const gt_train_state *s)
{
    static const char *const kind[] = {"value", "first moment", "second moment"};
    const size_t n = gt_ckpt_elements(s);
    if (n == SIZE_MAX || n == 0) return GT_FAIL(GT_ERR_ARG, "no tensors, or one whose shape is not sound");
    for (int i = 0; i < s->tensor_count; i++) {
        const gt_ckpt_tensor *t = &s->tensor[i];
        const float *data[] = {t->value, t->m, t->v};
        for (int k = 0; k < 3; k++)
            if (!all_finite(data[k], gt_ckpt_tensor_elements(t)))
                return GT_FAIL(GT_ERR_DATA, "tensor '%s' at step %lld: its %s is not finite; nothing is saved", t->name,
                               (long long)s->step, kind[k]);
    }
    return GT_OK;
}

/* A best evaluation without a finite loss is written as none. */
bool gt_ckpt_state_told(const gt_train_state *told, const gt_train_state *s)
{
    const int64_t numbers[][2] = {{told->step, s->step},
                                  {told->epoch, s->epoch},
                                  {told->window, s->window},
                                  {told->rows_seen, s->rows_seen},
                                  {told->tokens_seen, s->tokens_seen},
                                  {told->supervised_seen, s->supervised_seen},
                                  {told->world_size, s->world_size}};
    const char *const words[][2] = {{told->recipe, s->recipe},     {told->metrics, s->metrics},
                                    {told->extra, s->extra},       {told->dataset, s->dataset},
                                    {told->base, s->base},         {told->tokenizer, s->tokenizer},
                                    {told->numerics, s->numerics}, {told->tool, s->tool}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i][0] != numbers[i][1]) return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i][0], words[i][1]) != 0) return false;
    const bool best = s->best_eval_step >= 0 && isfinite(s->best_eval_loss);
    if (told->seed != s->seed || told->best_eval_step != (best ? s->best_eval_step : -1)) return false;
    return !best || told->best_eval_loss == s->best_eval_loss;
}

gt_status gt_ckpt_part_check(const gt_train_state *s, const gt_ckpt_part *p)
{
    if (!p) return GT_OK;
    if (p->n != gt_ckpt_elements(s) || p->micro_batches < 1 || p->numbers < 0 || p->numbers > GT_CKPT_NUMBERS)
        return GT_FAIL(GT_ERR_ARG,
                       "a part with %zu sums, %d numbers and %lld micro-batches for tensors of %zu elements", p->n,
                       p->numbers, (long long)p->micro_batches, gt_ckpt_elements(s));
    return GT_OK;
}

int64_t gt_ckpt_part_finished(const gt_ckpt_part *p)
{
    int64_t n = 0;
    for (int64_t i = 0; p && i < p->micro_batches; i++) n += p->finished[i] != 0;
    return n;
}
