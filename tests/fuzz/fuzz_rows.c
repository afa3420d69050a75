/* fuzz_rows.c - any bytes as a file of rows: the first byte chooses CSV or JSON lines and the options. Under the policy
 * "skip" a load may only fail because no good row is left; under "fail" it gives the same samples where none is bad. */
#include "fuzz.h"

#include "samples.h"
#include "log.h"

#include <string.h>

/* 256 byte pieces, a few letters and Gemma's control tokens, as a GGUF would hold them. */
static gt_tokenizer *make_tokenizer(void)
{
    static const char *const words[] = {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>",   "\n",
                                        "a",     "b",     "c",     "ab",    "\xe2\x96\x81",    "\xe2\x96\x81\x61"};
    static const int types[] = {3, 3, 3, 3, 3, 3, 4, 1, 1, 1, 1, 1, 1};
    enum { WORDS = sizeof words / sizeof *words, COUNT = WORDS + 256 };
    static char bytes[256][8];
    const char *piece[COUNT];
    size_t size[COUNT];
    float score[COUNT];
    int32_t type[COUNT];
    for (int i = 0; i < COUNT; i++) {
        const int byte = i - WORDS;
        if (byte >= 0) snprintf(bytes[byte], sizeof bytes[byte], "<0x%02X>", (unsigned)byte);
        piece[i] = byte >= 0 ? bytes[byte] : words[i];
        size[i] = strlen(piece[i]);
        score[i] = -(float)i;
        type[i] = byte >= 0 ? 6 : types[i];
    }
    gt_tokenizer *t;
    if (gt_tokenizer_from_vocab(&t, &(gt_vocab){piece, size, score, type, COUNT}, "fuzz") != GT_OK) {
        fprintf(stderr, "%s\n", gt_error_last()->message);
        abort();
    }
    return t;
}

static void check_samples(const gt_samples *s, const gt_load_options *o)
{
    uint64_t tokens = 0, supervised = 0;
    FUZZ_CHECK(s->count + s->rows_refused + s->rows_unsupervised == s->rows_read);
    for (size_t i = 0; i < s->count; i++) {
        const gt_sample *a = &s->sample[i];
        int labels = 0;
        FUZZ_CHECK(a->n > 0 && a->label[0] == 0 && a->prompt_tokens >= 0 && a->prompt_tokens <= a->n);
        FUZZ_CHECK(o->max_length == 0 || a->n <= o->max_length);
        FUZZ_CHECK(a->row < s->rows_read && (i == 0 || a->row > s->sample[i - 1].row));
        for (int p = 0; p < a->n; p++) {
            FUZZ_CHECK(a->ids[p] >= 0 && a->label[p] <= 1);
            labels += a->label[p];
        }
        FUZZ_CHECK(labels == a->supervised && (labels > 0 || o->keep_unsupervised));
        FUZZ_CHECK(a->choices == 0 || (a->answer >= 0 && a->answer < a->choices));
        tokens += (uint64_t)a->n;
        supervised += (uint64_t)labels;
    }
    FUZZ_CHECK(tokens == s->tokens && supervised == s->supervised);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gt_tokenizer *tok;
    if (!tok) {
        setenv("GT_LOG", "error", 1);
        gt_log_init(-1);
        tok = make_tokenizer();
    }
    if (size == 0) return 0;
    const unsigned choice = data[0];
    const char *path = fuzz_file(data + 1, size - 1, choice & 1 ? ".csv" : ".jsonl");
    gt_load_options o = {.path = &path,
                         .paths = 1,
                         .max_length = choice & 2 ? 20 : 0,
                         .supervise = (gt_supervise)((choice >> 2) % 3),
                         .assistant_only = (choice & 16) != 0,
                         .parse_special = (choice & 32) != 0,
                         .keep_unsupervised = (choice & 64) != 0,
                         .skip_bad_rows = true};
    gt_samples skipped, strict;
    const gt_status st = gt_samples_load(&skipped, &o, tok);
    FUZZ_CHECK(st == GT_OK || st == GT_ERR_DATA);
    o.skip_bad_rows = false;
    const gt_status st_strict = gt_samples_load(&strict, &o, tok);
    FUZZ_CHECK(st_strict == GT_OK || st_strict == GT_ERR_DATA);
    FUZZ_CHECK(st == GT_OK || st_strict != GT_OK);
    if (st == GT_OK) {
        check_samples(&skipped, &o);
        FUZZ_CHECK((skipped.rows_refused == 0) == (st_strict == GT_OK));
    }
    if (st_strict == GT_OK) {
        FUZZ_CHECK(memcmp(strict.sha256, skipped.sha256, 32) == 0);
        gt_samples_free(&strict);
    }
    if (st == GT_OK) gt_samples_free(&skipped);
    return 0;
}
