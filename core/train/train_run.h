/* train_run.h - what the parts of a training run share. Private to core/train*.c. */
#ifndef GT_TRAIN_RUN_H
#define GT_TRAIN_RUN_H

#include "ckpt.h"
#include "flops.h"
#include "loader.h"
#include "lora_targets.h"
#include "run_folder.h"
#include "run_lock.h"
#include "schedule.h"
#include "tokenizer.h"
#include "train.h"
#include "train_log.h"
#include "trainer.h"

enum {
    GT_TRAIN_HEAD_ROWS = 64,
    GT_TRAIN_PASS_TOKENS = 1024,
    GT_TRAIN_BAD_STEPS = 5,
    GT_TRAIN_FEW_STEPS = 20,
    GT_TRAIN_FAILED_SAVES = 5
};

typedef struct gt_train_run {
    const gt_train_options *o;
    const gt_recipe *r;
    gt_comm *c;

    /* inputs */
    gt_weights *w;
    gt_tokenizer *tok; /* NULL: rows of ids and a model without one */
    gt_samples train, dev;
    gt_loader *loader;
    char base_id[65], dataset_id[65], tokenizer_id[65], plan_id[65];
    char numerics[201];
    char *recipe_json; /* canonical, owned */

    /* adapter as configured */
    gt_lora_config lora_config; /* pointers into the recipe */
    gt_lora_targets *targets;   /* owned */

    /* computing */
    gt_model *m;
    gt_lora lora;
    gt_pass pass;
    gt_trainer t;
    gt_schedule schedule;
    gt_arena arena;
    gt_ckpt_tensor *tensor; /* [tensors] owned: A and B of every slot with their moments */
    char *tensor_names;     /* owned */
    int tensors;

    /* position */
    int64_t total_steps, windows_per_epoch;
    int64_t step; /* optimizer steps done */
    int64_t rows_seen, tokens_seen, supervised_seen;
    double best_metric; /* eval_loss, or minus accuracy; valid when best_step >= 0 */
    int64_t best_step;
    int64_t evaluated; /* step whose evaluation is done, the latest; -1: none */
    int bad_steps;     /* skipped in a row */
    int failed_saves;  /* of all ranks together, in a row */
    int failed_parts;  /* of this rank alone, in a row */
    bool in_window;    /* the window is begun: what is finished of it is worth keeping */
    char extra[128];   /* the checkpoint's extra: {"updates": n, "bad_steps": n, "evaluated": n} */
    int32_t *owner;    /* [max micros] of the window in work */
    int64_t *cost;
    uint8_t *skip;
    int max_micros;
    gt_ckpt *checkpoint;   /* opened for resume until its window is loaded; NULL otherwise */
    char *resumed;         /* checkpoint this life began from, owned */
    double last_save;      /* monotonic seconds */
    gt_run_folder *folder; /* rank 0 */
    gt_train_log *log;
    bool done_already, finished; /* the folder has a done marker; and this very recipe made it */
    int64_t done_steps;          /* rank 0: what the marker says */
} gt_train_run;

/* train_setup.c: opens, checks and carves everything; says the banner. Collective. */
gt_status gt_train_setup(gt_train_run *t);

/* train_check.c: what would stop a run later, said before it starts */
gt_status gt_train_check_empty(const char *folder);    /* GT_ERR_CONFIG names what is in it; the lock does not count */
gt_status gt_train_check_writable(const char *folder); /* writes nothing; GT_ERR_IO */
gt_status gt_train_check_rows(const gt_train_run *t);  /* ids the model lacks, a metric that no row gives */

/* train_save.c */
void gt_train_state_fill(gt_train_run *t, gt_train_state *s);
/* Collective: sets t->finished where the run is done and its checkpoint's recipe is this one, to the letter, so that a
 * base and rows need not be read to say so. GT_ERR_CONFIG: it is another recipe. */
gt_status gt_train_look_if_finished(gt_train_run *t);
gt_status gt_train_resume(gt_train_run *t);                          /* collective: finds, loads; dry: finds */
gt_status gt_train_load_window(gt_train_run *t);                     /* collective: parts of the window in work */
gt_status gt_train_save(gt_train_run *t, bool mid_window);           /* collective */
gt_status gt_train_save_alone(gt_train_run *t, bool mid_window);     /* not collective */
gt_status gt_train_write_adapter(gt_train_run *t, const char *name); /* rank 0's work; collective verdict */

/* train_eval.c: the dev rows. Collective. */
typedef struct {
    double loss, accuracy; /* accuracy of multiple-choice rows; NAN when there are none */
    int64_t supervised, choices, right;
    double seconds;
    bool save_asked; /* SIGUSR1 came to any rank: nothing above holds */
} gt_eval_result;
gt_status gt_train_evaluate(gt_train_run *t, gt_eval_result *out);

#endif
