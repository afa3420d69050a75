/* cmd_train.c - gemtune train: the main job, alone or as one of the ranks that mpirun or srun started. Every rank reads
 * the recipe itself, and all agree on it before anything else; what all find wrong with it is said once. */
#include "commands.h"

#include "comm.h"
#include "log.h"
#include "ranks.h"
#include "recipe.h"
#include "report.h"
#include "run_options.h"
#include "text.h"
#include "train.h"

#include <stdio.h>
#include <string.h>

static const gt_command_text text = {
    .name = "train",
    .operands = "RECIPE.json",
    .summary = "Fine-tunes a model as a recipe says; under mpirun -n N by N ranks, with the same result.",
    .about =
        "A recipe is a JSON object with the keys of TRL's SFTConfig, TrainingArguments and PEFT: docs/recipe.md, or "
        "--keys.\n"
        "SIGUSR1 saves and leaves with 0; SIGTERM and Ctrl-C save what is finished and leave at once. The same command "
        "goes on\nfrom there, on any number of ranks.",
    .min_operands = 0,
    .max_operands = 1};

/* Seconds that ranks have to come together before the recipe has been read; then ddp_timeout holds. */
static const double START_TIMEOUT = 300;

typedef struct {
    const char *recipe, *output_dir, *resume;
    bool overwrite, dry_run, keys;
    gt_arg_list set;
    gt_run_options run;
} wishes;

static gt_status print_keys(void)
{
    gt_text t = {0};
    gt_recipe_keys_markdown(&t);
    if (t.failed) return GT_FAIL(GT_ERR_NOMEM, "no memory for the table of keys");
    fwrite(t.data, 1, t.size, stdout);
    gt_text_free(&t);
    return GT_OK;
}

/* --set key=value, then the flags that stand for a key: these outrank it. */
static gt_status collect_sets(gt_recipe_set *set, int *count, char *names, size_t names_size, const wishes *w)
{
    int n = 0;
    size_t used = 0;
    for (int i = 0; i < w->set.count; i++) {
        const char *arg = w->set.item[i], *sign = strchr(arg, '=');
        if (!sign || sign == arg) return GT_FAIL(GT_ERR_USAGE, "train: --set takes key=value, not '%.100s'", arg);
        size_t size = (size_t)(sign - arg);
        if (used + size + 1 > names_size)
            return GT_FAIL(GT_ERR_USAGE, "train: the keys of --set are too long together");
        memcpy(names + used, arg, size);
        names[used + size] = 0;
        set[n++] = (gt_recipe_set){names + used, sign + 1, "--set"};
        used += size + 1;
    }
    if (w->output_dir) set[n++] = (gt_recipe_set){"output_dir", w->output_dir, "--output-dir"};
    if (w->run.base_dtype) set[n++] = (gt_recipe_set){"base_dtype", w->run.base_dtype, "--base-dtype"};
    if (w->run.compute_dtype) set[n++] = (gt_recipe_set){"compute_dtype", w->run.compute_dtype, "--compute-dtype"};
    if (w->overwrite) set[n++] = (gt_recipe_set){"overwrite_output_dir", "true", "--overwrite-output-dir"};
    *count = n;
    return GT_OK;
}

static gt_status train(const wishes *w, const gt_recipe *r, gt_comm *c)
{
    gt_train_options o = {.recipe = r,
                          .backend = gt_run_backend(&w->run),
                          .threads = (int)w->run.threads,
                          .resume = GT_RESUME_PATH,
                          .resume_path = w->resume,
                          .dry_run = w->dry_run};
    if (!w->resume || strcmp(w->resume, "auto") == 0)
        o.resume = GT_RESUME_AUTO, o.resume_path = NULL;
    else if (strcmp(w->resume, "never") == 0)
        o.resume = GT_RESUME_NEVER, o.resume_path = NULL;
    c->timeout_seconds = (double)r->ddp_timeout;
    if (c->rank == 0)
        for (int i = 0; i < r->warnings.count; i++) gt_log(GT_WARN, "recipe", "%s", r->warnings.item[i]);
    return gt_train(&o, c);
}

/* What every rank says of one fault is said once: by rank 0, and by those whose words are others. Words are compared
 * because it is words that would stand there twice. Collective. */
static bool speaks(gt_comm *c)
{
    char first[sizeof gt_error_last()->message];
    memcpy(first, gt_error_last()->message, sizeof first);
    if (gt_comm_broadcast(c, first, sizeof first, 0) != GT_OK) return true;
    return c->rank == 0 || strcmp(first, gt_error_last()->message) != 0;
}

static gt_status run(const wishes *w, const gt_recipe_set *set, int sets)
{
    gt_comm *c;
    gt_recipe r = {0};
    GT_TRY(gt_comm_create(&c, START_TIMEOUT));
    if (c->size > 1) gt_log_init(c->rank);
    gt_status mine = gt_recipe_read(&r, w->recipe, set, sets);
    if (mine == GT_OK) mine = gt_recipe_check_train(&r, w->recipe);
    gt_status st = gt_comm_agree(c, mine);
    if (st == GT_OK)
        st = train(w, &r, c);
    else if (!speaks(c))
        gt_report_failure(true, c->rank);
    gt_recipe_free(&r);
    return gt_ranks_end(c, st);
}

gt_status gt_cmd_train(int argc, char **argv)
{
    wishes w = {.recipe = NULL};
    const gt_option options[] = {
        {GT_OPTION_LIST("--set", "KEY=VALUE", &w.set),
         .help = "another value for a key of the recipe, JSON or a word; may be given often"},
        {GT_OPTION_TEXT("--output-dir", "DIR", &w.output_dir), .letter = "-o",
         .help = "where checkpoints, metrics and adapters go"},
        {GT_OPTION_TEXT("--resume", "WHAT", &w.resume),
         .help = "auto (default): from the newest checkpoint of the folder, if there is one;\nnever; or the path of a "
                 "checkpoint"},
        {GT_OPTION_SWITCH("--overwrite-output-dir", &w.overwrite),
         .help = "with --resume never: begin anew in a folder that holds a run"},
        {GT_OPTION_SWITCH("--dry-run", &w.dry_run),
         .help = "check everything (a base to be packed is), say what would be done in what memory, stop"},
        {GT_OPTION_SWITCH("--keys", &w.keys), .help = "print the table of recipe keys"},
        GT_RUN_OPTIONS(&w.run),
        {.name = NULL}};
    static gt_recipe_set set[GT_ARG_LIST_MAX + 8];
    static char names[16384];
    int count = 0, sets = 0;
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, &w.recipe, &count, &help));
    if (help) return GT_OK;
    if (w.keys) return print_keys();
    if (count == 0) return GT_FAIL(GT_ERR_USAGE, "train: RECIPE.json is missing; usage: gemtune train RECIPE.json");
    GT_TRY(collect_sets(set, &sets, names, sizeof names, &w));
    return run(&w, set, sets);
}
