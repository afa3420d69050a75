#include "tokenizer_source.h"

#include "fs.h"
#include "hub.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES = 16 << 20, JSON_BYTES = 1 << 30 };

static gt_status apply_config(gt_tokenizer *t, const char *path)
{
    char *text;
    size_t size;
    if (!gt_fs_exists(path)) return GT_OK;
    GT_TRY(gt_fs_read(&text, &size, path, CONFIG_BYTES));
    gt_status st = gt_tokenizer_apply_config(t, text, size, path);
    free(text);
    return st;
}

static gt_status from_folder(gt_tokenizer **out, const char *folder)
{
    char *json = gt_fs_join(folder, "tokenizer.json"), *config = gt_fs_join(folder, "tokenizer_config.json");
    gt_tokenizer *t = NULL;
    gt_status st = GT_OK;
    if (!json || !config) st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    if (st == GT_OK && gt_fs_exists(json)) {
        gt_map map = {0};
        st = gt_map_open(&map, json);
        if (st == GT_OK && map.size > JSON_BYTES)
            st = GT_FAIL(GT_ERR_DATA, "%s is %zu bytes; a tokenizer.json is at most %d", json, map.size, JSON_BYTES);
        if (st == GT_OK) st = gt_tokenizer_from_json(&t, (const char *)map.data, map.size, json);
        gt_map_close(&map);
        if (st == GT_OK) st = apply_config(t, config);
    }
    free(json);
    free(config);
    if (st == GT_OK)
        *out = t;
    else
        gt_tokenizer_free(t);
    return st;
}

/* The folder of a path that names its tokenizer.json, malloc'ed; NULL if it names something else. */
static char *folder_of_json(const char *path)
{
    static const char name[] = "tokenizer.json";
    size_t n = strlen(path), m = sizeof name - 1;
    if (n < m || strcmp(path + n - m, name) != 0) return NULL;
    if (n == m) return strdup(".");
    return path[n - m - 1] == '/' ? strndup(path, n - m) : NULL;
}

static gt_status from_file(gt_tokenizer **out, const char *path)
{
    char *folder = folder_of_json(path);
    if (!folder) return GT_FAIL(GT_ERR_DATA, "%s: a model is a folder or a .gguf or .gtq file", path);
    gt_status st = from_folder(out, folder);
    free(folder);
    return st;
}

gt_status gt_tokenizer_source_open(gt_tokenizer **out, const char *model)
{
    char *path;
    bool folder;
    gt_tokenizer *t = NULL;
    GT_TRY(gt_model_resolve(&path, &folder, model));
    gt_status st = folder ? from_folder(&t, path) : from_file(&t, path);
    free(path);
    if (st == GT_OK) *out = t;
    return st;
}

gt_status gt_tokenizer_source_need(gt_tokenizer **out, const char *model)
{
    gt_tokenizer *t;
    GT_TRY(gt_tokenizer_source_open(&t, model));
    if (!t)
        return GT_FAIL(GT_ERR_CONFIG,
                       "%s brings no tokenizer: put its tokenizer.json beside the weights, or use rows of ids", model);
    *out = t;
    return GT_OK;
}
