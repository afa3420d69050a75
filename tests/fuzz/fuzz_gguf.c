/* fuzz_gguf.c - any bytes: read whole or refused; as metadata, as a config, as a base and as a vocabulary. */
#include "fuzz.h"

#include "gguf.h"
#include "gguf_config.h"
#include "tokenizer_source.h"
#include "weights_sources.h"

#include <string.h>

static volatile unsigned sink; /* so that the reads stay */

static void read_range(const void *p, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((const uint8_t *)p)[i];
    sink = sum;
}

static void read_keys(const gt_gguf *g)
{
    for (size_t i = 0; i < gt_gguf_key_count(g); i++) {
        gt_gguf_type type;
        const char *key = gt_gguf_key_at(g, i, &type), *text;
        int64_t n = 0;
        double d = 0;
        bool b = false;
        size_t size;
        gt_gguf_array a;
        FUZZ_CHECK(gt_gguf_has(g, key));
        (void)gt_gguf_get_int(g, key, &n);
        (void)gt_gguf_get_double(g, key, &d);
        (void)gt_gguf_get_bool(g, key, &b);
        if (gt_gguf_get_string(g, key, &text, &size) == GT_OK) read_range(text, size);
        if (gt_gguf_get_array(g, key, &a) != GT_OK || a.count > 65536) continue;
        int32_t *ints = calloc((size_t)a.count + 1, 4);
        if (!ints) abort();
        (void)gt_gguf_copy_i32(g, key, ints, (size_t)a.count);
        (void)gt_gguf_copy_f32(g, key, (float *)(void *)ints, (size_t)a.count);
        free(ints);
        if (a.type != GT_GGUF_STRING) continue;
        for (uint64_t k = 0; k < a.count; k++) {
            gt_gguf_next_string(&a, &text, &size);
            read_range(text, size);
        }
    }
}

static void open_as_base(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size, ".gguf");
    gt_weights *w = NULL;
    if (gt_weights_open(&w, path) == GT_OK) {
        char hex[65];
        FUZZ_CHECK(gt_weights_identity(w, hex) == GT_OK); /* reads everything */
        gt_weights_close(w);
    }
    gt_tokenizer *t = NULL;
    if (gt_tokenizer_source_open(&t, path) == GT_OK) gt_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1); /* aligned as a mapping is */
    gt_gguf *g = NULL;
    if (!copy) abort();
    if (size) memcpy(copy, data, size);
    const bool good = gt_gguf_open_bytes(&g, copy, size, "input") == GT_OK;
    if (good) {
        for (size_t i = 0; i < gt_gguf_count(g); i++) {
            const gt_gguf_tensor *t = gt_gguf_at(g, i);
            FUZZ_CHECK(gt_gguf_find(g, t->name) == t);
            read_range(t->data, t->bytes);
        }
        read_keys(g);
        gt_model_config c;
        (void)gt_model_config_from_gguf(&c, g);
    }
    gt_gguf_close(g);
    free(copy);
    if (good) open_as_base(data, size);
    return 0;
}
