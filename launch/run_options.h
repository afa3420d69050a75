/* run_options.h - the options of every command that runs a model: --backend, --threads, --base-dtype, --compute-dtype;
 * and what a command that only runs one (generate, score) takes besides. */
#ifndef GT_RUN_OPTIONS_H
#define GT_RUN_OPTIONS_H

#include "args.h"
#include "opened_model.h"
#include "table.h"

typedef struct {
    const char *backend, *base_dtype, *compute_dtype; /* as given, NULL: not given */
    int64_t threads;                                  /* 0: not given */
} gt_run_options;

typedef struct {
    const char *model;   /* the operand */
    const char *adapter; /* NULL: none */
    bool parse_special;
    gt_run_options run;
} gt_model_words;

/* The entry of a command's table that says how many threads work; at is an int64_t *. */
#define GT_THREADS_OPTION(at)                                                                                          \
    {                                                                                                                  \
        GT_OPTION_INT("--threads", "N", at, 1, 1024),                                                                  \
            .help = "threads of this process (default: the CPUs it may run on)"                                        \
    }

/* Four entries for a command's table; o is a pointer to its gt_run_options. */
#define GT_RUN_OPTIONS(o)                                                                                              \
    {GT_OPTION_CHOICE("--backend", "NAME", &(o)->backend), .choices = gt_backend_names,                                \
     .help = "auto (default), cpu, or ref: plain C in double precision, slow"},                                        \
        GT_THREADS_OPTION(&(o)->threads),                                                                              \
        {GT_OPTION_CHOICE("--base-dtype", "TYPE", &(o)->base_dtype), .key = "base_dtype",                              \
         .help = "how the base is held: native (as stored), bf16 or nf4"},                                             \
    {                                                                                                                  \
        GT_OPTION_CHOICE("--compute-dtype", "TYPE", &(o)->compute_dtype),                                              \
            .key = "compute_dtype", .help = "bfloat16 (bf16), or float32: the reference mode"                          \
    }

/* The entry for a PEFT folder beside the model, and five entries that end a table; o is a pointer to the command's
 * gt_model_words, where says in which words control tokens may be spelled. */
#define GT_ADAPTER_OPTION(o)                                                                                           \
    {                                                                                                                  \
        GT_OPTION_TEXT("--adapter", "DIR", &(o)->adapter), .help = "a PEFT folder"                                     \
    }
#define GT_MODEL_OPTIONS(o, where)                                                                                     \
    {GT_OPTION_SWITCH("--parse-special", &(o)->parse_special),                                                         \
     .help = "control tokens spelled in " where " become control tokens"},                                             \
        GT_RUN_OPTIONS(&(o)->run)

/* The backend that --backend names; AUTO where it is not given. */
gt_backend gt_run_backend(const gt_run_options *o);

/* What a command that only runs a model opens: base_dtype native and compute_dtype bfloat16 where not given. */
gt_open_options gt_run_open_options(const gt_model_words *w);

#endif
