#include "train_log.h"

#include "log.h"
#include "memory_use.h"
#include "metrics.h"
#include "train_line.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gt_train_log {
    gt_metrics *metrics; /* rank 0; NULL on the others */
    gt_train_progress line;
    gt_train_line last;
    int ranks;
    double loss_sum; /* of the steps since the latest metrics line */
    int64_t losses;
    double run_loss; /* of all steps of this life */
    int64_t run_steps;
    double seconds_a_step; /* moving average */
    double micro_seconds;  /* of all micro-batches of this life on this rank */
    int64_t micros;
    int64_t unwritten; /* metrics lines lost since the latest that was written: the disk is full */
};

/* Shared pages of the mapped base count once over all ranks of a machine. */
static size_t memory_used(const gt_train_log *l)
{
    return gt_memory_use_now().pss * (size_t)l->ranks;
}

gt_status gt_train_log_open(gt_train_log **out, const char *output_dir, int rank, int ranks, bool tensorboard,
                            int64_t resumed_step, int64_t total_steps)
{
    gt_train_log *l = calloc(1, sizeof *l);
    if (!l) return GT_FAIL(GT_ERR_NOMEM, "no memory for the log");
    l->ranks = ranks;
    l->last = (gt_train_line){.steps = total_steps,
                              .step = resumed_step < 0 ? 0 : resumed_step,
                              .loss = NAN,
                              .grad_norm = NAN,
                              .learning_rate = NAN,
                              .seconds_left = -1};
    if (rank == 0) {
        gt_status st = gt_metrics_open(&l->metrics, output_dir, resumed_step, tensorboard);
        if (st != GT_OK) {
            free(l);
            return st;
        }
    }
    *out = l;
    return GT_OK;
}

void gt_train_log_close(gt_train_log *l)
{
    if (!l) return;
    if (l->metrics) gt_train_progress_end(&l->line);
    gt_metrics_close(l->metrics);
    free(l);
}

/* A line that cannot be written is a pity and no reason to stop training. */
static gt_status record(gt_train_log *l, int64_t step, double epoch, const gt_metric *m, int count)
{
    gt_status st = gt_metrics_write(l->metrics, step, epoch, m, count);
    if (st == GT_ERR_IO) {
        if (l->unwritten++ == 0) {
            gt_train_progress_end(&l->line);
            gt_log(GT_WARN, "train", "could not write metrics: %s; training goes on", gt_error_last()->message);
        }
        return GT_OK;
    }
    if (st == GT_OK && l->unwritten > 0) {
        gt_log(GT_WARN, "train", "metrics are written again; %lld lines are missing", (long long)l->unwritten);
        l->unwritten = 0;
    }
    return st;
}

void gt_train_log_micro(gt_train_log *l, int64_t step, int done, int mine, double left, int64_t tokens, double flops,
                        double seconds)
{
    if (!l->metrics || seconds <= 0) return;
    l->micros++;
    l->micro_seconds += seconds;
    l->last.step = step + 1;
    l->last.micro = done;
    l->last.micros = mine;
    if (done == mine) return;                                        /* the step's own line follows */
    l->last.tokens_per_second = (double)tokens / seconds * l->ranks; /* the others are taken to be as fast */
    l->last.flops_per_second = flops / seconds * l->ranks;
    l->last.seconds_left = l->micro_seconds / (double)l->micros * left;
    l->last.memory = memory_used(l);
    gt_train_progress_show(&l->line, &l->last);
}

gt_status gt_train_log_step(gt_train_log *l, const gt_train_step_log *s, bool write)
{
    if (!l->metrics) return GT_OK;
    l->losses++;
    l->loss_sum += s->loss;
    l->run_steps++;
    l->run_loss += s->loss;
    l->seconds_a_step = l->run_steps == 1 ? s->seconds : 0.8 * l->seconds_a_step + 0.2 * s->seconds;
    gt_train_line *line = &l->last;
    line->step = s->step;
    line->micro = line->micros;
    line->loss = s->loss;
    line->learning_rate = s->learning_rate;
    line->grad_norm = s->grad_norm;
    line->tokens_per_second = (double)s->tokens / s->seconds;
    line->flops_per_second = s->flops / s->seconds;
    line->seconds_left = l->seconds_a_step * (double)(line->steps - s->step);
    line->memory = memory_used(l);
    gt_train_progress_show(&l->line, line);
    if (!write) return GT_OK;
    const gt_metric m[] = {
        {"loss", l->loss_sum / (double)l->losses}, {"grad_norm", s->grad_norm},
        {"learning_rate", s->learning_rate},       {"mean_token_accuracy", s->accuracy},
        {"num_tokens", (double)s->tokens_seen},    {"tokens_per_second", (double)s->tokens / s->seconds},
        {"tflops", s->flops / s->seconds * 1e-12}, {"memory_gib", (double)line->memory / 0x1p30}};
    l->loss_sum = 0;
    l->losses = 0;
    return record(l, s->step, s->epoch, m, sizeof m / sizeof *m);
}

gt_status gt_train_log_eval(gt_train_log *l, int64_t step, double epoch, double loss, double accuracy, int64_t choices,
                            double seconds)
{
    if (!l->metrics) return GT_OK;
    gt_train_progress_end(&l->line);
    const gt_metric m[] = {
        {"eval_loss", loss}, {"eval_runtime", seconds}, {"eval_accuracy", accuracy}, {"eval_choices", (double)choices}};
    return record(l, step, epoch, m, choices > 0 ? 4 : 2);
}

gt_status gt_train_log_end(gt_train_log *l, int64_t step, double epoch, double seconds, int64_t tokens)
{
    if (!l->metrics) return GT_OK;
    gt_train_progress_end(&l->line);
    const gt_metric m[] = {{"train_runtime", seconds},
                           {"train_loss", l->run_steps ? l->run_loss / (double)l->run_steps : NAN},
                           {"num_tokens", (double)tokens}};
    return gt_metrics_write(l->metrics, step, epoch, m, 3);
}
