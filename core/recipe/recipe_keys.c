/* recipe_keys.c - the keys that have a field: type, default, range, meaning. Defaults are those of TRL 1.16 (SFTConfig,
 * and ModelConfig for the lora_* and *4bit keys) unless `reference` says otherwise. */
#include "model_config.h"
#include "recipe_table.h"

#include <math.h>
#include <stddef.h>

static const gt_key_choice base_dtypes[] = {{"native", GT_BASE_NATIVE, false, NULL},
                                            {"bf16", GT_BASE_BF16, false, NULL},
                                            {"bfloat16", GT_BASE_BF16, false, NULL},
                                            {"nf4", GT_BASE_NF4, false, NULL},
                                            {NULL, 0, false, NULL}};
static const gt_key_choice compute_dtypes[] = {{"bfloat16", GT_COMPUTE_BF16, false, NULL},
                                               {"bf16", GT_COMPUTE_BF16, false, NULL},
                                               {"float32", GT_COMPUTE_F32, false, NULL},
                                               {NULL, 0, false, NULL}};
static const gt_key_choice quant_types[] = {{"nf4", GT_QUANT_NF4, false, NULL}, {NULL, 0, false, NULL}};
static const gt_key_choice inits[] = {{"true", GT_INIT_KAIMING, true, NULL},
                                      {"false", GT_INIT_RANDOM, true, NULL},
                                      {"gaussian", GT_INIT_GAUSSIAN, false, NULL},
                                      {NULL, 0, false, NULL}};
static const gt_key_refusal other_inits[] = {
    {"pissa", "PiSSA takes the start of the adapter out of the base, whose weights stay as they are here"},
    {"olora", "OLoRA takes the start of the adapter out of the base, whose weights stay as they are here"},
    {"loftq", "LoftQ needs the weights as they were before quantization"},
    {"eva", "EVA needs the activations of some rows before the first step"},
    {"corda", "CorDA needs the activations of some rows before the first step"},
    {"lora_ga", "LoRA-GA needs a gradient before the first step"},
    {"orthogonal", "the orthogonal start is not here"},
    {"mica", "MiCA is another kind of adapter, which is not here"},
    {NULL, NULL}};
static const gt_key_choice loss_scopes[] = {{"null", GT_LOSS_DATASET, true, NULL},
                                            {"false", GT_LOSS_WHOLE_ROW, true, NULL},
                                            {"true", GT_LOSS_COMPLETION, true, NULL},
                                            {NULL, 0, false, NULL}};
static const gt_key_choice bad_rows[] = {
    {"fail", GT_BAD_ROWS_FAIL, false, NULL}, {"skip", GT_BAD_ROWS_SKIP, false, NULL}, {NULL, 0, false, NULL}};
static const gt_key_choice scopes[] = {
    {"global", GT_SCOPE_GLOBAL, false, NULL}, {"per_rank", GT_SCOPE_PER_RANK, false, NULL}, {NULL, 0, false, NULL}};
static const gt_key_choice checkpointing[] = {{"full", GT_CKPT_FULL, false, NULL},
                                              {"true", GT_CKPT_FULL, true, NULL},
                                              {"none", GT_CKPT_NONE, false, NULL},
                                              {"false", GT_CKPT_NONE, true, NULL},
                                              {"null", GT_CKPT_FULL, true, NULL},
                                              {"gate_up", GT_CKPT_GATE_UP, false, NULL},
                                              {NULL, 0, false, NULL}};
static const gt_key_choice schedules[] = {{"linear", GT_LR_LINEAR, false, NULL},
                                          {"cosine", GT_LR_COSINE, false, NULL},
                                          {"cosine_with_restarts", GT_LR_COSINE_WITH_RESTARTS, false, NULL},
                                          {"polynomial", GT_LR_POLYNOMIAL, false, NULL},
                                          {"constant", GT_LR_CONSTANT, false, NULL},
                                          {"constant_with_warmup", GT_LR_CONSTANT_WITH_WARMUP, false, NULL},
                                          {"inverse_sqrt", GT_LR_INVERSE_SQRT, false, NULL},
                                          {"cosine_with_min_lr", GT_LR_COSINE_WITH_MIN_LR, false, NULL},
                                          {NULL, 0, false, NULL}};
