/* train_check.c - what would stop a run later and can be known before it starts: an hour in, a row of ids that the
 * model lacks costs an hour. */
#include "train_run.h"

#include "fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

gt_status gt_train_check_empty(const char *folder)
{
    char *name = gt_run_folder_holds(folder);
    if (!name) return GT_OK;
    gt_status st = GT_FAIL(GT_ERR_CONFIG,
                           "%s is not empty (it holds '%.100s'); choose another --output-dir, --resume auto, or "
                           "--overwrite-output-dir",
                           folder, name);
    free(name);
    return st;
}

gt_status gt_train_check_writable(const char *folder)
{
    char *path = strdup(folder);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    while (!gt_fs_exists(path)) { /* up to what is there: the rest would be made */
        char *slash = strrchr(path, '/');
        if (!slash)
            memcpy(path, ".", sizeof "."); /* it was a name of at least one byte */
        else if (slash == path)
            path[1] = 0;
        else
            *slash = 0;
    }
    gt_status st = GT_OK;
    if (!gt_fs_is_dir(path))
        st = GT_FAIL(GT_ERR_IO, "%s: folder cannot be made: %s is no folder", folder, path);
    else if (access(path, W_OK | X_OK) != 0)
        st = GT_FAIL(GT_ERR_IO, "%s: nothing can be written there: %s: %s", folder, path, strerror(errno));
    free(path);
    return st;
}

static gt_status check_ids(const gt_samples *s, const char *what, int vocabulary)
{
    for (size_t i = 0; i < s->count; i++)
        for (int p = 0; p < s->sample[i].n; p++)
            if (s->sample[i].ids[p] < 0 || s->sample[i].ids[p] >= vocabulary)
                return GT_FAIL(GT_ERR_DATA,
                               "%s: row %llu (the first is 1, over all files): token id %d; this model has ids 0 to "
                               "%d: the ids are another tokenizer's",
                               what, (unsigned long long)s->sample[i].row + 1, s->sample[i].ids[p], vocabulary - 1);
    return GT_OK;
}

gt_status gt_train_check_rows(const gt_train_run *run)
{
    const gt_train_inputs *in = &run->inputs;
    GT_TRY(check_ids(&in->train, "train_files", in->base->config.vocab_size));
    GT_TRY(check_ids(&in->eval, "eval_files", in->base->config.vocab_size));
    if (run->recipe->metric_for_best_model != GT_BEST_EVAL_ACCURACY) return GT_OK;
    for (size_t i = 0; i < in->eval.count; i++)
        if (in->eval.sample[i].choices > 0) return GT_OK;
    return GT_FAIL(GT_ERR_CONFIG,
                   "metric_for_best_model is eval_accuracy, but eval_files has no multiple-choice row; use eval_loss");
}
