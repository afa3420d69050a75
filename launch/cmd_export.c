/* cmd_export.c - gemtune export: what a run made, in the forms that other programs load. The same adapter merged into
 * the weights before quantization is another model than the one that was trained, so that must be asked for. */
#include "commands.h"

#include "args.h"
#include "export.h"
#include "run_options.h"

#include <stdio.h>
#include <string.h>

static const gt_command_text text = {
    .name = "export",
    .operands = "SOURCE",
    .summary = "Writes an adapter, a merged model or a plain base as a folder that transformers and PEFT load.",
    .about =
        "SOURCE: a run's output_dir (its last checkpoint), a checkpoint, a PEFT folder; with --format hf a MODEL.\n"
        "peft: the adapter. merged: base plus adapter as bf16 safetensors. hf: a base as a plain bf16 folder.",
    .min_operands = 1,
    .max_operands = 1};

static gt_export_format format_of(const char *name)
{
    if (strcmp(name, "merged") == 0) return GT_EXPORT_MERGED;
    return strcmp(name, "hf") == 0 ? GT_EXPORT_HF : GT_EXPORT_PEFT;
}

static gt_status run(const gt_export_options *o, int threads)
{
    gt_pool *pool;
    gt_text report = {0};
    GT_TRY(gt_pool_create(&pool, gt_pool_threads_for(threads)));
    gt_status st = gt_export(o, pool, &report);
    gt_pool_destroy(pool);
    if (st == GT_OK && report.data) fputs(report.data, stdout);
    gt_text_free(&report);
    return st;
}

gt_status gt_cmd_export(int argc, char **argv)
{
    static const char *const formats[] = {"peft", "merged", "hf", NULL}, *const into[] = {"dequantized", "original",
                                                                                          NULL};
    const char *format = NULL, *merge_into = NULL;
    gt_export_options o = {.source = NULL};
    int64_t threads = 0;
    const gt_option options[] = {
        {GT_OPTION_TEXT("--output", "DIR", &o.out), .letter = "-o", .missing = "-o DIR is missing",
         .help = "the new folder"},
        {GT_OPTION_CHOICE("--format", "NAME", &format), .choices = formats,
         .missing = "--format is missing: peft, merged or hf", .help = "peft, merged or hf"},
        {GT_OPTION_TEXT("--base", "PATH", &o.base), .help = "the base, where it is not where the run found it"},
        {GT_OPTION_CHOICE("--merge-into", "WHAT", &merge_into), .choices = into,
         .help = "merged: the weights that the adapter was trained beside (dequantized, default),\nor those before "
                 "quantization (original)"},
        {GT_OPTION_SWITCH("--force", &o.replace), .help = "a model folder that is there may be replaced"},
        GT_THREADS_OPTION(&threads),
        {.name = NULL}};
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, &o.source, NULL, &help));
    if (help) return GT_OK;
    o.format = format_of(format);
    if (merge_into && o.format != GT_EXPORT_MERGED)
        return GT_FAIL(GT_ERR_USAGE, "export: --merge-into goes with --format merged");
    o.into_original = merge_into && strcmp(merge_into, "original") == 0;
    return run(&o, (int)threads);
}