static const gt_key_choice optimizers[] = {
    {"adamw_torch_fused", GT_OPTIM_ADAMW, false, NULL},
    {"adamw_torch", GT_OPTIM_ADAMW, false, NULL},
    {"paged_adamw_32bit", GT_OPTIM_ADAMW, false,
     "optim: \"paged_adamw_32bit\" runs as adamw_torch (32-bit states; the adapter's are small and not paged)"},
    {"paged_adamw", GT_OPTIM_ADAMW, false,
     "optim: \"paged_adamw\" runs as adamw_torch (32-bit states; the adapter's are small and not paged)"},
    {NULL, 0, false, NULL}};
static const gt_key_choice every[] = {{"no", GT_EVERY_NO, false, NULL},
                                      {"steps", GT_EVERY_STEPS, false, NULL},
                                      {"epoch", GT_EVERY_EPOCH, false, NULL},
                                      {NULL, 0, false, NULL}};
static const gt_key_choice eval_every[] = {{"no", GT_EVERY_NO, false, NULL},
                                           {"steps", GT_EVERY_STEPS, false, NULL},
                                           {"epoch", GT_EVERY_EPOCH, false, NULL},
                                           {"null", GT_EVERY_NO, true, NULL},
                                           {NULL, 0, false, NULL}};
static const gt_key_choice best_metrics[] = {
    {"eval_loss", GT_BEST_EVAL_LOSS, false, NULL},    {"loss", GT_BEST_EVAL_LOSS, false, NULL},
    {"null", GT_BEST_EVAL_LOSS, true, NULL},          {"eval_accuracy", GT_BEST_EVAL_ACCURACY, false, NULL},
    {"accuracy", GT_BEST_EVAL_ACCURACY, false, NULL}, {NULL, 0, false, NULL}};

