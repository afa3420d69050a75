/* train_run.h - one training run, as its parts share it. Private to core/train/train_*.c.
 *
 * The run is five groups of fields, one for each question: what it is made of (inputs), what the recipe comes to with
 * that (plan), what computes (engine, train_memory.h), how far it is (position), and what it leaves behind (record).
 * Setting up fills the first three, which nobody changes afterwards but for the numbers inside the engine. */
#ifndef GT_TRAIN_RUN_H
#define GT_TRAIN_RUN_H

#include "ckpt.h"
#include "loader.h"
#include "lora_targets.h"
#include "run_folder.h"
#include "schedule.h"
#include "tokenizer.h"
#include "train.h"
#include "train_log.h"
#include "train_memory.h"

/* Filled by train_inputs.c. The three identities (SHA-256 in hex) are what a resume must find again. */
typedef struct {
    gt_weights *base;
    gt_tokenizer *tokenizer; /* NULL: rows of ids and a model without one */
    gt_samples train, eval;
    char base_id[65], rows_id[65], tokenizer_id[65];
} gt_train_inputs;

/* Filled by train_plan.c. */
typedef struct {
    gt_lora_config adapter;    /* pointers into the recipe */
    gt_lora_targets *targets;  /* owned: rank and scaling of every projection */
    gt_loader *loader;         /* cuts the rows into windows of micro-batches */
    char loader_id[65];        /* identity of that cut */
    int64_t micros_per_step;   /* as the recipe asks for, over all ranks */
    int max_micros;            /* the most that any window has */
    int64_t windows_per_epoch; /* a window is one optimizer step */
    int64_t total_steps;
    gt_schedule schedule;
} gt_train_plan;

/* Zero at the start, or what the checkpoint says; moved on by train_window.c and train.c. */
typedef struct {
    int64_t step; /* optimizer steps done */
    int64_t rows_seen, tokens_seen, supervised_seen;
    int64_t best_step;  /* -1: none yet */
    double best_metric; /* eval_loss, or minus accuracy; valid when best_step >= 0 */
    int64_t evaluated;  /* step whose evaluation is done, the latest; -1: none */
    int bad_steps;      /* skipped in a row */
    bool in_window;     /* the window is begun: what is finished of it is worth keeping */
} gt_train_position;

/* The output folder: what is written there, and what was found there. */
typedef struct {
    gt_run_folder *folder; /* rank 0 */
    int64_t done_steps;    /* rank 0: what the marker of a finished run says; -1: there is none */
    gt_ckpt *checkpoint;   /* opened for resume until its window is loaded; NULL otherwise */
    char *resumed;         /* path of the checkpoint this life began from, owned; NULL: none */
    gt_train_log *log;
    gt_ckpt_tensor *tensor; /* [tensors] owned: A and B of every slot with their moments, as checkpoints see them */
    int tensors;
    char *tensor_names; /* owned */
    char *recipe_json;  /* canonical, owned */
    char numerics[201]; /* kernel table, path and dtype */
    char extra[128];    /* the checkpoint's extra: {"updates": n, "bad_steps": n, "evaluated": n} */
    double last_save;   /* gt_clock() */
    int failed_saves;   /* of all ranks together, in a row */
    int failed_parts;   /* of this rank alone, in a row */
} gt_train_record;

typedef struct gt_train_run {
    const gt_train_options *options;
    const gt_recipe *recipe; /* the options' */
    gt_comm *comm;
    gt_train_inputs inputs;
    gt_train_plan plan;
    gt_train_engine engine;
    gt_train_position position;
    gt_train_record record;
} gt_train_run;

/* Steps skipped in a row, for a gradient that was not finite, and saves failed in a row after which a run ends. */
enum { GT_TRAIN_BAD_STEPS = 5, GT_TRAIN_FAILED_SAVES = 5 };

/* The step in epochs. */
static inline double gt_train_epoch(const gt_train_run *run)
{
    return (double)run->position.step / (double)run->plan.windows_per_epoch;
}

/* train_setup.c: opens, checks and carves everything; says the banner. Collective. *finished: the folder holds this
 * very run, done: nothing was opened, and position.step says how far it went. */
gt_status gt_train_setup(gt_train_run *run, bool *finished);

/* train_inputs.c: base, tokenizer and rows. Collective. */
gt_status gt_train_open_inputs(gt_train_run *run);

/* train_plan.c: which modules are trained, and in how many steps over which rows. Not collective. */
gt_status gt_train_make_plan(gt_train_run *run);

/* train_banner.c: what the user reads before the first step. */
void gt_train_banner(const gt_train_run *run);

/* train_check.c: what would stop a run later, said before it starts. */
gt_status gt_train_check_empty(const char *folder);     /* GT_ERR_CONFIG names what is in it; the lock does not count */
gt_status gt_train_check_writable(const char *folder);  /* writes nothing; GT_ERR_IO */
gt_status gt_train_check_rows(const gt_train_run *run); /* ids the model lacks, a metric that no row gives */

/* train_adapter.c: fresh adapters or those of init_adapter; and a PEFT folder `name` in the output folder (rank 0
 * writes it, all come to one verdict). */
gt_status gt_train_start_adapter(gt_train_run *run);
gt_status gt_train_write_adapter(gt_train_run *run, const char *name);

/* train_window.c: one optimizer step. Collective. *leave: SIGUSR1 came to any rank; all is saved. */
gt_status gt_train_window(gt_train_run *run, bool *leave);

/* train_eval.c: the evaluation rows. Collective. */
typedef struct {
    double loss, accuracy; /* accuracy of multiple-choice rows; NAN when there are none */
    int64_t choices;       /* rows that accuracy is of */
    double seconds;
    bool save_asked; /* SIGUSR1 came to any rank: nothing above holds */
} gt_eval_result;
gt_status gt_train_evaluate(gt_train_run *run, gt_eval_result *out);

/* train_save.c: checkpoints. forgive: what a failed save is worth; *in_a_row counts them: GT_OK with a warning until
 * GT_TRAIN_FAILED_SAVES. */
gt_status gt_train_name_tensors(gt_train_run *run);
gt_status gt_train_save(gt_train_run *run, bool mid_window);       /* collective */
gt_status gt_train_save_alone(gt_train_run *run, bool mid_window); /* not collective */
gt_status gt_train_forgive_save(const gt_train_run *run, gt_status st, int *in_a_row);
gt_ckpt_part gt_train_part(gt_train_run *run); /* this rank's window: the same memory, seen another way */

/* train_resume.c: what an earlier life left. All collective. */
/* *finished: the run is done and its checkpoint's recipe is this one, to the letter, so that a base and rows need not
 * be read to say so. GT_ERR_CONFIG: it is another recipe. */
gt_status gt_train_look_if_finished(gt_train_run *run, bool *finished);
gt_status gt_train_resume(gt_train_run *run);      /* finds and loads a checkpoint; dry: finds */
gt_status gt_train_load_window(gt_train_run *run); /* parts of the window in work */

#endif
