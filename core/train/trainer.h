/* trainer.h - one optimizer step (a "window") at a time: micro-batches add exact sums, ranks add their sums, one
 * update.
 *
 * A window is a list of micro-batches numbered globally. The gradient of a micro-batch is a pure function of its rows
 * and the adapter; it is added in 64-bit fixed point, so the total does not depend on who computed what in which order:
 *
 *     sum[i] = sum over micro-batches of round(g[i] * 2^shift),   mean gradient = sum[i] / 2^shift / supervised tokens
 *
 * with shift chosen from the window's number of supervised tokens, known before it starts: a mean gradient has range
 * +-1024 and resolution 2^-43 (1.1e-13). */
#ifndef GT_TRAINER_H
#define GT_TRAINER_H

#include "backward.h"
#include "comm.h"
#include "optim.h"

/* Numbers summed beside the gradient, in the same exact way. */
enum { GT_SUM_LOSS, GT_SUM_SUPERVISED, GT_SUM_TOKENS, GT_SUM_CORRECT, GT_SUM_BAD, GT_SUM_MICROS, GT_SUM_COUNT };

/* Their names in checkpoints, in this order. */
#define GT_SUM_NAMES "loss,supervised,tokens,correct,bad,micros"

typedef struct {
    int64_t *sum;      /* [lora->count + GT_SUM_COUNT]: gradient, then the numbers above */
    uint8_t *finished; /* [micros] 1: that micro-batch of the window is in sum */
    int micros;        /* micro-batches in this window */
    int micro_capacity;
    uint64_t supervised; /* targets in the whole window, over all ranks: the divisor */
    int shift;
} gt_window;

typedef struct gt_trainer {
    gt_model *model; /* borrowed; model->lora == lora */
    gt_lora *lora;   /* borrowed */
    gt_pass *pass;   /* borrowed, a training pass */
    gt_optim optim;
    float *grad;    /* [count] f32: one micro-batch, then the mean */
    int64_t *total; /* [count + GT_SUM_COUNT]: the ranks' sum, apart from window.sum so that an interrupted
                        * reduction spoils nothing */
    gt_window window;
    int pass_tokens; /* documents are grouped into passes of at most this many tokens (one longer document apart) */
} gt_trainer;

/* Fixed point of losses: sums of cross-entropies in units of 2^-30. */
#define GT_LOSS_SCALE 0x1p30

/* Carves everything of the struct that is memory. max_micros: micro-batches a window can have. */
void gt_trainer_carve(gt_trainer *t, gt_arena *a, size_t parameters, int max_micros);

/* Opens an empty window of `micros` micro-batches with `supervised` targets in all. GT_ERR_ARG: none, or too many. */
gt_status gt_window_begin(gt_trainer *t, int micros, uint64_t supervised);

typedef struct {
    double loss; /* sum over targets */
    int tokens, targets, correct;
} gt_micro_result;

/* Computes micro-batch `number` of the window from its samples and adds it to the window. epoch keys dropout.
 * Nothing is added when it fails. GT_ERR_INTERRUPTED: a stop was asked. */
gt_status gt_trainer_micro(gt_trainer *t, int number, const gt_sample *const *sample, int samples, uint64_t epoch,
                           gt_micro_result *result);

typedef struct {
    double loss;      /* mean over supervised tokens, all ranks */
    double grad_norm; /* before clipping */
    double learning_rate;
    double accuracy; /* of the targets' argmax */
    uint64_t supervised, tokens;
    bool skipped; /* a gradient was not finite: no update was made (on any rank) */
} gt_step_result;

/* Collective. Adds up the ranks' windows and makes the update, the same bits on every rank. Checks that every
 * micro-batch is in it exactly once (GT_ERR_INTERNAL). */
gt_status gt_trainer_update(gt_trainer *t, gt_comm *comm, double learning_rate, gt_step_result *result);

#endif