#define AT(field) .name = #field, .status = GT_KEY_APPLIES, .offset = offsetof(gt_recipe, field)
#define BOOL(field) AT(field), .type = GT_KEY_BOOL
#define INT(field, low, high) AT(field), .type = GT_KEY_INT, .min = (low), .max = (high)
#define REAL(field, low, high) AT(field), .type = GT_KEY_REAL, .min = (low), .max = (high)
/* A choice is stored as an int, whatever enum its field is. */
#define CHOICE(field, list)                                                                                            \
    .name = #field, .status = GT_KEY_APPLIES, .type = GT_KEY_CHOICE, .choices = (list),                                \
    .offset = offsetof(gt_recipe, field) +                                                                             \
              0 * sizeof(struct {                                                                                      \
                  int any;                                                                                             \
                  _Static_assert(sizeof((gt_recipe *)0)->field == sizeof(int), #field " is no int in memory");         \
              })
#define TEXT(field) AT(field), .type = GT_KEY_TEXT
#define LIST(field) AT(field), .type = GT_KEY_LIST
#define NULL_IS(value) .nullable = true, .null_value = (value)

/* Greatest number of rows, steps and the like; far from overflow when a few of them are multiplied. */
#define MANY 1e9
/* The largest double below 1. */
#define BELOW_1 (1.0 - 0x1p-53)

const gt_recipe_key gt_recipe_applied[] = {
    /* model */
    {TEXT(model_name_or_path), .fallback = "null", .nullable = true, .change = GT_CHANGE_WARN,
     .note = "the base: a Hugging Face folder, a .gguf or .gtq file, or a hub id in the local cache; what counts at a "
             "resume is the base's identity, not its path"},
    {BOOL(load_in_4bit), .fallback = "false", .change = GT_CHANGE_REFUSE,
     .note = "QLoRA: the base's linear layers as NF4; the same as base_dtype \"nf4\""},
    {CHOICE(base_dtype, base_dtypes), .fallback = "\"native\"", .change = GT_CHANGE_REFUSE, .reference = "(own key)",
     .note = "how the base is held: native keeps the values as stored, a GGUF's blocks included; when not given, nf4 "
             "with load_in_4bit and native without"},
    {CHOICE(compute_dtype, compute_dtypes), .fallback = "\"bfloat16\"", .change = GT_CHANGE_REFUSE,
     .reference = "(own key)",
     .note = "what is computed in; float32 is the reference mode; when not given, bf16 decides"},
    {BOOL(bf16), .fallback = "true", .change = GT_CHANGE_REFUSE,
     .note = "true: compute_dtype bfloat16; false: float32"},
    {CHOICE(bnb_4bit_quant_type, quant_types), .fallback = "\"nf4\"", .change = GT_CHANGE_REFUSE,
     .note = "fp4 is not here"},
    {BOOL(bnb_4bit_use_double_quant), .fallback = "true", .change = GT_CHANGE_REFUSE, .reference = "false",
     .note =
         "scales of NF4 blocks are quantized too: 0.37 bit a weight less; a .gtq file must have been packed the same "
         "way"},

    /* adapter */
    {INT(lora_r, 1, GT_LORA_MAX_RANK), .fallback = "16", .change = GT_CHANGE_REFUSE,
     .note = "rank (PEFT's own default is 8)"},
    {REAL(lora_alpha, 1e-6, 1e6), .fallback = "32", .change = GT_CHANGE_REFUSE,
     .note = "the adapter is scaled by lora_alpha / lora_r (PEFT's own default is 8)"},
    {REAL(lora_dropout, 0, BELOW_1), .fallback = "0.05", .change = GT_CHANGE_REFUSE,
     .note = "on the adapter's input, in training (PEFT's own default is 0)"},
    {AT(lora_target_modules), .type = GT_KEY_TARGETS, .fallback = "[\"q_proj\", \"v_proj\"]", .nullable = true,
     .change = GT_CHANGE_REFUSE, .reference = "null",
     .note =
         "a list of names, \"all-linear\", or a string: a regular expression for whole module paths; null is PEFT's "
         "choice for Gemma 3, spelled out here"},
    {AT(exclude_modules), .type = GT_KEY_EXCLUSION, .fallback = "null", .nullable = true, .change = GT_CHANGE_REFUSE,
     .note =
         "modules that get no adapter though lora_target_modules names them: a list of names, or a string: a regular "
         "expression for whole module paths"},
    {AT(layers_to_transform), .type = GT_KEY_LAYERS, .min = 0, .max = GT_MAX_LAYERS - 1, .fallback = "null",
     .nullable = true, .change = GT_CHANGE_REFUSE,
     .note = "a layer or a list of layers, counted from 0, that get adapters; null: all. Goes with a list of "
             "lora_target_modules"},
    {LIST(layers_pattern), .fallback = "null", .nullable = true, .change = GT_CHANGE_REFUSE,
     .note = "what stands in front of the layer's number in a module's path: \"layers\" in Gemma 3, which is found "
             "without being told; goes with layers_to_transform"},
    {AT(rank_pattern), .type = GT_KEY_RANKS, .min = 1, .max = GT_LORA_MAX_RANK, .fallback = "{}", .nullable = true,
     .change = GT_CHANGE_REFUSE,
     .note =
         "ranks other than lora_r, {\"q_proj\": 8, \"layers.0.mlp.down_proj\": 2}: a pattern is a regular expression "
         "for the end of a module's path, from a dot on; the first that matches wins"},
    {AT(alpha_pattern), .type = GT_KEY_ALPHAS, .min = 1e-6, .max = 1e6, .fallback = "{}", .nullable = true,
     .change = GT_CHANGE_REFUSE,
     .note = "alphas other than lora_alpha, likewise; a module is scaled by its own alpha over its own rank"},
    {BOOL(use_rslora), .fallback = "false", .change = GT_CHANGE_REFUSE,
     .note = "scale by lora_alpha / sqrt(lora_r) instead"},
    {CHOICE(init_lora_weights, inits), .refusals = other_inits, .fallback = "true", .change = GT_CHANGE_REFUSE,
     .note = "true: A uniform by Kaiming, B zero; \"gaussian\": A normal, B zero; false: A and B uniform, so that the "
             "adapter changes the model from the start (PEFT means it for debugging); its other words are refused"},
    {TEXT(init_adapter), .fallback = "null", .nullable = true, .change = GT_CHANGE_REFUSE, .reference = "(own key)",
     .note = "a PEFT folder whose weights the adapter starts from"},

    /* rows */
    {LIST(train_files), .fallback = "[]", .nullable = true, .change = GT_CHANGE_WARN, .reference = "(own key)",
     .note = "one path or a list: JSONL or CSV rows, in this order; at a resume the rows themselves must be the same"},
    {LIST(eval_files), .fallback = "[]", .nullable = true, .change = GT_CHANGE_WARN, .reference = "(own key)",
     .note = "rows of the development split"},
    {INT(max_length, 2, 131072), .fallback = "1024", NULL_IS(0), .change = GT_CHANGE_REFUSE,
     .note = "longer rows are cut at the end, counted and reported; null: no limit"},
    {BOOL(packing), .fallback = "false", .change = GT_CHANGE_REFUSE,
     .note = "several rows in one sequence of max_length, each seeing only itself"},
    {CHOICE(completion_only_loss, loss_scopes), .fallback = "null", .change = GT_CHANGE_REFUSE,
     .note =
         "true: loss on the completion, or the last assistant turn; false: on the whole row; null: on the completion "
         "where a row has one (chats included), on all of a plain text"},
    {BOOL(assistant_only_loss), .fallback = "false", .change = GT_CHANGE_REFUSE,
     .note = "loss on every assistant turn of `messages`"},
    {BOOL(parse_special), .fallback = "false", .change = GT_CHANGE_REFUSE, .reference = "(own key)",
     .note = "text of rows that spells a control token becomes that token; only for rows you trust"},
    {CHOICE(bad_rows, bad_rows), .fallback = "\"fail\"", .change = GT_CHANGE_REFUSE, .reference = "(own key)",
     .note = "a row that cannot be read stops the start, or is skipped and counted"},
    {BOOL(shuffle), .fallback = "true", .change = GT_CHANGE_REFUSE, .reference = "(own key)",
     .note = "a new order each epoch, by data_seed and epoch; false: file order"},
    {INT(data_seed, 0, 4294967295.0), .fallback = "null", NULL_IS(-1), .change = GT_CHANGE_REFUSE,
     .note = "seed of the order of rows; null: seed"},

    /* optimization */
    {INT(per_device_train_batch_size, 1, 65536), .fallback = "8", .change = GT_CHANGE_REFUSE,
     .note = "rows of one micro-batch"},
    {INT(gradient_accumulation_steps, 1, 1048576), .fallback = "1", .change = GT_CHANGE_REFUSE,
     .note = "micro-batches of one optimizer step"},
    {CHOICE(accumulation_scope, scopes), .fallback = "\"global\"", .change = GT_CHANGE_REFUSE,
     .reference = "\"per_rank\" (in effect)",
     .note = "global: batch size times accumulation rows a step over all ranks together, so a recipe means the same on "
             "any machine; per_rank: so many on each rank, as the Trainer has it"},
    {CHOICE(gradient_checkpointing, checkpointing), .fallback = "\"full\"", .change = GT_CHANGE_ALLOW,
     .note =
         "full (true): each layer is computed again in the backward pass; gate_up: only its MLP's inner values; none "
         "(false): nothing; the results are the same bits"},
    {REAL(num_train_epochs, 1e-6, MANY), .fallback = "3.0", .change = GT_CHANGE_REFUSE, .note = "may be a fraction"},
    {INT(max_steps, -1, MANY), .fallback = "-1", .change = GT_CHANGE_REFUSE,
     .note = "optimizer steps; above 0 it outranks num_train_epochs"},
    {REAL(learning_rate, 0, 1), .fallback = "2e-5", .change = GT_CHANGE_REFUSE, .note = "the schedule's peak"},
    {CHOICE(lr_scheduler_type, schedules), .fallback = "\"linear\"", .change = GT_CHANGE_REFUSE,
     .note = "the learning rate over the steps"},
    {AT(lr_scheduler_kwargs), .type = GT_KEY_SCHEDULE, .fallback = "null", .nullable = true, .change = GT_CHANGE_REFUSE,
     .note = "an object: num_cycles (cosine*), min_lr or min_lr_rate (cosine_with_min_lr), lr_end and power "
             "(polynomial), timescale (inverse_sqrt)"},
    {REAL(warmup_steps, 0, MANY), .fallback = "0", .change = GT_CHANGE_REFUSE,
     .note = "steps of linear warm-up; below 1 a part of all steps"},
    {REAL(warmup_ratio, 0, 1), .fallback = "0", NULL_IS(0), .change = GT_CHANGE_REFUSE,
     .note = "the older spelling of warmup_steps below 1"},
    {CHOICE(optim, optimizers), .fallback = "\"adamw_torch_fused\"", .change = GT_CHANGE_REFUSE,
     .note = "AdamW with 32-bit states, decay before the update"},
    {REAL(weight_decay, 0, 10), .fallback = "0", .change = GT_CHANGE_REFUSE, .note = "decoupled, on A and B"},
    {REAL(adam_beta1, 0, BELOW_1), .fallback = "0.9", .change = GT_CHANGE_REFUSE, .note = "decay of the first moment"},
    {REAL(adam_beta2, 0, BELOW_1), .fallback = "0.999", .change = GT_CHANGE_REFUSE,
     .note = "decay of the second moment"},
    {REAL(adam_epsilon, 0, 1), .fallback = "1e-8", .change = GT_CHANGE_REFUSE,
     .note = "added to the root of the second moment"},
    {REAL(max_grad_norm, 0, MANY), .fallback = "1.0", NULL_IS(0), .change = GT_CHANGE_REFUSE,
     .note = "gradients are scaled down to this norm; 0 or null: not"},
    {INT(seed, 0, 4294967295.0), .fallback = "42", .change = GT_CHANGE_REFUSE,
     .note = "of the adapter's start, dropout and the order of rows"},

    /* while it runs */
    {TEXT(output_dir), .fallback = "\"trainer_output\"", .change = GT_CHANGE_ALLOW,
     .note = "where checkpoints, metrics and adapters go"},
    {BOOL(overwrite_output_dir), .fallback = "false", .change = GT_CHANGE_ALLOW,
     .note = "with --resume never: begin anew in a folder that holds a run"},
    {CHOICE(logging_strategy, every), .fallback = "\"steps\"", .change = GT_CHANGE_ALLOW,
     .note = "when a line goes into metrics.jsonl"},
    {REAL(logging_steps, 0, MANY), .fallback = "10", .change = GT_CHANGE_ALLOW,
     .note = "optimizer steps between lines; below 1 a part of all steps"},
    {BOOL(logging_first_step), .fallback = "false", .change = GT_CHANGE_ALLOW, .note = "a line after step 1 too"},
    {CHOICE(eval_strategy, eval_every), .fallback = "null", .change = GT_CHANGE_ALLOW, .reference = "\"no\"",
     .note = "when eval_files are scored; null: steps if there are eval_files, else no"},
    {REAL(eval_steps, 0, MANY), .fallback = "null", NULL_IS(-1), .change = GT_CHANGE_ALLOW,
     .note = "as logging_steps; null: logging_steps"},
    {BOOL(eval_on_start), .fallback = "false", .change = GT_CHANGE_ALLOW, .note = "score before the first step"},
    {INT(per_device_eval_batch_size, 1, 65536), .fallback = "8", .change = GT_CHANGE_ALLOW,
     .note = "rows of one evaluation batch; the results do not depend on it"},
    {CHOICE(metric_for_best_model, best_metrics), .fallback = "\"eval_loss\"", .change = GT_CHANGE_WARN,
     .reference = "null (in effect \"loss\")",
     .note = "what the best adapter is best in: least eval_loss or greatest eval_accuracy"},
    {CHOICE(save_strategy, every), .fallback = "\"steps\"", .change = GT_CHANGE_ALLOW,
     .note = "when a checkpoint is written, besides save_minutes and the end"},
    {REAL(save_steps, 0, MANY), .fallback = "500", .change = GT_CHANGE_ALLOW, .note = "as logging_steps"},
    {REAL(save_minutes, 0, 1e6), .fallback = "10", NULL_IS(0), .change = GT_CHANGE_ALLOW, .reference = "(own key)",
     .note = "a checkpoint at least so often, in the middle of a step too; 0: never by time"},
    {INT(save_total_limit, 1, MANY), .fallback = "null", NULL_IS(0), .change = GT_CHANGE_ALLOW,
     .note = "checkpoints to keep, the newest; null: all"},
    {.name = "report_to",
     .status = GT_KEY_APPLIES,
     .type = GT_KEY_REPORT,
     .offset = offsetof(gt_recipe, tensorboard),
     .fallback = "\"tensorboard\"",
     .change = GT_CHANGE_ALLOW,
     .reference = "\"none\"",
     .note = "\"tensorboard\", \"all\", \"none\" or a list: whether event files are written; metrics.jsonl always is; "
             "other "
             "services are passed over with a warning"},
    {INT(ddp_timeout, 1, 1e6), .fallback = "1800", .change = GT_CHANGE_ALLOW,
     .note = "seconds after which a collective without an answer ends the run"},
    {.name = NULL},
};
