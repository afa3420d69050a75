/* run_options.h - the options of every command that runs a model: --backend, --threads, --base-dtype, --compute-dtype.
 */
#ifndef GT_RUN_OPTIONS_H
#define GT_RUN_OPTIONS_H

#include "args.h"
#include "opened_model.h"
#include "recipe.h"
#include "table.h"

typedef struct {
    const char *backend, *base_dtype, *compute_dtype; /* as given, NULL: not given */
    int64_t threads;                                  /* 0: not given */
} gt_run_options;

/* The entry of a command's table that says how many threads work; at is an int64_t *. */
#define GT_THREADS_OPTION(at)                                                                                          \
    {                                                                                                                  \
        .name = "--threads", .value = "N", .kind = GT_OPT_INT, .out = (at), .min = 1, .max = 1024,                     \
        .help = "threads of this process (default: the CPUs it may run on)"                                            \
    }

/* The entry for a PEFT folder beside the model; at is a const char **. */
#define GT_ADAPTER_OPTION(at)                                                                                          \
    {                                                                                                                  \
        .name = "--adapter", .value = "DIR", .kind = GT_OPT_TEXT, .out = (at), .help = "a PEFT folder"                 \
    }

/* Four entries for a command's table; o is a pointer to its gt_run_options. */
#define GT_RUN_OPTIONS(o)                                                                                              \
    {.name = "--backend",                                                                                              \
     .value = "NAME",                                                                                                  \
     .kind = GT_OPT_CHOICE,                                                                                            \
     .out = &(o)->backend,                                                                                             \
     .choices = gt_backend_names,                                                                                      \
     .help = "auto (default), cpu, or ref: plain C in double precision, slow"},                                        \
        GT_THREADS_OPTION(&(o)->threads),                                                                              \
        {.name = "--base-dtype",                                                                                       \
         .value = "TYPE",                                                                                              \
         .kind = GT_OPT_CHOICE,                                                                                        \
         .out = &(o)->base_dtype,                                                                                      \
         .choices = gt_base_dtype_names,                                                                               \
         .help = "how the base is held: native (as stored), bf16 or nf4"},                                             \
    {                                                                                                                  \
        .name = "--compute-dtype", .value = "TYPE", .kind = GT_OPT_CHOICE, .out = &(o)->compute_dtype,                 \
        .choices = gt_compute_dtype_names, .help = "bfloat16 (bf16), or float32: the reference mode"                   \
    }

extern const char *const gt_backend_names[], *const gt_base_dtype_names[], *const gt_compute_dtype_names[];

/* What they mean; the default where not given. */
gt_backend gt_run_backend(const gt_run_options *o);
gt_base_dtype gt_run_base_dtype(const gt_run_options *o);       /* default native */
gt_compute_dtype gt_run_compute_dtype(const gt_run_options *o); /* default bfloat16 */

/* All of it, for a command that only runs a model; adapter may be NULL. */
gt_open_options gt_run_open_options(const gt_run_options *o, const char *model, const char *adapter);

#endif
