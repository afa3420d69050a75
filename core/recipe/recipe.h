/* recipe.h - what a run shall do: one flat JSON object with the keys of TRL's SFTConfig and ModelConfig, Hugging Face's
 * TrainingArguments and PEFT's LoraConfig, and a few of our own. A field is named exactly as its key; one table
 * (gt_recipe_key_at) holds every key's type, default, range and meaning, and docs/recipe.md is printed from it. */
#ifndef GT_RECIPE_H
#define GT_RECIPE_H

#include "base_dtype.h"
#include "json.h"
#include "lora_config.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char **item; /* [count] owned, NUL-terminated UTF-8 */
    int count;
} gt_string_list;

/* Which modules get an adapter (docs/model/lora.md section 3), or get none: exactly one of the three is set for
 * lora_target_modules, one of the first two or none for exclude_modules. */
typedef struct {
    gt_string_list names; /* a list: a module whose path ends with "." + name, or equals it */
    char *regex;          /* a string: full match of the whole path, Python's syntax; owned */
    bool all_linear;      /* "all-linear": every linear layer but the head */
} gt_recipe_targets;

/* rank_pattern, alpha_pattern: in the order given, of which the first that matches wins. */
typedef struct {
    gt_lora_override *item; /* [count] owned, their patterns too */
    size_t count;
} gt_recipe_patterns;

typedef struct {
    int *item; /* [count] owned; none: every layer */
    size_t count;
} gt_recipe_layers;

/* lr_scheduler_kwargs. NAN: not given, the schedule's own default holds (docs/model/lora.md section 11). */
typedef struct {
    double num_cycles, min_lr, min_lr_rate, lr_end, power, timescale;
} gt_recipe_schedule;

typedef enum { GT_QUANT_NF4 } gt_quant_type;
typedef enum { GT_CKPT_NONE, GT_CKPT_GATE_UP, GT_CKPT_FULL } gt_ckpt_mode;
typedef enum { GT_EVERY_NO, GT_EVERY_STEPS, GT_EVERY_EPOCH } gt_every;
typedef enum { GT_SCOPE_GLOBAL, GT_SCOPE_PER_RANK } gt_scope;
typedef enum { GT_BAD_ROWS_FAIL, GT_BAD_ROWS_SKIP } gt_bad_rows;
typedef enum { GT_LOSS_DATASET, GT_LOSS_WHOLE_ROW, GT_LOSS_COMPLETION } gt_loss_scope; /* null, false, true */
typedef enum { GT_OPTIM_ADAMW } gt_optimizer;
typedef enum { GT_BEST_EVAL_LOSS, GT_BEST_EVAL_ACCURACY } gt_best_metric;
typedef enum {
    GT_LR_LINEAR,
    GT_LR_COSINE,
    GT_LR_COSINE_WITH_RESTARTS,
    GT_LR_POLYNOMIAL,
    GT_LR_CONSTANT,
    GT_LR_CONSTANT_WITH_WARMUP,
    GT_LR_INVERSE_SQRT,
    GT_LR_COSINE_WITH_MIN_LR
} gt_lr_schedule;

