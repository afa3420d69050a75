#include "hf_folder.h"

#include "fs.h"
#include "json_write.h"
#include "tokenizer_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gt_hf_prefix(const gt_model_config *c)
{
    return c->bidirectional ? "" : "model.";
}

static uint64_t bytes_of(const gt_hf_tensor *t)
{
    uint64_t n = (uint64_t)gt_dtype_block_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

/* Tensors [begin, *end) go into one file. */
static size_t shard_end(const gt_hf_tensor *t, size_t begin, size_t count, uint64_t limit)
{
    uint64_t sum = 0;
    size_t end = begin;
    while (end < count && (end == begin || sum + bytes_of(&t[end]) <= limit)) sum += bytes_of(&t[end++]);
    return end;
}

static gt_status write_sorted(const char *path, const gt_hf_tensor *t, size_t count, const char *const *metadata,
                              gt_hf_produce produce, void *user)
{
    gt_safetensor_spec *spec = calloc(count + 1, sizeof *spec);
    if (!spec) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu tensors", path, count);
    for (size_t i = 0; i < count; i++)
        spec[i] = (gt_safetensor_spec){t[i].name, t[i].dtype, t[i].rank, {t[i].shape[0], t[i].shape[1]}};
    gt_safetensors_writer *w = NULL;
    gt_status st = gt_safetensors_create(&w, path, spec, count, metadata);
    free(spec);
    if (st != GT_OK) return st;
    for (size_t i = 0; st == GT_OK && i < count; i++) st = produce(user, &t[i], w);
    if (st == GT_OK) return gt_safetensors_publish(w);
    gt_safetensors_abandon(w);
    return st;
}

/* The order of the safetensors library: the widest elements first, then by name; so everything lies aligned. */
static int by_width_and_name(const void *a, const void *b)
{
    const gt_hf_tensor *x = a, *y = b;
    const int wide = gt_dtype_block_bytes(x->dtype), other = gt_dtype_block_bytes(y->dtype);
    return wide != other ? other - wide : strcmp(x->name, y->name);
}

static gt_status write_file(const char *path, const gt_hf_tensor *t, size_t count, const char *const *metadata,
                            gt_hf_produce produce, void *user)
{
    gt_hf_tensor *sorted = malloc(count * sizeof *sorted);
    if (!sorted) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu tensors", path, count);
    memcpy(sorted, t, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_width_and_name);
    const gt_status st = write_sorted(path, sorted, count, metadata, produce, user);
    free(sorted);
    return st;
}

/* The file name of shard i of n, from 0. */
static void shard_name(char out[64], size_t i, size_t n)
{
    if (n == 1)
        snprintf(out, 64, "model.safetensors");
    else
        snprintf(out, 64, "model-%05zu-of-%05zu.safetensors", i + 1, n);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const gt_hf_tensor *const *)a)->name, (*(const gt_hf_tensor *const *)b)->name);
}

static gt_status write_bytes(const char *folder, const char *name, const char *data, size_t size)
{
    char *path = gt_fs_join(folder, name);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
    const gt_status st = gt_fs_write(path, data, size);
    free(path);
    return st;
}

static gt_status write_text(const char *folder, const char *name, const gt_text *t)
{
    if (t->failed) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a %s", folder, name);
    return write_bytes(folder, name, t->data, t->size);
}

/* The index of a model in shards: which file holds which tensor, sorted by name. */
static gt_status print_index(gt_text *out, const gt_hf_tensor *const *sorted, const gt_hf_tensor *t,
                             const size_t *shard, size_t count, size_t shards)
{
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += bytes_of(&t[i]);
    gt_json_add_int(&w, gt_json_add_object(&w, root, "metadata"), "total_size", (int64_t)total);
    gt_json_node *map = gt_json_add_object(&w, root, "weight_map");
    for (size_t i = 0; i < count; i++) {
        char file[64];
        shard_name(file, shard[sorted[i] - t], shards);
        gt_json_add_text(&w, map, sorted[i]->name, file);
    }
    return gt_json_end(&w, out, GT_JSON_PAGE, "model.safetensors.index.json");
}

