/* cmd_inspect.c - gemtune inspect: says what bases, adapters, packed files, checkpoints, runs and datasets hold. A
 * path is taken for what lies there, not for its name; one that is nothing known does not keep the others from being
 * told. */
#include "commands.h"

#include "args.h"
#include "ckpt.h"
#include "fs.h"
#include "inspect.h"
#include "inspect_base.h"
#include "rows.h"
#include "run_folder.h"
#include "run_lock.h"

#include <stdio.h>
#include <string.h>

static const gt_command_text text = {
    .name = "inspect",
    .operands = "PATH...",
    .summary = "Says what each path holds: a base, an adapter, a .gtq or .safetensors file, a checkpoint, a run, rows.",
    .min_operands = 1,
    .max_operands = GT_ARG_LIST_MAX};

static void add_state(gt_text *out, const gt_ckpt *k)
{
    const gt_train_state *s = gt_ckpt_state(k);
    gt_text_addf(out, "  checkpoint   %s\n  step         %lld", gt_ckpt_path(k), (long long)s->step);
    if (gt_ckpt_finished(k) > 0)
        gt_text_addf(out, ", and %lld micro-batches of the next", (long long)gt_ckpt_finished(k));
    gt_text_addf(out, "\n  position     epoch %lld, window %lld; %lld rows, %lld tokens seen\n", (long long)s->epoch,
                 (long long)s->window, (long long)s->rows_seen, (long long)s->tokens_seen);
    gt_text_addf(out, "  tensors      %d, %zu parameters with two moments each\n", s->tensor_count,
                 gt_ckpt_elements(s));
    gt_text_addf(out, "  saved by     %s, %d rank%s, %s\n", s->tool, s->world_size, s->world_size == 1 ? "" : "s",
                 s->numerics);
    gt_text_addf(out, "  base         %s\n  rows         %s\n", s->base, s->dataset);
}

/* A checkpoint folder, or a run's newest one. */
static gt_status inspect_run(gt_text *out, const char *path, bool is_run)
{
    gt_ckpt *k = NULL;
    int64_t done;
    gt_text_addf(out, "%s: a %s\n", path, is_run ? "run" : "checkpoint");
    if (is_run) {
        GT_TRY(gt_run_done_read(path, &done));
        gt_text_addf(out, "  state        %s\n", done >= 0 ? "finished" : "not finished");
    }
    GT_TRY(is_run ? gt_ckpt_find(&k, path) : gt_ckpt_open(&k, path));
    if (k)
        add_state(out, k);
    else
        gt_text_addf(out, "  checkpoint   none yet\n");
    gt_ckpt_close(k);
    return GT_OK;
}

static const struct {
    const char *member, *form;
} forms_known[] = {{"ids", "token ids"},
                   {"messages", "messages"},
                   {"conversations", "conversations (ShareGPT)"},
                   {"prompt", "prompt and completion"},
                   {"instruction", "Alpaca"},
                   {"options", "multiple choice (MedQA)"},
                   {"question", "multiple choice"},
                   {"text", "text"}};
enum { FORMS_KNOWN = sizeof forms_known / sizeof *forms_known };

static const char *form_of(const gt_json *row)
{
    for (size_t i = 0; i < FORMS_KNOWN; i++)
        if (gt_json_get(row, forms_known[i].member)) return forms_known[i].form;
    return "of no known form";
}

static gt_status inspect_rows(gt_text *out, const char *path)
{
    enum { FORMS = FORMS_KNOWN + 1 }; /* and none of them */
    const char *form[FORMS];
    uint64_t count[FORMS] = {0}, bad = 0;
    int forms = 0;
    gt_rows *r;
    gt_json_doc *row;
    gt_status st;
    GT_TRY(gt_rows_open(&r, path));
    gt_text_addf(out, "%s: rows\n", path);
    while ((st = gt_rows_next(r, &row)) == GT_ERR_DATA || (st == GT_OK && row)) {
        if (st == GT_ERR_DATA) {
            if (bad++ == 0) gt_text_addf(out, "  first bad    %s\n", gt_error_last()->message);
            continue;
        }
        const char *f = form_of(gt_json_root(row));
        int i = 0;
        while (i < forms && form[i] != f) i++;
        if (i == forms) form[forms++] = f;
        count[i]++;
        gt_json_free(row);
    }
    gt_rows_close(r);
    for (int i = 0; i < forms; i++)
        gt_text_addf(out, "  rows         %llu: %s\n", (unsigned long long)count[i], form[i]);
    if (forms == 0) gt_text_addf(out, "  rows         none\n");
    if (bad) gt_text_addf(out, "  bad rows     %llu\n", (unsigned long long)bad);
    if (st == GT_OK && bad && forms == 0)
        return GT_FAIL(GT_ERR_DATA, "%s: neither a base, an adapter nor rows: none of its %llu lines is a row", path,
                       (unsigned long long)bad);
    return st;
}

static gt_status inspect(gt_text *out, const char *path, bool verify)
{
    gt_inspect_kind kind = gt_inspect_what(path);
    if (kind != GT_INSPECT_OTHER) GT_TRY(gt_inspect(out, kind, path));
    if (kind == GT_INSPECT_BASE && verify) return gt_inspect_verify(out, path);
    if (kind != GT_INSPECT_OTHER) return GT_OK;
    if (gt_fs_is_dir(path)) {
        if (gt_fs_holds(path, "manifest.json")) return inspect_run(out, path, false);
        if (gt_fs_holds(path, GT_RUN_LOCK_NAME) || gt_ckpt_any(path)) return inspect_run(out, path, true);
        return GT_FAIL(GT_ERR_DATA, "%s: neither a model, an adapter, a checkpoint nor a run", path);
    }
    if (!gt_fs_exists(path)) return GT_FAIL(GT_ERR_IO, "%s: no such file or folder", path);
    return inspect_rows(out, path);
}

gt_status gt_cmd_inspect(int argc, char **argv)
{
    bool verify = false;
    const gt_option options[] = {
        {GT_OPTION_SWITCH("--verify", &verify), .help = "read packed files whole and compare every digest"},
        {.name = NULL}};
    static const char *path[GT_ARG_LIST_MAX];
    int count;
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, path, &count, &help));
    if (help) return GT_OK;
    gt_status first = GT_OK;
    int failed = 0;
    for (int i = 0; i < count; i++) {
        gt_text out = {0};
        gt_status st = inspect(&out, path[i], verify);
        if (out.data) fputs(out.data, stdout);
        gt_text_free(&out);
        if (st == GT_OK) continue;
        fflush(stdout);
        if (first == GT_OK) first = st;
        if (count == 1) return st;
        failed++;
        fprintf(stderr, "gemtune: %s\n", gt_error_last()->message);
    }
    if (failed) return GT_FAIL(first, "inspect: %d of %d paths could not be read", failed, count);
    return GT_OK;
}
