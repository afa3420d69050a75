#include "row_files.h"

#include "fs.h"
#include "tokenizer_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *row_file(const char *name, const void *bytes, size_t size)
{
    static char ring[8][1200], folder[1024];
    static int turn, made;
    char *path = ring[turn++ % 8];
    if (!made) snprintf(folder, sizeof folder, "%s", temp_dir());
    snprintf(path, sizeof ring[0], "%s/%d-%.100s", folder, made++, name);
    assert_ok(gt_fs_write(path, bytes, size));
    return path;
}

const char *row_text(const char *name, const char *text)
{
    return row_file(name, text, strlen(text));
}

static gt_tokenizer *small;
static void free_small(void)
{
    gt_tokenizer_free(small);
}

const gt_tokenizer *shared_small_tokenizer(void)
{
    if (!small) {
        small = small_tokenizer();
        atexit(free_small);
    }
    return small;
}

gt_status load_rows(gt_samples *out, const char *path, const gt_tokenizer *tok, const gt_load_options *o)
{
    gt_load_options options = o ? *o : (gt_load_options){0};
    options.path = &path;
    options.paths = 1;
    return gt_samples_load(out, &options, tok);
}

gt_status load_row(gt_samples *out, const char *json, const gt_load_options *o)
{
    return load_rows(out, row_text("row.jsonl", json), shared_small_tokenizer(), o);
}
