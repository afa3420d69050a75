/* ckpt.h - checkpoints: what a training run is at one moment, on disk whole or not at all. docs/checkpoint-format.md
 * describes the files.
 *
 * The state is what all ranks hold alike between two optimizer steps: adapters, moments, position. The window is what
 * they have done since, each for itself: exact sums over the micro-batches it finished. A folder
 * `checkpoint-STEP[.MICRO]` holds a state and, saved in mid-window, every rank's part of the window. A rank that is
 * told to leave at once writes its part alone, as `window-STEP.RANK.DIGEST` beside it; a part that is missing at resume
 * is simply computed again.
 *
 * Which checkpoint is newest is decided by the step in its name, never by a file's time. Nothing is opened as HDF5
 * before its digest is verified, and then only in a child process with limits (ckpt_child.h). */
#ifndef GT_CKPT_H
#define GT_CKPT_H

#include "comm.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_CKPT_DIMS = 4, GT_CKPT_NAME = 200, GT_CKPT_MAX_TENSORS = 1 << 16, GT_CKPT_NUMBERS = 64 };

/* A trainable tensor with its two Adam moments: three contiguous row-major f32 arrays of one shape. The memory is the
 * caller's. */
typedef struct {
    const char *name; /* unique in the state, [A-Za-z0-9._-]+, e.g. "model.layers.0.self_attn.q_proj.lora_A.weight" */
    int dims;         /* 1 ... GT_CKPT_DIMS */
    int64_t shape[GT_CKPT_DIMS];
    float *value, *m, *v; /* all NULL in a gt_ckpt's table (names and shapes only) */
} gt_ckpt_tensor;

/* Strings are the caller's when saving and the gt_ckpt's when read. Identities are 64 lower-case hex digits. */
typedef struct gt_train_state {
    const gt_ckpt_tensor *tensor; /* [tensor_count] in the optimizer's order, which is also the order in window sums */
    int tensor_count;

    int64_t step;          /* optimizer steps done */
    int64_t epoch, window; /* the next window, or the one in work: its epoch and its number in the epoch, from 0 */
    int64_t rows_seen, tokens_seen, supervised_seen; /* by the steps done */
    uint64_t seed;
    int world_size;        /* ranks that saved; resume may use another number */
    double best_eval_loss; /* meaningless when best_eval_step < 0 */
    int64_t best_eval_step;

    const char *recipe;    /* canonical JSON object text of the recipe; given back byte for byte */
    const char *metrics;   /* JSON object: what the log needs to go on (running sums, elapsed time); "{}" for nothing */
    const char *extra;     /* JSON object of the trainer's own; "{}" for nothing */
    const char *dataset;   /* identity of the training rows */
    const char *base;      /* identity of the frozen base */
    const char *tokenizer; /* identity of the tokenizer; "" when rows came as ids */
    const char *numerics;  /* kernel table and path: "cpu avx512_core_bf16 bfloat16"; at most 200 bytes */
    const char *tool;      /* "gemtune 0.1.0" */
} gt_train_state;

/* A rank's part of a window: sums over the micro-batches it finished. All exact, so parts add in any order; only parts
 * that are alike in n, numbers, names, shift, micro_batches and plan do. */
typedef struct {
    int64_t *sum;          /* [n + numbers] fixed-point gradient sum, then the numbers summed beside it */
    size_t n;              /* elements of all tensors of the state */
    int numbers;           /* loss, token counts, flags ...: 0 ... GT_CKPT_NUMBERS of them */
    int shift;             /* of the fixed point */
    uint8_t *finished;     /* [micro_batches] 1: this part's sums contain that micro-batch */
    int64_t micro_batches; /* in the window */
    const char *names;     /* of the numbers, separated by commas: "loss,supervised,tokens" */
    const char *plan;      /* identity of the window's cut into micro-batches, 64 hex digits or "" */
} gt_ckpt_part;

/* Elements of a tensor, and of all tensors together; SIZE_MAX when a shape is not sound. */
size_t gt_ckpt_tensor_elements(const gt_ckpt_tensor *t);
size_t gt_ckpt_elements(const gt_train_state *s);

/* What a part belongs to: SHA-256 over step, epoch, window, seed, base, dataset and the adapters' names, shapes and
 * bytes. Parts of another life of the same run have the same identity, those of another run have not. hex: 65 bytes. */
gt_status gt_ckpt_state_id(const gt_train_state *s, char hex[65]);

/* Saving. */

