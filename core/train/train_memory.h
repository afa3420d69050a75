/* train_memory.h - the memory of one rank that trains: one list of blocks, measured for a plan and carved for a run, so
 * that what is printed before is what is used after. Knows sizes alone: no rows, and no run. */
#ifndef GT_TRAIN_MEMORY_H
#define GT_TRAIN_MEMORY_H

#include "trainer.h"

/* What decides how much it is, besides the base and the adapter's layout. */
typedef struct {
    gt_backend backend;
    gt_dtype act; /* what is computed in */
    int threads;  /* 0: the CPUs this process may run on */
    gt_keep keep;
    int longest_row; /* tokens, evaluation rows too */
    int micro_rows;  /* rows of a micro-batch at most */
    int max_micros;  /* micro-batches of a window at most, all ranks' */
} gt_train_size;

/* What computes, and its memory. */
typedef struct {
    gt_lora lora;    /* laid out by the caller (gt_lora_layout), the rest carved */
    gt_model *model; /* owned; its adapter is lora */
    gt_pass pass;
    gt_trainer trainer;
    /* [max_micros] each, of the window in work: */
    int32_t *owner; /* the rank that computes a micro-batch; -1: it is done */
    int64_t *cost;  /* its tokens */
    uint8_t *done;  /* 1: it is done already, by whichever rank */
    gt_arena arena; /* under all of it but the model's own */
} gt_train_engine;

/* Measures: bytes by name of the model's own memory, and of the rest. e->lora is laid out; all else of *e is scratch.
 * GT_ERR_CONFIG: no such kernel table. */
gt_status gt_train_memory_measure(gt_arena *own, gt_arena *rest, gt_train_engine *e, const gt_weights *base,
                                  const gt_train_size *s);

/* Says what was measured, block by block and in all. */
void gt_train_memory_print(const gt_arena *own, const gt_arena *rest);

/* Makes the model over base (which must outlive it) and carves everything; of the trainer only the optimizer's numbers
 * are left to the caller. Release with gt_train_memory_free, also on failure. */
gt_status gt_train_memory_make(gt_train_engine *e, const gt_weights *base, const gt_train_size *s);
void gt_train_memory_free(gt_train_engine *e); /* zeroed structs are fine */

#endif
