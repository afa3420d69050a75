#include "tokenizer_files.h"

#include "detok.h"
#include "fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *gemma_tokenizer_json(size_t *size)
{
    static const char path[] = GT_SHARED_DIR "/data/gemma3-tokenizer/tokenizer.json.xz";
    if (access(path, R_OK) != 0) {
        print_message("SKIP: %s is absent\n", path);
        skip();
    }
    FILE *f = popen("xz -dc '" GT_SHARED_DIR "/data/gemma3-tokenizer/tokenizer.json.xz' 2>/dev/null", "r");
    gt_text all = {0};
    static char buffer[1 << 16];
    for (size_t got; f && (got = fread(buffer, 1, sizeof buffer, f)) > 0;) gt_text_add(&all, buffer, got);
    if (!f || pclose(f) != 0 || all.size == 0) {
        print_message("SKIP: xz is not there to unpack %s\n", path);
        skip();
    }
    assert_false(all.failed);
    *size = all.size;
    return all.data;
}

static gt_tokenizer *shared;

static void free_shared(void)
{
    gt_tokenizer_free(shared);
}

const gt_tokenizer *gemma_tokenizer(void)
{
    if (!shared) {
        size_t size;
        char *text = gemma_tokenizer_json(&size);
        assert_ok(gt_tokenizer_from_json(&shared, text, size, "tokenizer.json"));
        free(text);
        atexit(free_shared);
    }
    return shared;
}

static void add_vocab(gt_text *j, const char *piece, int id)
{
    gt_text_addf(j, "%s", id ? "," : "");
    gt_text_add_json_string(j, piece, strlen(piece));
    gt_text_addf(j, ":%d", id);
}

static void add_added(gt_text *j, const char *content, int id, bool special)
{
    gt_text_addf(j, "%s{\"id\":%d,\"content\":", id ? "," : "", id);
    gt_text_add_json_string(j, content, strlen(content));
    gt_text_addf(j, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":%s}",
                 special ? "true" : "false");
}

char *small_tokenizer_json(const char *extra)
{
    static const char *const added[] = {"<pad>",
                                        "<eos>",
                                        "<bos>",
                                        "<unk>",
                                        "<start_of_turn>",
                                        "<end_of_turn>",
                                        "<start_of_image>",
                                        "<mask>",
                                        "[multimodal]",
                                        "<unused7>",
                                        "\n",
                                        "\n\n",
                                        "<b>"};
    static const char *const merged[] = {"ab", "\xE2\x96\x81\x61",         "abc",
                                         "cd", "\xE2\x96\x81\xE2\x96\x81", "\xEA\xB0\x80\xEB\x82\x98"};
    static const char *const merges[] = {"[\"\xE2\x96\x81\",\"\xE2\x96\x81\"]",
                                         "[\"a\",\"b\"]",
                                         "[\"\xE2\x96\x81\",\"a\"]",
                                         "[\"ab\",\"c\"]",
                                         "[\"c\",\"d\"]",
                                         "[\"\xEA\xB0\x80\",\"\xEB\x82\x98\"]"};
    static const char *const single[] = {"a",           "b", "c", "d", "e", "\xE2\x96\x81", "<", ">", "\xEA\xB0\x80",
                                         "\xEB\x82\x98"};
    gt_text j = {0};
    int id = 0;
    gt_text_addf(&j, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) add_added(&j, added[i], (int)i, i < 7);
    gt_text_addf(
        &j,
        "%s],\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"},"
        "\"pre_tokenizer\":null,\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
        "{\"id\":\"<bos>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]},\"decoder\":{\"type\":"
        "\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},"
        "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]},\"model\":{\"type\":\"BPE\",\"dropout\":null,"
        "\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merges\":false,\"vocab\":{",
        extra);
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) add_vocab(&j, added[i], id++);
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        add_vocab(&j, name, id++);
    }
    for (size_t i = 0; i < sizeof merged / sizeof *merged; i++) add_vocab(&j, merged[i], id++);
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) add_vocab(&j, single[i], id++);
    gt_text_addf(&j, "},\"merges\":[");
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) gt_text_addf(&j, "%s%s", i ? "," : "", merges[i]);
    gt_text_addf(&j, "]}}");
    assert_false(j.failed);
    return j.data;
}

gt_tokenizer *small_tokenizer(void)
{
    char *json = small_tokenizer_json("");
    gt_tokenizer *t;
    assert_ok(gt_tokenizer_from_json(&t, json, strlen(json), "small"));
    free(json);
    return t;
}

size_t for_each_line(const char *path, const gt_tokenizer *t, check_line check)
{
    char *text;
    size_t size, number = 0;
    assert_ok(gt_fs_read(&text, &size, path, 1 << 28));
    for (char *line = text; line < text + size; number++) {
        char *end = memchr(line, '\n', (size_t)(text + size - line));
        if (!end) end = text + size;
        gt_json_doc *doc;
        assert_ok(gt_json_parse(&doc, line, (size_t)(end - line), path));
        check(t, gt_json_root(doc), number + 1);
        gt_json_free(doc);
        line = end + 1;
    }
    free(text);
    return number;
}

bool ids_equal(const int32_t *ids, size_t count, const gt_json *want)
{
    bool equal = want->count == count;
    size_t i = 0;
    for (const gt_json *v = want->child; equal && v; v = v->next) equal = v->integer == ids[i++];
    if (equal) return true;
    print_message("got ");
    for (i = 0; i < count && i < 60; i++) print_message(" %d", ids[i]);
    print_message("\nwant");
    i = 0;
    for (const gt_json *v = want->child; v && i < 60; v = v->next, i++) print_message(" %lld", (long long)v->integer);
    print_message("\n");
    return false;
}

void check_golden_text(const gt_tokenizer *t, const gt_json *line, size_t number)
{
    const gt_json *text = gt_json_get(line, "text"), *want = gt_json_get(line, "ids");
    const gt_json *decoded = gt_json_get(line, "decoded");
    gt_ids ids = {0};
    assert_ok(gt_tokenizer_encode(t, text->string, text->length, GT_ENCODE_ADD_BOS | GT_ENCODE_PARSE_SPECIAL, &ids));
    if (!ids_equal(ids.id, ids.count, want)) fail_msg("case %zu: '%s'", number, text->string);
    char *back;
    size_t size;
    assert_ok(gt_tokenizer_decode(t, ids.id + 1, ids.count - 1, false, &back, &size));
    if (size != decoded->length || memcmp(back, decoded->string, size) != 0)
        fail_msg("case %zu decodes to '%s', expected '%s'", number, back, decoded->string);
    free(back);
    gt_ids_free(&ids);
}
