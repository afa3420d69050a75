/* cmd_train.c - gemtune train: the main job, alone or as one of several ranks. */
#include "commands.h"

#include "comm.h"
#include "log.h"
#include "run_options.h"
#include "train.h"

#include <string.h>

static const gt_command_text text = {
    .name = "train",
    .operands = "RECIPE.json",
    .summary = "Fine-tunes a Gemma 3 by QLoRA as a recipe says; also under mpirun -n N.",
    .about =
        "Every key of docs/recipe.md can stand in the recipe or be given as --set key=value (JSON, or plain text).\n"
        "SIGUSR1: finish the micro-batch, save, leave with 0. SIGTERM, Ctrl-C: save what is finished, leave at once.",
    .min_operands = 1,
    .max_operands = 1};

typedef struct {
    const char *recipe, *output_dir, *resume;
    bool dry_run, overwrite;
    gt_arg_list set;
    gt_run_options run;
} wishes;

enum { FLAGS = 5 };

/* Flags are recipe keys by another name: they outrank the file, and --set. */
static gt_status read_recipe(gt_recipe *out, const wishes *w)
{
    static char keys[GT_ARG_LIST_MAX][128];
    gt_recipe_set set[GT_ARG_LIST_MAX + FLAGS];
    int n = 0;
    for (int i = 0; i < w->set.count; i++) {
        const char *equals = strchr(w->set.item[i], '=');
        const size_t length = equals ? (size_t)(equals - w->set.item[i]) : 0;
        if (length == 0 || length >= sizeof keys[0])
            return GT_FAIL(GT_ERR_USAGE, "--set %s: expected key=value", w->set.item[i]);
        memcpy(keys[i], w->set.item[i], length);
        keys[i][length] = 0;
        set[n++] = (gt_recipe_set){.key = keys[i], .value = equals + 1, .flag = "--set"};
    }
    if (w->output_dir) set[n++] = (gt_recipe_set){.key = "output_dir", .value = w->output_dir, .flag = "--output-dir"};
    if (w->overwrite)
        set[n++] = (gt_recipe_set){.key = "overwrite_output_dir", .value = "true", .flag = "--overwrite-output-dir"};
    if (w->run.base_dtype)
        set[n++] = (gt_recipe_set){.key = "base_dtype", .value = w->run.base_dtype, .flag = "--base-dtype"};
    if (w->run.compute_dtype)
        set[n++] = (gt_recipe_set){.key = "compute_dtype", .value = w->run.compute_dtype, .flag = "--compute-dtype"};
    return gt_recipe_read(out, w->recipe, set, n);
}

static gt_status train(const wishes *w, const gt_recipe *r, gt_comm *c)
{
    gt_train_options o = {
        .recipe = r, .backend = gt_run_backend(&w->run), .threads = (int)w->run.threads, .dry_run = w->dry_run};
    if (!w->resume || strcmp(w->resume, "auto") == 0)
        o.resume = GT_RESUME_AUTO;
    else if (strcmp(w->resume, "never") == 0)
        o.resume = GT_RESUME_NEVER;
    else {
        o.resume = GT_RESUME_PATH;
        o.resume_path = w->resume;
    }
    return gt_train(&o, c);
}

gt_status gt_cmd_train(int argc, char **argv)
{
    wishes w = {0};
    const gt_option option[] = {
        {.name = "--set",
         .value = "KEY=VALUE",
         .kind = GT_OPT_LIST,
         .out = &w.set,
         .help = "sets a recipe key; may be given many times"},
        {.name = "--output-dir",
         .letter = "-o",
         .value = "DIR",
         .kind = GT_OPT_TEXT,
         .out = &w.output_dir,
         .help = "where the run lives (recipe: output_dir)"},
        {.name = "--resume",
         .value = "auto|never|PATH",
         .kind = GT_OPT_TEXT,
         .out = &w.resume,
         .help = "auto (default): go on from the newest checkpoint; never: begin anew; or a checkpoint"},
        {.name = "--overwrite-output-dir",
         .kind = GT_OPT_SWITCH,
         .out = &w.overwrite,
         .help = "with --resume never: an earlier run's folder may be used"},
        {.name = "--dry-run",
         .kind = GT_OPT_SWITCH,
         .out = &w.dry_run,
         .help = "check everything, show what would be done and the memory it takes"},
        GT_RUN_OPTIONS(&w.run),
        {0}};
    int count;
    bool help;
    GT_TRY(gt_args_parse(&text, option, argc, argv, &w.recipe, &count, &help));
    if (help) {
        gt_args_help(&text, option);
        return GT_OK;
    }
    gt_recipe r;
    GT_TRY(read_recipe(&r, &w));
    gt_status st = gt_recipe_check_train(&r, w.recipe);
    gt_comm *c = NULL;
    if (st == GT_OK) st = gt_comm_create(&c, (double)r.ddp_timeout);
    if (st == GT_OK) {
        gt_log_init(c->rank);
        if (c->rank == 0)
            for (int i = 0; i < r.warnings.count; i++) gt_log(GT_WARN, "train", "%s", r.warnings.item[i]);
        st = train(&w, &r, c);
        if (st != GT_OK)
            gt_command_report(strstr(gt_error_last()->message, "another rank failed") != NULL,
                              c->size > 1 ? c->rank : -1);
        if (st == GT_ERR_LOST) c->ops->abort(c, gt_status_exit_code(st));
    }
    gt_comm_destroy(c);
    gt_recipe_free(&r);
    return st;
}