static gt_status write_index(const char *folder, const gt_hf_tensor *t, size_t count, uint64_t limit, size_t shards)
{
    const gt_hf_tensor **sorted = calloc(count, sizeof *sorted);
    size_t *shard = calloc(count, sizeof *shard), number = 0, end = 0;
    gt_text text = {0};
    gt_status st = GT_OK;
    if (!sorted || !shard) st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for an index of %zu tensors", folder, count);
    for (size_t i = 0; st == GT_OK && i < count; i++) {
        if (i == end) {
            end = shard_end(t, i, count, limit);
            number++;
        }
        sorted[i] = &t[i];
        shard[i] = number - 1;
    }
    if (st == GT_OK) {
        qsort(sorted, count, sizeof *sorted, by_name);
        st = print_index(&text, sorted, t, shard, count, shards);
    }
    if (st == GT_OK) st = write_text(folder, "model.safetensors.index.json", &text);
    gt_text_free(&text);
    free(sorted);
    free(shard);
    return st;
}

gt_status gt_hf_write_tensors(const char *folder, const gt_hf_tensor *t, size_t count, uint64_t shard_bytes,
                              const char *const *metadata, gt_hf_produce produce, void *user)
{
    size_t shards = 0, i = 0;
    for (size_t begin = 0; begin < count; begin = shard_end(t, begin, count, shard_bytes)) shards++;
    for (size_t begin = 0; begin < count; i++) {
        const size_t end = shard_end(t, begin, count, shard_bytes);
        char name[64];
        shard_name(name, i, shards);
        char *path = gt_fs_join(folder, name);
        if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", folder);
        const gt_status st = write_file(path, t + begin, end - begin, metadata, produce, user);
        free(path);
        GT_TRY(st);
        begin = end;
    }
    return shards > 1 ? write_index(folder, t, count, shard_bytes, shards) : GT_OK;
}

/* Small files. */

static gt_status copy_file(const char *from, const char *to, const char *name)
{
    char *path = gt_fs_join(from, name);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a path", from);
    gt_map map = {0};
    gt_status st = GT_OK;
    if (gt_fs_exists(path)) {
        st = gt_map_open(&map, path);
        if (st == GT_OK) st = write_bytes(to, name, (const char *)map.data, map.size);
        gt_map_close(&map);
    }
    free(path);
    return st;
}

static gt_status write_generation_config(const char *folder, const gt_model_config *c)
{
    gt_text text = {0};
    gt_json_writer w = {0};
    gt_json_node *root = gt_json_begin(&w);
    gt_json_add_int(&w, root, "bos_token_id", c->bos_id);
    gt_json_add_bool(&w, root, "do_sample", true);
    gt_json_node *eos = gt_json_add_array(&w, root, "eos_token_id");
    for (int i = 0; i < c->eos_count; i++) gt_json_add_int(&w, eos, NULL, c->eos_id[i]);
    gt_json_add_int(&w, root, "pad_token_id", c->pad_id);
    gt_json_add_real(&w, root, "temperature", 1);
    gt_json_add_int(&w, root, "top_k", 64);
    gt_json_add_real(&w, root, "top_p", 0.95);
    gt_status st = gt_json_end(&w, &text, GT_JSON_PAGE, folder);
    if (st == GT_OK) st = write_text(folder, "generation_config.json", &text);
    gt_text_free(&text);
    return st;
}

static gt_status write_tokenizer(const char *folder, const gt_tokenizer *tokenizer)
{
    gt_text json = {0}, config = {0};
    gt_tokenizer_write_json(&json, tokenizer);
    gt_status st = gt_tokenizer_write_config(&config, tokenizer);
    if (st == GT_OK) st = write_text(folder, "tokenizer.json", &json);
    if (st == GT_OK) st = write_text(folder, "tokenizer_config.json", &config);
    gt_text_free(&json);
    gt_text_free(&config);
    return st;
}

gt_status gt_hf_write_small_files(const char *folder, const gt_weights *w, const gt_text *config,
                                  const gt_tokenizer *tokenizer)
{
    static const char *const copied[] = {"generation_config.json", "tokenizer.json",          "tokenizer_config.json",
                                         "tokenizer.model",        "special_tokens_map.json", "added_tokens.json",
                                         "chat_template.jinja",    "chat_template.json"};
    GT_TRY(write_text(folder, "config.json", config));
    if (gt_fs_is_dir(w->path)) {
        for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) GT_TRY(copy_file(w->path, folder, copied[i]));
        return GT_OK;
    }
    GT_TRY(write_generation_config(folder, &w->config));
    return tokenizer ? write_tokenizer(folder, tokenizer) : GT_OK;
}
