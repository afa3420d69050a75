/* cmd_quantize.c - gemtune quantize: packs a base into a .gtq file, or into the folder that bitsandbytes serializes. It
 * may run under mpirun: the ranks share the work, and the file is the same on any number of them. */
#include "commands.h"

#include "args.h"
#include "quantize.h"
#include "ranks.h"
#include "run_options.h"

#include <stdio.h>
#include <string.h>

static const gt_command_text text = {
    .name = "quantize",
    .operands = "MODEL",
    .summary = "Packs a base: its linear layers as NF4.",
    .about =
        "gtq: one file, with the tokenizer, that train, generate and score map and that the ranks of a machine share.\n"
        "bnb: a Hugging Face folder as transformers and bitsandbytes serialize it; the packed base behind it stays in "
        "the\n"
        "cache folder (GEMTUNE_CACHE, or ~/.cache/gemtune), where train finds it.\n"
        "MODEL: a Hugging Face folder, a .gguf file, or a hub id in the local cache.",
    .min_operands = 1,
    .max_operands = 1};

static gt_status run(const gt_quantize_options *o, int threads)
{
    gt_comm *c;
    gt_pool *pool = NULL;
    gt_text report = {0};
    GT_TRY(gt_comm_create(&c, 1800));
    gt_status st = gt_comm_agree(c, gt_pool_create(&pool, gt_pool_threads_for(threads)));
    if (st == GT_OK) st = gt_quantize(o, c, pool, &report);
    gt_pool_destroy(pool);
    if (st == GT_OK && report.data) fputs(report.data, stdout);
    gt_text_free(&report);
    return gt_ranks_end(c, st);
}

gt_status gt_cmd_quantize(int argc, char **argv)
{
    static const char *const formats[] = {"gtq", "bnb", NULL};
    const char *format = "gtq";
    gt_quantize_options o = {.model = NULL};
    bool plain_scales = false;
    int64_t threads = 0;
    const gt_option options[] = {
        {GT_OPTION_TEXT("--output", "PATH", &o.out), .letter = "-o", .missing = "-o PATH is missing",
         .help = "what to write: FILE.gtq, or with --format bnb a folder"},
        {GT_OPTION_CHOICE("--format", "NAME", &format), .choices = formats, .help = "gtq (default) or bnb"},
        {GT_OPTION_SWITCH("--no-double-quant", &plain_scales),
         .help = "keep the scales as float32: 0.37 bit a weight more"},
        {GT_OPTION_SWITCH("--force", &o.replace), .help = "what is there may be replaced"},
        GT_THREADS_OPTION(&threads),
        {.name = NULL}};
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, &o.model, NULL, &help));
    if (help) return GT_OK;
    size_t n = strlen(o.out);
    bool gtq = n > 4 && strcmp(o.out + n - 4, ".gtq") == 0;
    o.bnb = strcmp(format, "bnb") == 0;
    o.double_quant = !plain_scales;
    if (!o.bnb && !gtq)
        return GT_FAIL(GT_ERR_USAGE, "quantize: -o is '%.200s'; the file's name must end with .gtq", o.out);
    if (o.bnb && gtq) return GT_FAIL(GT_ERR_USAGE, "quantize: --format bnb writes a folder, not '%.200s'", o.out);
    return run(&o, (int)threads);
}
