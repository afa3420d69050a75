#include "gguf_image.h"

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gguf_image_free(gguf_image *m)
{
    free(m->bytes);
    memset(m, 0, sizeof *m);
}

void gguf_put(gguf_image *m, const void *bytes, size_t size)
{
    if (m->size + size > m->capacity) {
        m->capacity = 2 * (m->size + size);
        m->bytes = realloc(m->bytes, m->capacity);
        assert_non_null(m->bytes);
    }
    if (size) memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

void gguf_put_u32(gguf_image *m, uint32_t v)
{
    gguf_put(m, &v, 4);
}
void gguf_put_u64(gguf_image *m, uint64_t v)
{
    gguf_put(m, &v, 8);
}

void gguf_put_string(gguf_image *m, const char *text)
{
    gguf_put_u64(m, strlen(text));
    gguf_put(m, text, strlen(text));
}

void gguf_put_header(gguf_image *m, uint32_t version, uint64_t tensors, uint64_t keys)
{
    gguf_put(m, "GGUF", 4);
    gguf_put_u32(m, version);
    gguf_put_u64(m, tensors);
    gguf_put_u64(m, keys);
}

void gguf_put_key_u32(gguf_image *m, const char *key, uint32_t v)
{
    gguf_put_string(m, key);
    gguf_put_u32(m, GT_GGUF_U32);
    gguf_put_u32(m, v);
}

void gguf_put_key_f32(gguf_image *m, const char *key, float v)
{
    gguf_put_string(m, key);
    gguf_put_u32(m, GT_GGUF_F32);
    gguf_put(m, &v, 4);
}

void gguf_put_key_string(gguf_image *m, const char *key, const char *v)
{
    gguf_put_string(m, key);
    gguf_put_u32(m, GT_GGUF_STRING);
    gguf_put_string(m, v);
}

void gguf_put_info(gguf_image *m, const char *name, const uint64_t *dims, uint32_t type, uint64_t offset)
{
    uint32_t rank = 0;
    while (dims[rank]) rank++;
    gguf_put_string(m, name);
    gguf_put_u32(m, rank);
    for (uint32_t i = 0; i < rank; i++) gguf_put_u64(m, dims[i]);
    gguf_put_u32(m, type);
    gguf_put_u64(m, offset);
}

void gguf_put_padding(gguf_image *m, size_t n)
{
    while (m->size % n != 0) gguf_put(m, "", 1);
}

typedef struct {
    char name[48];
    uint64_t dims[3];
    float begin;
} tensor;

void gguf_put_tiny_gemma(gguf_image *m, int layers)
{
    static const struct {
        const char *name;
        uint64_t in, out;
    } parts[] = {
        {"attn_norm", 32, 0},    {"attn_q", 32, 32},     {"attn_k", 32, 16},     {"attn_v", 32, 16},
        {"attn_output", 32, 32}, {"attn_q_norm", 16, 0}, {"attn_k_norm", 16, 0}, {"post_attention_norm", 32, 0},
        {"ffn_norm", 32, 0},     {"ffn_gate", 32, 64},   {"ffn_up", 32, 64},     {"ffn_down", 64, 32},
        {"post_ffw_norm", 32, 0}};
    enum { PARTS = sizeof parts / sizeof *parts };
    const size_t count = 2 + (size_t)layers * PARTS;
    tensor *t = calloc(count, sizeof *t);
    assert_non_null(t);
    t[0] = (tensor){"token_embd.weight", {32, 40}, 0};
    t[1] = (tensor){"output_norm.weight", {32}, 1};
    for (size_t i = 2; i < count; i++) {
        const size_t p = (i - 2) % PARTS;
        snprintf(t[i].name, sizeof t[i].name, "blk.%zu.%s.weight", (i - 2) / PARTS, parts[p].name);
        t[i].dims[0] = parts[p].in;
        t[i].dims[1] = parts[p].out;
        t[i].begin = parts[p].out ? 0.0f : 1.0f;
    }
    gguf_put_header(m, 3, count, 11);
    gguf_put_key_string(m, "general.architecture", "gemma3");
    gguf_put_key_u32(m, "gemma3.context_length", 128);
    gguf_put_key_u32(m, "gemma3.embedding_length", 32);
    gguf_put_key_u32(m, "gemma3.block_count", (uint32_t)layers);
    gguf_put_key_u32(m, "gemma3.feed_forward_length", 64);
    gguf_put_key_u32(m, "gemma3.attention.head_count", 2);
    gguf_put_key_u32(m, "gemma3.attention.head_count_kv", 1);
    gguf_put_key_u32(m, "gemma3.attention.key_length", 16);
    gguf_put_key_u32(m, "gemma3.attention.value_length", 16);
    gguf_put_key_u32(m, "gemma3.attention.sliding_window", 8);
    gguf_put_key_f32(m, "gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
    uint64_t offset = 0; /* every size here is a multiple of 32 bytes */
    for (size_t i = 0; i < count; i++) {
        gguf_put_info(m, t[i].name, t[i].dims, 0, offset);
        offset += 4 * t[i].dims[0] * (t[i].dims[1] ? t[i].dims[1] : 1);
    }
    gguf_put_padding(m, 32);
    for (size_t i = 0; i < count; i++)
        for (uint64_t e = 0; e < t[i].dims[0] * (t[i].dims[1] ? t[i].dims[1] : 1); e++) {
            const float v = t[i].begin + (float)e / 1000.0f;
            gguf_put(m, &v, 4);
        }
    free(t);
}