typedef struct {
    const char *out_dir; /* exists */
    int keep;            /* checkpoints to keep, newest first, this one among them; 0: all */
    const char *resumed; /* path of the checkpoint this life resumed from, kept; NULL: none */
    int64_t best_step;   /* the checkpoint of this step is kept; < 0: none */
} gt_ckpt_policy;

/* Collective. Writes checkpoint-STEP (part NULL on every rank: a step boundary) or checkpoint-STEP.MICRO with every
 * rank's part (MICRO: micro-batches finished by all ranks together), then removes what the policy does not keep and the
 * windows of earlier steps. Rank 0 writes the state; out_dir must be one folder for all ranks. An equal checkpoint that
 * is there already is left as it is. All ranks return one status; on failure (disk full, a tensor that is not finite:
 * GT_ERR_DATA) nothing is left behind, earlier checkpoints are untouched and training may go on. saved (may be NULL):
 * the folder's path, malloc'ed, caller frees. A failure to remove old ones is a warning. */
gt_status gt_ckpt_save(gt_comm *c, const gt_ckpt_policy *p, const gt_train_state *s, const gt_ckpt_part *part,
                       char **saved);

/* Not collective: for a rank that must leave within a second. Rank 0 writes checkpoint-STEP unless that state is on
 * disk; every rank whose part (may be NULL) has finished micro-batches writes it to window-STEP.RANK.DIGEST and then
 * removes its earlier ones that this one contains. The state is the one at the window's start, unchanged by whatever
 * was interrupted. */
gt_status gt_ckpt_save_alone(int rank, const char *out_dir, const gt_train_state *s, const gt_ckpt_part *part);

/* Resuming. */

typedef struct gt_ckpt gt_ckpt; /* an opened checkpoint: manifest read, every file's digest verified */

/* Opens one folder. GT_ERR_DATA: no checkpoint, or damaged: names file, expected and found digest or size. */
gt_status gt_ckpt_open(gt_ckpt **out, const char *path);

/* Opens the newest valid checkpoint of a run: highest step, then most finished micro-batches. Damaged ones are reported
 * as warnings and passed over. *out is NULL when there is none at all. GT_ERR_DATA when there are some but all are
 * damaged: starting over in silence would throw the run away. */
gt_status gt_ckpt_find(gt_ckpt **out, const char *out_dir);

/* Collective forms: rank 0 looks and verifies, the others get the manifest from it. path NULL: the newest of out_dir.
 */
gt_status gt_ckpt_open_all(gt_comm *c, gt_ckpt **out, const char *out_dir, const char *path);

const char *gt_ckpt_path(const gt_ckpt *k);            /* of its folder */
const gt_train_state *gt_ckpt_state(const gt_ckpt *k); /* tensor table without memory; valid until close */
int64_t gt_ckpt_finished(const gt_ckpt *k);            /* micro-batches in the parts inside the folder (MICRO) */
void gt_ckpt_close(gt_ckpt *k);                        /* NULL is fine */

/* Reads adapters, and moments where m and v are not NULL, into the caller's tensors. Every tensor of the checkpoint
 * must be given with its shape, and no other (GT_ERR_CONFIG names the first difference); the order may differ. Not
 * collective: for export and tools. */
gt_status gt_ckpt_read(const gt_ckpt *k, const gt_ckpt_tensor *tensor, int count);

/* Collective: gt_ckpt_read by rank 0, then a broadcast to all. */
gt_status gt_ckpt_load(gt_comm *c, const gt_ckpt *k, const gt_ckpt_tensor *tensor, int count);

/* Collective: what is done of the window in work. Rank 0 adds up all valid parts of this state, those inside the folder
 * and the window folders beside it; where two hold the same micro-batch only one is taken (the larger part; between
 * equals the smaller digest), so nothing counts twice. Parts that are damaged, or of another plan, shift, names or
 * number of micro-batches than `part` says, are reported and passed over. part: all fields set as for saving; the
 * caller's sum and finished are overwritten: on rank 0 with the sums so far, on the others with zeros. skip
 * [micro_batches]: on every rank, 1 for each micro-batch that is done. */
gt_status gt_ckpt_load_window(gt_comm *c, const gt_ckpt *k, gt_ckpt_part *part, uint8_t *skip);

/* Housekeeping. */

/* Removes what interrupted saves left ("<name>.tmp-<pid>"). Only under the folder's lock (run_lock.h), by one rank. */
gt_status gt_ckpt_sweep(const char *out_dir);

/* Removes every checkpoint and window folder: the user said that an earlier run may go. Under the lock, by one rank. */
gt_status gt_ckpt_clear(const char *out_dir);

/* Whether the folder holds any checkpoint or window folder, valid or not. */
bool gt_ckpt_any(const char *out_dir);

#endif
