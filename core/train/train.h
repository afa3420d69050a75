/* train.h - the main job: a recipe, ranks and an output folder in; checkpoints, metrics and PEFT adapters out. */
#ifndef GT_TRAIN_H
#define GT_TRAIN_H

#include "comm.h"
#include "recipe.h"
#include "table.h"

#include <stdbool.h>

typedef enum { GT_RESUME_AUTO, GT_RESUME_NEVER, GT_RESUME_PATH } gt_resume;

typedef struct {
    const gt_recipe *recipe;
    gt_backend backend;
    int threads; /* 0: this rank's CPU affinity mask */
    gt_resume resume;
    const char *resume_path; /* GT_RESUME_PATH: a checkpoint folder, or a run's output_dir */
    bool dry_run;            /* check everything, say what would be done and what memory it takes, change nothing */
} gt_train_options;

/* Collective. Exit meaning: GT_OK: finished, or checkpointed on request (SIGUSR1), or finished already;
 * GT_ERR_INTERRUPTED: SIGTERM or Ctrl-C, this rank's part is saved. Every other failure has its words. */
gt_status gt_train(const gt_train_options *o, gt_comm *c);

#endif
