/* cmd_score.c - gemtune score: what a model thinks of rows, one JSON line each. A row is computed alone, so that its
 * numbers do not depend on its neighbours, and its line is out before the next row begins. */
#include "commands.h"

#include "fs.h"
#include "samples.h"
#include "opened_model.h"
#include "progress.h"
#include "run_options.h"
#include "safetensors.h"
#include "score.h"
#include "standard_output.h"
#include "tokenizer_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const gt_command_text text = {
    .name = "score",
    .operands = "MODEL",
    .summary = "Scores rows: one JSON line each on standard output.",
    .about =
        "  {\"row\": 0, \"tokens\": 210, \"nll\": [...], \"sum\": 12.3, \"greedy\": [true, ...]}\n"
        "nll: negative log-likelihood of every supervised token; greedy: whether each was the likeliest. With --top K "
        "also\n"
        "\"top\": for each of these tokens the K best [id, logit].\n"
        "Rows: JSONL of ids and prompt_tokens, messages or conversations, prompt and completion, text, Alpaca, or "
        "multiple\n"
        "choice; CSV.",
    .min_operands = 1,
    .max_operands = 1};

typedef struct {
    gt_model_words on;
    const char *rows, *logits;
    int64_t top, max_length;
} wishes;

/* Declares one tensor a row, so that rows can be written as they are scored. */
static gt_status begin_logits(gt_safetensors_writer **out, const char *path, const gt_samples *s, int vocab)
{
    enum { NAME = 32 };
    gt_safetensor_spec *spec = calloc(s->count, sizeof *spec);
    char *names = calloc(s->count, NAME);
    gt_status st = GT_OK;
    if (!spec || !names) st = GT_FAIL(GT_ERR_NOMEM, "no memory for the names of %zu rows", s->count);
    for (size_t i = 0; i < s->count && st == GT_OK; i++) {
        snprintf(names + i * NAME, NAME, "row.%llu", (unsigned long long)s->sample[i].row);
        spec[i] = (gt_safetensor_spec){
            .name = names + i * NAME, .dtype = GT_F32, .rank = 2, .shape = {(uint64_t)s->sample[i].n, (uint64_t)vocab}};
    }
    if (st == GT_OK) st = gt_safetensors_create(out, path, spec, s->count, NULL);
    free(spec);
    free(names);
    return st;
}

typedef struct {
    gt_safetensors_writer *w;
    size_t vocab;
} logit_file;

static gt_status take_logits(void *context, const float *logits, int rows)
{
    logit_file *f = context;
    return gt_safetensors_write(f->w, logits, (size_t)rows * f->vocab * sizeof *logits);
}

static gt_status write_line(gt_text *line)
{
    gt_text_add(line, "\n", 1);
    if (line->failed) return GT_FAIL(GT_ERR_NOMEM, "no memory for a line of scores");
    return gt_standard_output_write(line->data, line->size);
}

static gt_status score_rows(gt_scorer *scorer, const gt_samples *s, gt_safetensors_writer *w)
{
    gt_text line = {0};
    gt_progress progress;
    gt_status st = GT_OK;
    logit_file f = {w, (size_t)scorer->m->config->vocab_size};
    gt_progress_begin(&progress, "scoring", s->count, "rows");
    for (size_t i = 0; i < s->count && st == GT_OK; i++) {
        gt_text_clear(&line);
        st = gt_score_row(scorer, &s->sample[i], &line);
        if (st == GT_OK && w) st = gt_score_logits(scorer, &s->sample[i], take_logits, &f);
        if (st != GT_OK)
            gt_error_prefix("row %llu", (unsigned long long)s->sample[i].row);
        else
            st = write_line(&line);
        gt_progress_at(&progress, i + 1);
    }
    gt_progress_end(&progress);
    gt_text_free(&line);
    return st;
}

static gt_status score_opened(const wishes *w, gt_opened_model *x, const gt_samples *s)
{
    gt_scorer scorer = {0};
    gt_safetensors_writer *writer = NULL;
    if (s->longest > x->w->config.max_position_embeddings)
        return GT_FAIL(GT_ERR_DATA, "%s: a row has %d tokens, the model %d positions; give --max-length", w->rows,
                       s->longest, x->w->config.max_position_embeddings);
    GT_TRY(gt_opened_model_start(x, s->longest, s->longest));
    GT_TRY(gt_scorer_create(&scorer, x->m, s->longest, (int)w->top, w->logits != NULL));
    gt_status st = w->logits ? begin_logits(&writer, w->logits, s, x->w->config.vocab_size) : GT_OK;
    if (st == GT_OK) st = score_rows(&scorer, s, writer);
    if (st == GT_OK && writer)
        st = gt_safetensors_publish(writer);
    else
        gt_safetensors_abandon(writer);
    gt_scorer_destroy(&scorer);
    return st;
}

static gt_status run(const wishes *w)
{
    const gt_load_options load = {.path = &w->rows,
                                  .paths = 1,
                                  .max_length = (int)w->max_length,
                                  .parse_special = w->on.parse_special,
                                  .keep_unsupervised = true};
    const gt_open_options o = gt_run_open_options(&w->on);
    gt_tokenizer *t = NULL;
    gt_samples s = {0};
    gt_opened_model x = {0};
    gt_status st = gt_tokenizer_source_open(&t, w->on.model);
    if (st == GT_OK) st = gt_samples_load(&s, &load, t);
    if (st == GT_OK && s.count == 0) st = GT_FAIL(GT_ERR_DATA, "%s: no rows", w->rows);
    if (st == GT_OK) st = gt_opened_model_open(&x, &o);
    if (st == GT_OK) st = score_opened(w, &x, &s);
    gt_opened_model_close(&x);
    gt_samples_free(&s);
    gt_tokenizer_free(t);
    return st;
}

gt_status gt_cmd_score(int argc, char **argv)
{
    wishes w = {.top = 0};
    const gt_option options[] = {
        {GT_OPTION_TEXT("--rows", "FILE", &w.rows), .missing = "--rows FILE is missing",
         .help = "the rows, JSONL or CSV"},
        GT_ADAPTER_OPTION(&w.on),
        {GT_OPTION_INT("--top", "K", &w.top, 0, 1e6), .help = "also the K best ids and logits of each token"},
        {GT_OPTION_TEXT("--logits", "FILE", &w.logits),
         .help = "also float32 logits of every position, into a safetensors file:\ntensor row.N [tokens, vocabulary]"},
        {GT_OPTION_INT("--max-length", "N", &w.max_length, 0, 131072),
         .help = "longer rows are cut at the end (0, default: not)"},
        GT_MODEL_OPTIONS(&w.on, "rows"),
        {.name = NULL}};
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, &w.on.model, NULL, &help));
    return help ? GT_OK : run(&w);
}