typedef struct gt_recipe {
    /* model */
    char *model_name_or_path;       /* NULL: not given (gt_recipe_check_train refuses) */
    bool load_in_4bit;              /* after parsing: base_dtype == GT_BASE_NF4 */
    gt_base_dtype base_dtype;       /* resolved from load_in_4bit when not given */
    gt_compute_dtype compute_dtype; /* resolved from bf16 when not given */
    bool bf16;                      /* after parsing it says the same as compute_dtype */
    gt_quant_type bnb_4bit_quant_type;
    bool bnb_4bit_use_double_quant;

    /* adapter */
    int64_t lora_r;
    double lora_alpha, lora_dropout;
    gt_recipe_targets lora_target_modules, exclude_modules;
    gt_recipe_layers layers_to_transform;
    gt_string_list layers_pattern;
    gt_recipe_patterns rank_pattern, alpha_pattern;
    bool use_rslora;
    gt_init_lora init_lora_weights;
    char *init_adapter; /* a PEFT folder to start from, or NULL */

    /* rows */
    gt_string_list train_files, eval_files;
    int64_t max_length; /* tokens; 0: no limit */
    bool packing;
    gt_loss_scope completion_only_loss;
    bool assistant_only_loss;
    bool parse_special; /* text of rows may spell control tokens */
    gt_bad_rows bad_rows;
    bool shuffle;
    int64_t data_seed; /* resolved: seed when not given */

    /* optimization */
    int64_t per_device_train_batch_size, gradient_accumulation_steps;
    gt_scope accumulation_scope;
    gt_ckpt_mode gradient_checkpointing;
    double num_train_epochs;
    int64_t max_steps; /* <= 0: num_train_epochs decides */
    double learning_rate;
    gt_lr_schedule lr_scheduler_type;
    gt_recipe_schedule lr_scheduler_kwargs;
    double warmup_steps; /* below 1 a ratio of all steps: use gt_recipe_warmup */
    double warmup_ratio;
    gt_optimizer optim;
    double weight_decay, adam_beta1, adam_beta2, adam_epsilon;
    double max_grad_norm; /* 0: no clipping */
    int64_t seed;

    /* while it runs */
    char *output_dir;
    bool overwrite_output_dir;
    gt_every logging_strategy;
    double logging_steps; /* below 1 a ratio of all steps: use gt_recipe_every */
    bool logging_first_step;
    gt_every eval_strategy; /* resolved: steps when there are eval_files, unless said otherwise */
    double eval_steps;      /* as logging_steps; resolved: logging_steps when not given */
    bool eval_on_start;
    int64_t per_device_eval_batch_size;
    gt_best_metric metric_for_best_model;
    gt_every save_strategy;
    double save_steps;        /* as logging_steps */
    double save_minutes;      /* 0: not by time */
    int64_t save_total_limit; /* 0: keep all */
    bool tensorboard;         /* from report_to: write event files */
    int64_t ddp_timeout;      /* seconds a collective may take */

    gt_string_list warnings; /* sentences for the user, in order: keys without effect here */
} gt_recipe;

typedef enum { GT_KEY_APPLIES, GT_KEY_ALIAS, GT_KEY_NO_EFFECT, GT_KEY_REFUSED } gt_key_status;
typedef enum {
    GT_KEY_BOOL,
    GT_KEY_INT,
    GT_KEY_REAL,
    GT_KEY_CHOICE,
    GT_KEY_TEXT,
    GT_KEY_LIST,
    GT_KEY_TARGETS,
    GT_KEY_EXCLUSION, /* targets, or none */
    GT_KEY_LAYERS,
    GT_KEY_RANKS,  /* an object of patterns and whole numbers ... */
    GT_KEY_ALPHAS, /* ... and any numbers */
    GT_KEY_SCHEDULE,
    GT_KEY_REPORT,
    GT_KEY_ANY /* keys that have no field */
} gt_key_type;

/* What a resume does when the key's value is another than the run began with. */
typedef enum { GT_CHANGE_REFUSE, GT_CHANGE_WARN, GT_CHANGE_ALLOW } gt_key_change;

typedef struct {
    const char *text; /* NULL ends the list; the first text of a value is its canonical spelling */
    int value;
    bool bare;           /* a JSON literal (null, true, false), not a string */
    const char *warning; /* a synonym that is taken, but does less than it says: the sentence; else NULL */
} gt_key_choice;

/* A value of the libraries that is refused with a reason of its own: a string that begins with text. */
typedef struct {
    const char *text, *reason; /* NULL ends the list */
} gt_key_refusal;

