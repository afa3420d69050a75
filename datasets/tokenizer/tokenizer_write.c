#include "tokenizer_write.h"

#include "json_write.h"
#include "tokenizer_blob.h"

/* Whether an added token is looked for in the normalised text. */
static bool in_second_pass(const gt_tokenizer *t, uint32_t id)
{
    for (uint32_t i = 0; i < t->norm.count; i++)
        if (t->norm.id[i] == id) return true;
    return false;
}

static void add_piece(gt_text *text, const gt_tokenizer *t, uint32_t id)
{
    gt_text_add_json_string(text, t->text + t->piece_at[id], t->piece_at[id + 1] - t->piece_at[id]);
}

static void add_added_tokens(gt_text *text, const gt_tokenizer *t)
{
    const char *comma = "";
    gt_text_addf(text, " \"added_tokens\": [");
    for (uint32_t id = 0; id < t->head->pieces; id++) {
        if (!(t->kind[id] & GT_PIECE_ADDED)) continue;
        gt_text_addf(text, "%s\n  {\"id\": %u, \"content\": ", comma, id);
        add_piece(text, t, id);
        gt_text_addf(
            text,
            ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": %s, \"special\": %s}",
            in_second_pass(t, id) ? "true" : "false", t->kind[id] & GT_PIECE_SPECIAL ? "true" : "false");
        comma = ",";
    }
    gt_text_addf(text, "\n ],\n");
}

static void add_special(gt_text *text, const gt_tokenizer *t, int32_t id, int type)
{
    gt_text_addf(text, "{\"SpecialToken\": {\"id\": ");
    add_piece(text, t, (uint32_t)id);
    gt_text_addf(text, ", \"type_id\": %d}}", type);
}

/* bos A eos, and bos A eos bos B eos */
static void add_sequence(gt_text *text, const gt_tokenizer *t, char name, int type)
{
    const gt_tokenizer_specials *s = &t->specials;
    if (s->add_bos && s->bos >= 0) {
        add_special(text, t, s->bos, type);
        gt_text_addf(text, ", ");
    }
    gt_text_addf(text, "{\"Sequence\": {\"id\": \"%c\", \"type_id\": %d}}", name, type);
    if (s->add_eos && s->eos >= 0) {
        gt_text_addf(text, ", ");
        add_special(text, t, s->eos, type);
    }
}

static void add_post_processor(gt_text *text, const gt_tokenizer *t)
{
    const gt_tokenizer_specials *s = &t->specials;
    const int32_t used[2] = {s->add_bos ? s->bos : -1, s->add_eos ? s->eos : -1};
    const char *comma = "";
    gt_text_addf(text, " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [");
    add_sequence(text, t, 'A', 0);
    gt_text_addf(text, "], \"pair\": [");
    add_sequence(text, t, 'A', 0);
    gt_text_addf(text, ", ");
    add_sequence(text, t, 'B', 1);
    gt_text_addf(text, "], \"special_tokens\": {");
    for (int i = 0; i < 2; i++) {
        if (used[i] < 0) continue;
        gt_text_addf(text, "%s", comma);
        add_piece(text, t, (uint32_t)used[i]);
        gt_text_addf(text, ": {\"id\": ");
        add_piece(text, t, (uint32_t)used[i]);
        gt_text_addf(text, ", \"ids\": [%d], \"tokens\": [", used[i]);
        add_piece(text, t, (uint32_t)used[i]);
        gt_text_addf(text, "]}");
        comma = ", ";
    }
    gt_text_addf(text, "}},\n");
}

static void add_model(gt_text *text, const gt_tokenizer *t)
{
    gt_text_addf(text, " \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
    if (t->specials.unk >= 0)
        add_piece(text, t, (uint32_t)t->specials.unk);
    else
        gt_text_addf(text, "null");
    gt_text_addf(text, ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": true, "
                       "\"byte_fallback\": true, \"ignore_merges\": false,\n  \"vocab\": {");
    for (uint32_t id = 0; id < t->head->pieces; id++) {
        gt_text_addf(text, id ? ",\n" : "\n");
        add_piece(text, t, id);
        gt_text_addf(text, ": %u", id);
    }
    gt_text_addf(text, "},\n  \"merges\": [");
    for (uint32_t i = 0; i < t->head->merges; i++) {
        gt_text_addf(text, i ? ",\n      [\n        " : "\n      [\n        "); /* laid out as published files are */
        add_piece(text, t, t->merge[i].left);
        gt_text_addf(text, ",\n        ");
        add_piece(text, t, t->merge[i].right);
        gt_text_addf(text, "\n      ]");
    }
    gt_text_addf(text, "]}\n");
}

void gt_tokenizer_write_json(gt_text *text, const gt_tokenizer *t)
{
    gt_text_addf(text, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n");
    add_added_tokens(text, t);
    gt_text_addf(
        text,
        " \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xe2\x96\x81\"},\n");
    gt_text_addf(text, " \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, \"behavior\": "
                       "\"MergedWithPrevious\", \"invert\": false},\n");
    add_post_processor(text, t);
    gt_text_addf(
        text, " \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": "
              "\"\xe2\x96\x81\"}, \"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}]},\n");
    add_model(text, t);
    gt_text_addf(text, "}\n");
}

gt_status gt_tokenizer_write_config(gt_text *text, const gt_tokenizer *t)
{
    const gt_tokenizer_specials *s = &t->specials;
    const struct {
        const char *key;
        int32_t id;
    } named[] = {{"bos_token", s->bos}, {"eos_token", s->eos}, {"pad_token", s->pad}, {"unk_token", s->unk}};
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    gt_json_add_bool(&w, root, "add_bos_token", s->add_bos);
    gt_json_add_bool(&w, root, "add_eos_token", s->add_eos);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        size_t size;
        const char *piece = gt_tokenizer_piece(t, named[i].id, &size);
        if (piece) gt_json_add_bytes(&w, root, named[i].key, piece, size);
    }
    gt_json_add_bool(&w, root, "clean_up_tokenization_spaces", false);
    gt_json_add_raw(&w, root, "model_max_length", "1000000000000000019884624838656"); /* int(1e30): no limit */
    gt_json_add_bool(&w, root, "spaces_between_special_tokens", false);
    gt_json_add_text(&w, root, "tokenizer_class", "PreTrainedTokenizerFast");
    return gt_json_end(&w, text, GT_JSON_PAGE, "tokenizer_config.json");
}
