/* The header is complete before the first byte of data: shapes alone decide where everything lies. Its text is printed
 * here and not by a library, because 64-bit offsets must be exact; spaces fill it up so that the data are aligned. */
#include "safetensors.h"

#include "checked.h"
#include "fs.h"
#include "json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct gt_safetensors_writer {
    gt_new_file file;
    char *path;
    size_t left; /* data bytes still to come */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gt_status check_names(const gt_safetensor_spec *spec, size_t count, const char *path)
{
    const char **names = calloc(count + 1, sizeof *names);
    if (!names) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu names", path, count);
    for (size_t i = 0; i < count; i++) names[i] = spec[i].name;
    qsort(names, count, sizeof *names, by_name);
    const char *twice = NULL;
    for (size_t i = 1; i < count; i++)
        if (strcmp(names[i - 1], names[i]) == 0) twice = names[i];
    gt_status st = twice ? GT_FAIL(GT_ERR_ARG, "%s: tensor '%.200s' is declared twice", path, twice) : GT_OK;
    free(names);
    return st;
}

static gt_status spec_bytes(const gt_safetensor_spec *t, size_t *bytes, const char *path)
{
    if (gt_dtype_block_elements(t->dtype) != 1 || t->rank < 0 || t->rank > GT_SAFETENSORS_MAX_RANK)
        return GT_FAIL(GT_ERR_ARG, "%s: tensor '%.200s' of dtype %s and rank %d cannot be written", path, t->name,
                       gt_dtype_name(t->dtype), t->rank);
    size_t n = (size_t)gt_dtype_block_bytes(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (!gt_mul_size(n, (size_t)t->shape[i], &n))
            return GT_FAIL(GT_ERR_ARG, "%s: tensor '%.200s': its size overflows", path, t->name);
    *bytes = n;
    return GT_OK;
}

static void add_metadata(gt_text *text, const char *const *metadata)
{
    gt_text_addf(text, "{\"__metadata__\":{\"format\":\"pt\"");
    for (; metadata && metadata[0]; metadata += 2) {
        gt_text_addf(text, ",");
        gt_text_add_json_string(text, metadata[0], strlen(metadata[0]));
        gt_text_addf(text, ":");
        gt_text_add_json_string(text, metadata[1], strlen(metadata[1]));
    }
    gt_text_addf(text, "}");
}

/* The header with its length in front; the data begin 8-byte aligned. */
static gt_status make_header(gt_text *text, size_t *total, const char *path, const gt_safetensor_spec *spec,
                             size_t count, const char *const *metadata)
{
    size_t end = 0;
    gt_text_add(text, "\0\0\0\0\0\0\0\0", 8);
    add_metadata(text, metadata);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = 0, begin = end;
        GT_TRY(spec_bytes(&spec[i], &bytes, path));
        if (!gt_add_size(end, bytes, &end)) return GT_FAIL(GT_ERR_ARG, "%s: the sum of its tensors overflows", path);
        gt_text_addf(text, ",");
        gt_text_add_json_string(text, spec[i].name, strlen(spec[i].name));
        gt_text_addf(text, ":{\"dtype\":\"%s\",\"shape\":[", gt_dtype_name(spec[i].dtype));
        for (int d = 0; d < spec[i].rank; d++) gt_text_addf(text, "%s%" PRIu64, d ? "," : "", spec[i].shape[d]);
        gt_text_addf(text, "],\"data_offsets\":[%zu,%zu]}", begin, end);
    }
    gt_text_addf(text, "}");
    while (!text->failed && text->size % 8 != 0) gt_text_addf(text, " ");
    if (text->failed) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a header of %zu tensors", path, count);
    uint64_t n = text->size - 8;
    if (n > GT_SAFETENSORS_MAX_HEADER)
        return GT_FAIL(GT_ERR_ARG, "%s: a header of %" PRIu64 " bytes is over the limit of %d", path, n,
                       GT_SAFETENSORS_MAX_HEADER);
    for (int i = 0; i < 8; i++) text->data[i] = (char)(n >> (8 * i));
    *total = end;
    return GT_OK;
}

gt_status gt_safetensors_create(gt_safetensors_writer **out, const char *path, const gt_safetensor_spec *spec,
                                size_t count, const char *const *metadata)
{
    gt_text text = {0};
    gt_safetensors_writer *w = calloc(1, sizeof *w);
    if (!w) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a writer", path);
    gt_status st = check_names(spec, count, path);
    if (st == GT_OK) st = make_header(&text, &w->left, path, spec, count, metadata);
    if (st == GT_OK && !(w->path = strdup(path))) st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a writer", path);
    if (st == GT_OK) {
        st = gt_new_file_open(&w->file, path);
        if (st == GT_OK && (st = gt_new_file_write(&w->file, text.data, text.size)) != GT_OK)
            gt_new_file_abandon(&w->file);
    }
    gt_text_free(&text);
    if (st != GT_OK) {
        free(w->path);
        free(w);
        return st;
    }
    *out = w;
    return GT_OK;
}

gt_status gt_safetensors_write(gt_safetensors_writer *w, const void *data, size_t bytes)
{
    if (bytes > w->left)
        return GT_FAIL(GT_ERR_ARG, "%s: %zu more bytes than its tensors hold", w->path, bytes - w->left);
    GT_TRY(gt_new_file_write(&w->file, data, bytes));
    w->left -= bytes;
    return GT_OK;
}

gt_status gt_safetensors_publish(gt_safetensors_writer *w)
{
    if (w->left != 0) {
        gt_status st = GT_FAIL(GT_ERR_ARG, "%s: %zu bytes of its tensors were not written", w->path, w->left);
        gt_safetensors_abandon(w);
        return st;
    }
    gt_status st = gt_new_file_publish(&w->file);
    free(w->path);
    free(w);
    return st;
}

void gt_safetensors_abandon(gt_safetensors_writer *w)
{
    if (!w) return;
    gt_new_file_abandon(&w->file);
    free(w->path);
    free(w);
}
