/* train_inputs.c - what a run is made of: base, tokenizer and rows, and the identity of each. All ranks open all of it,
 * since a base is one mapped copy a machine; what takes long (knowing a base by its contents, verifying a packed one)
 * is done once or shared out. */
#include "train_run.h"

#include "base_open.h"
#include "gtq.h"
#include "hash.h"
#include "log.h"
#include "samples.h"
#include "tokenizer_source.h"

static gt_status open_base(gt_train_run *run)
{
    const gt_recipe *r = run->recipe;
    const gt_base_options o = {.dtype = r->base_dtype,
                               .scales = r->bnb_4bit_use_double_quant ? GT_SCALES_NESTED : GT_SCALES_PLAIN,
                               .threads = run->options->threads};
    return gt_base_open(&run->inputs.base, r->model_name_or_path, &o, run->comm);
}

/* A packed base says what it is; whether that is true, the ranks find out together. */
static gt_status verify_base(const gt_train_run *run)
{
    const gt_weights *base = run->inputs.base;
    const int threads = gt_pool_threads_for(run->options->threads);
    if (!base->packed) return GT_OK;
    gt_pool *pool = NULL;
    gt_status st = gt_pool_create(&pool, threads);
    if (st == GT_OK) st = gt_gtq_verify_part(base->packed->file, pool, run->comm->rank, run->comm->size);
    gt_pool_destroy(pool);
    return gt_comm_agree(run->comm, st);
}

/* Reading a whole base to know it takes a while: one rank does. */
static gt_status identify_base(gt_train_run *run)
{
    gt_train_inputs *in = &run->inputs;
    GT_TRY(gt_comm_agree(run->comm, run->comm->rank == 0 ? gt_weights_identity(in->base, in->base_id) : GT_OK));
    return gt_comm_broadcast(run->comm, in->base_id, sizeof in->base_id, 0);
}

static gt_status open_tokenizer(gt_train_run *run)
{
    gt_train_inputs *in = &run->inputs;
    uint8_t digest[32];
    GT_TRY(gt_tokenizer_source_open(&in->tokenizer, run->recipe->model_name_or_path));
    if (!in->tokenizer) return GT_OK;
    gt_tokenizer_sha256(in->tokenizer, digest);
    gt_hex(in->tokenizer_id, digest);
    return GT_OK;
}

static void say_rows(const char *what, const gt_samples *s)
{
    gt_log(GT_INFO, "train", "%s: %zu rows, %llu tokens, %llu supervised, longest %d", what, s->count,
           (unsigned long long)s->tokens, (unsigned long long)s->supervised, s->longest);
    if (s->rows_truncated) gt_log(GT_WARN, "train", "%s: %zu rows cut to max_length", what, s->rows_truncated);
    if (s->rows_unsupervised)
        gt_log(GT_WARN, "train", "%s: %zu rows left out: no supervised token", what, s->rows_unsupervised);
    if (s->rows_refused) gt_log(GT_WARN, "train", "%s: %zu bad rows skipped", what, s->rows_refused);
}

static gt_status load_rows(const gt_train_run *run, gt_samples *out, const char *what, const gt_string_list *files)
{
    const gt_recipe *r = run->recipe;
    static const gt_supervise scope[] = {[GT_LOSS_DATASET] = GT_SUPERVISE_DEFAULT,
                                         [GT_LOSS_WHOLE_ROW] = GT_SUPERVISE_ALL,
                                         [GT_LOSS_COMPLETION] = GT_SUPERVISE_COMPLETION};
    GT_TRY(gt_samples_load(out,
                           &(gt_load_options){.path = (const char *const *)files->item,
                                              .paths = files->count,
                                              .max_length = (int)r->max_length,
                                              .supervise = scope[r->completion_only_loss],
                                              .assistant_only = r->assistant_only_loss,
                                              .parse_special = r->parse_special,
                                              .skip_bad_rows = r->bad_rows == GT_BAD_ROWS_SKIP},
                           run->inputs.tokenizer));
    say_rows(what, out);
    return GT_OK;
}

static gt_status open_rows(gt_train_run *run)
{
    gt_train_inputs *in = &run->inputs;
    GT_TRY(open_tokenizer(run));
    GT_TRY(load_rows(run, &in->train, "train_files", &run->recipe->train_files));
    gt_hex(in->rows_id, in->train.sha256);
    if (run->recipe->eval_files.count == 0) return GT_OK;
    return load_rows(run, &in->eval, "eval_files", &run->recipe->eval_files);
}

gt_status gt_train_open_inputs(gt_train_run *run)
{
    GT_TRY(open_base(run));
    GT_TRY(verify_base(run));
    GT_TRY(identify_base(run));
    return gt_comm_agree(run->comm, open_rows(run));
}
