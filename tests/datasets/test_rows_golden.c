/* Real rows: MedQA's published files and the reference's token ids. */
#include "row_files.h"
#include "tokenizer_files.h"

#include "fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t golden_count;

static void keep_line(const gt_tokenizer *t, const gt_json *line, size_t number)
{
    (void)t;
    (void)number;
    gt_text copy = {0}; /* messages alone, so that the tokens are made here */
    const gt_json *m = gt_json_get(line, "messages");
    gt_text_addf(&copy, "{\"messages\":[");
    for (const gt_json *v = m->child; v; v = v->next) {
        gt_text_addf(&copy, "%s{\"role\":", v == m->child ? "" : ",");
        gt_text_add_json_string(&copy, gt_json_get(v, "role")->string, gt_json_get(v, "role")->length);
        gt_text_addf(&copy, ",\"content\":");
        gt_text_add_json_string(&copy, gt_json_get(v, "content")->string, gt_json_get(v, "content")->length);
        gt_text_addf(&copy, "}");
    }
    gt_text_addf(&copy, "]}");
    gt_samples s;
    assert_ok(load_rows(&s, row_file("golden.jsonl", copy.data, copy.size), gemma_tokenizer(), NULL));
    assert_int_equal(s.count, 1);
    assert_true(ids_equal(s.sample[0].ids, (size_t)s.sample[0].n, gt_json_get(line, "ids")));
    assert_int_equal(s.sample[0].prompt_tokens, gt_json_get(line, "prompt_tokens")->integer);
    for (int p = 0; p < s.sample[0].n; p++) assert_int_equal(s.sample[0].label[p], p >= s.sample[0].prompt_tokens);
    gt_samples_free(&s);
    gt_text_free(&copy);
    golden_count++;
}

static void golden_chats_give_the_references_ids_and_labels(void **state)
{
    (void)state;
    golden_count = 0;
    for_each_line(golden("270m/medqa_nll_gguf_f32.jsonl"), NULL, keep_line);
    assert_int_equal(golden_count, 40);
}

static bool same_ids(const gt_sample *s, const gt_json *ids)
{
    if ((uint32_t)s->n != ids->count) return false;
    int p = 0;
    for (const gt_json *v = ids->child; v; v = v->next)
        if (s->ids[p++] != v->integer) return false;
    return true;
}

static gt_samples medqa;
static size_t found;

static void find_in_medqa(const gt_tokenizer *t, const gt_json *line, size_t number)
{
    (void)t;
    const gt_json *ids = gt_json_get(line, "ids");
    for (size_t i = 0; i < medqa.count; i++) {
        const gt_sample *s = &medqa.sample[i];
        if (!same_ids(s, ids)) continue;
        if (s->prompt_tokens != gt_json_get(line, "prompt_tokens")->integer) fail_msg("row %zu: prompt_tokens", number);
        found++;
        return;
    }
    fail_msg("golden row %zu is not among MedQA's rows as read here", number);
}

static void medqas_own_file_gives_the_same_rows_through_the_choice_formatter(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s/data/medqa/US_5_options_test.jsonl", GT_SHARED_DIR);
    if (!gt_fs_exists(path)) {
        print_message("SKIP: %s is absent\n", path);
        skip();
    }
    const char *rows = golden("270m/medqa_nll_gguf_f32.jsonl");
    assert_ok(load_rows(&medqa, path, gemma_tokenizer(), NULL));
    assert_int_equal(medqa.count, 1273);
    for (size_t i = 0; i < medqa.count; i++) {
        assert_int_equal(medqa.sample[i].choices, 5);
        assert_int_equal(medqa.sample[i].row, i);
        /* the answer's first token is its letter */
        size_t size;
        const char *piece =
            gt_tokenizer_piece(gemma_tokenizer(), medqa.sample[i].ids[medqa.sample[i].prompt_tokens], &size);
        assert_int_equal(size, 1);
        assert_int_equal(piece[0], 'A' + medqa.sample[i].answer);
    }
    found = 0;
    for_each_line(rows, NULL, find_in_medqa);
    assert_int_equal(found, 40);
    gt_samples_free(&medqa);
}

/* The vectors of the tokenizer's specification, with <eos> behind plain text. */
static void plain_text_ends_with_eos(void **state)
{
    (void)state;
    gt_samples s;
    const char *path =
        row_text("text.jsonl", "{\"text\":\"Hello world\"}\n{\"prompt\":\"Hello\",\"completion\":\" world\"}\n");
    assert_ok(load_rows(&s, path, gemma_tokenizer(), NULL));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(s.sample[i].n, 4);
        assert_memory_equal(s.sample[i].ids, ((int32_t[]){2, 9259, 1902, 1}), 16);
    }
    assert_memory_equal(s.sample[0].label, ((uint8_t[]){0, 1, 1, 1}), 4);
    assert_memory_equal(s.sample[1].label, ((uint8_t[]){0, 0, 1, 1}), 4);
    gt_samples_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_chats_give_the_references_ids_and_labels),
        cmocka_unit_test(medqas_own_file_gives_the_same_rows_through_the_choice_formatter),
        cmocka_unit_test(plain_text_ends_with_eos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
