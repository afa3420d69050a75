/* run_options.h - the options of every command that runs a model: --backend, --threads, --base-dtype, --compute-dtype. */
#ifndef GT_RUN_OPTIONS_H
#define GT_RUN_OPTIONS_H

#include "args.h"
#include "recipe.h"
#include "table.h"

typedef struct {
    const char *backend, *base_dtype, *compute_dtype; /* as given, NULL: not given */
    int64_t threads;                                  /* 0: not given */
} gt_run_options;

/* Four entries for a command's table; o is a pointer to its gt_run_options. */
#define GT_RUN_OPTIONS(o)                                                                                              \
    {.name = "--backend",                                                                                              \
     .value = "NAME",                                                                                                  \
     .kind = GT_OPT_CHOICE,                                                                                            \
     .out = &(o)->backend,                                                                                             \
     .choices = gt_backend_names,                                                                                      \
     .help = "auto (default), cpu, or ref: plain C in double precision, slow"},                                        \
        {.name = "--threads",                                                                                          \
         .value = "N",                                                                                                 \
         .kind = GT_OPT_INT,                                                                                           \
         .out = &(o)->threads,                                                                                         \
         .min = 1,                                                                                                     \
         .max = 1024,                                                                                                  \
         .help = "threads of this process (default: the CPUs it may run on)"},                                         \
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

#endif