typedef struct {
    const char *name;
    gt_key_status status;
    gt_key_type type;
    size_t offset;        /* of the field in gt_recipe; GT_KEY_APPLIES only */
    const char *fallback; /* the default, as JSON; for keys without a field: the value that passes in silence */
    double min, max;      /* of numbers, those of lists and patterns too */
    bool nullable;        /* null is allowed and stored as ... */
    double null_value;    /* ... this (numbers) or NULL (text, lists) */
    const gt_key_choice *choices;
    const gt_key_refusal *refusals; /* of a GT_KEY_CHOICE; may be NULL */
    gt_key_change change;
    const char *target;    /* GT_KEY_ALIAS: the key it stands for */
    const char *reference; /* the default of TRL, TrainingArguments or PEFT where ours differs; NULL: the same */
    const char *note;      /* what it does, why it has no effect, or why it is refused and what to do */
} gt_recipe_key;

/* The i-th key, NULL behind the last: those that apply in the order of gt_recipe, then aliases and the others. Static.
 */
const gt_recipe_key *gt_recipe_key_at(int i);

/* The entry of a name, NULL if there is none. */
const gt_recipe_key *gt_recipe_key_find(const char *name);

/* What a word means for a key of type GT_KEY_CHOICE; -1 where the key takes no such word. */
int gt_recipe_choice(const char *key, const char *word);

/* The known key nearest to a misspelled name (edit distance), NULL if none is near. */
const char *gt_recipe_key_nearest(const char *name);

/* Appends the table as Markdown: docs/recipe.md is checked against it. */
void gt_recipe_keys_markdown(gt_text *out);

/* One value from the command line. It outranks the file's. */
typedef struct {
    const char *key, *value; /* value is JSON or, if it is none, a string */
    const char *flag;        /* how the user gave it, for messages: "--set", "--output-dir" ... */
} gt_recipe_set;

/* Parses a recipe of `size` bytes, applies sets in order, resolves what depends on other keys, and checks keys against
 * each other. where: its path, for messages. *out is filled whole or not at all; release with gt_recipe_free.
 * GT_ERR_CONFIG: not a flat JSON object, an unknown or refused key, a wrong type or value, a contradiction. The message
 * names the key, its value, what is allowed and, for unknown keys, the nearest one. */
gt_status gt_recipe_parse(gt_recipe *out, const char *text, size_t size, const char *where, const gt_recipe_set *sets,
                          int set_count);

/* The same from a file. GT_ERR_IO: it cannot be read. */
gt_status gt_recipe_read(gt_recipe *out, const char *path, const gt_recipe_set *sets, int set_count);

void gt_recipe_free(gt_recipe *r); /* NULL and zeroed structs are fine */

/* What `train` needs beyond a well-formed recipe: model_name_or_path and train_files. GT_ERR_CONFIG. */
gt_status gt_recipe_check_train(const gt_recipe *r, const char *where);

/* Steps between two events from a *_steps value: itself, or, below 1, that part of all steps rounded up; at least 1. */
int64_t gt_recipe_every(double value, int64_t total_steps);

/* Warm-up steps: warmup_steps if at least 1, its ratio of all steps (rounded up) if below 1, else by warmup_ratio. */
int64_t gt_recipe_warmup(const gt_recipe *r, int64_t total_steps);

/* What the recipe says of its adapter. Pointers stay the recipe's. */
gt_lora_config gt_recipe_lora(const gt_recipe *r);

/* The whole recipe as one JSON object with sorted keys, every value spelled out: parsing it gives an equal recipe.
 * Text is malloc'ed into *out (caller frees). GT_ERR_NOMEM. */
gt_status gt_recipe_json(char **out, const gt_recipe *r);

/* Compares the recipe a run began with and the one it is resumed with. Differences that change what is trained give
 * GT_ERR_CONFIG, the message naming each key with old and new value; those that may matter are appended as sentences to
 * `warnings` (may be NULL); the others pass. */
gt_status gt_recipe_compare(const gt_recipe *began, const gt_recipe *now, gt_string_list *warnings);

/* Appends a copy of text. GT_ERR_NOMEM. */
gt_status gt_string_list_add(gt_string_list *l, const char *text);
void gt_string_list_free(gt_string_list *l);

#endif
