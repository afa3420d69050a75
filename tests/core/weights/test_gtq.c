/* Packed bases: written from every layout, opened again to the same numbers, the same bytes for any ranks and threads;
 * every field that lies is refused, and a write that fails leaves nothing. */
#include "testing.h"

#include "clock.h"
#include "decode.h"
#include "fs.h"
#include "golden_tensor.h"
#include "gtq.h"
#include "gtq_plan.h"
#include "hash.h"
#include "json.h"
#include "nf4.h"
#include "pack_nf4.h"
#include "weights_sources.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static float *values_of(const gt_matrix *m)
{
    const size_t n = (size_t)m->rows * (size_t)m->cols;
    float *v = malloc(n * sizeof *v);
    for (size_t i = 0; i < n; i += 256) {
        double part[256];
        const size_t count = n - i < 256 ? n - i : 256;
        gt_decode_exact(part, m, i, count);
        for (size_t j = 0; j < count; j++) v[i + j] = (float)part[j];
    }
    return v;
}

static void assert_same_values(const gt_matrix *a, const gt_matrix *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->cols, b->cols);
    float *x = values_of(a), *y = values_of(b);
    for (size_t i = 0; i < (size_t)a->rows * (size_t)a->cols; i++)
        if (x[i] != y[i]) fail_msg("element %zu: %a and %a", i, (double)x[i], (double)y[i]);
    free(x);
    free(y);
}

/* Packs a model of the golden folder; the path of the packed file. */
static const char *packed(const char *model, bool double_quant)
{
    gt_weights *w = NULL;
    assert_ok(gt_weights_open(&w, model));
    const char *path = path_in(temp_dir(), "base.gtq");
    const gt_gtq_options o = {.double_quant = double_quant};
    assert_ok(gt_gtq_write(path, w, &o, NULL, NULL));
    gt_weights_close(w);
    return path;
}

/* Every projection of the packed file is the golden NF4 value of the original. */
static void the_packed_function_is_bitsandbytes(void **state)
{
    (void)state;
    gt_weights *plain = NULL, *nested = NULL, *bnb = NULL, *bnb_nested = NULL;
    const char *original = golden("tiny/wide_head");
    assert_ok(gt_weights_open(&plain, packed(original, false)));
    assert_ok(gt_weights_open(&nested, packed(original, true)));
    assert_ok(gt_weights_open(&bnb, golden("tiny/wide_head/layout_bnb_nf4")));
    assert_ok(gt_weights_open(&bnb_nested, golden("tiny/wide_head/layout_bnb_nf4_nested")));
    assert_string_equal(plain->source, "gtq");
    assert_non_null(plain->packed);
    assert_string_equal(plain->packed->quantizer.rule, GT_NF4_RULE);
    assert_string_equal(plain->packed->source_name, "wide_head");
    assert_false(plain->packed->quantizer.double_quant);
    assert_true(nested->packed->quantizer.double_quant);
    for (int i = 0; i < gt_slot_count(&plain->config); i++) {
        const gt_matrix *a = gt_weights_slot(plain, i), *b = gt_weights_slot(bnb, i);
        const size_t n = (size_t)a->rows * (size_t)a->cols;
        assert_memory_equal(a->data, b->data, n / 2);
        assert_memory_equal(a->absmax, b->absmax, n / 64 * sizeof(float));
        assert_int_equal(a->round_to, b->round_to);
        const gt_matrix *c = gt_weights_slot(nested, i), *d = gt_weights_slot(bnb_nested, i);
        assert_memory_equal(c->data, d->data, n / 2);
        assert_memory_equal(c->code2, d->code2, 256 * sizeof(float));
        assert_true(fabsf(c->offset - d->offset) <=
                    2 * (nextafterf(d->offset, INFINITY) - d->offset)); /* a sum's order */
        if (c->offset != d->offset) continue;
        assert_memory_equal(c->absmax8, d->absmax8, n / 64);
        assert_memory_equal(c->absmax2, d->absmax2, (n / 64 + 255) / 256 * sizeof(float));
    }
    gt_weights_close(plain);
    gt_weights_close(nested);
    gt_weights_close(bnb);
    gt_weights_close(bnb_nested);
}

static void everything_else_is_as_in_the_source(void **state)
{
    (void)state;
    static const char *const layouts[] = {"tiny/mqa_short", "tiny/mqa_short/layout_legacy_sharded",
                                          "tiny/mqa_short/layout_multimodal_new",
                                          "tiny/mqa_short/layout_multimodal_old", "tiny/gqa_scaled"};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        gt_weights *source = NULL, *w = NULL;
        const char *model = golden(layouts[i]);
        assert_ok(gt_weights_open(&source, model));
        const char *path = packed(model, true);
        assert_ok(gt_weights_open(&w, path));
        assert_memory_equal(&w->config, &source->config, sizeof w->config);
        assert_string_equal(w->prefix, source->prefix);
        assert_same_values(&w->embed, &source->embed);
        for (int l = 0; l < w->config.num_hidden_layers; l++) {
            for (int n = 0; n < GT_NORM_COUNT; n++) {
                const int size = n == GT_Q_NORM || n == GT_K_NORM ? w->config.head_dim : w->config.hidden_size;
                assert_memory_equal(w->norm[l][n], source->norm[l][n], (size_t)size * sizeof(float));
            }
        }
        assert_memory_equal(w->final_norm, source->final_norm, (size_t)w->config.hidden_size * sizeof(float));
        assert_ok(gt_gtq_verify(path, NULL));
        gt_weights_close(source);
        gt_weights_close(w);
    }
}

/* 4-bit weights of a bitsandbytes folder are kept as they are. */
static void stored_codes_are_copied(void **state)
{
    (void)state;
    static const char *const layouts[] = {"tiny/wide_head/layout_bnb_nf4", "tiny/wide_head/layout_bnb_nf4_nested"};
    for (int i = 0; i < 2; i++) {
        gt_weights *source = NULL, *w = NULL;
        const char *model = golden(layouts[i]);
        assert_ok(gt_weights_open(&source, model));
        assert_ok(gt_weights_open(&w, packed(model, true)));
        assert_string_equal(w->packed->quantizer.rule, "stored");
        assert_int_equal(w->packed->quantizer.double_quant, i == 1);
        char a[65], b[65];
        assert_ok(gt_weights_identity(source, a));
        assert_ok(gt_weights_identity(w, b));
        assert_string_equal(a, b);
        for (int k = 0; k < gt_slot_count(&w->config); k++)
            assert_same_values(gt_weights_slot(w, k), gt_weights_slot(source, k));
        gt_weights_close(source);
        gt_weights_close(w);
    }
}

static void threads_do_not_change_the_bytes(void **state)
{
    (void)state;
    gt_weights *w = NULL;
    assert_ok(gt_weights_open(&w, golden("tiny/gqa_scaled")));
    uint8_t first[32], digest[32];
    for (int threads = 1; threads <= 3; threads++) {
        gt_pool *pool = NULL;
        assert_ok(gt_pool_create(&pool, threads));
        const char *path = path_in(temp_dir(), "base.gtq");
        const gt_gtq_options o = {.double_quant = true, .tokenizer = "a tokenizer", .tokenizer_bytes = 11};
        assert_ok(gt_gtq_write(path, w, &o, NULL, pool));
        assert_ok(gt_sha256_file(threads == 1 ? first : digest, path));
        if (threads > 1) assert_memory_equal(first, digest, 32);
        assert_fails(gt_gtq_write(path, w, &o, NULL, pool), GT_ERR_CONFIG, "exists");
        gt_weights *again = NULL;
        assert_ok(gt_weights_open(&again, path));
        assert_int_equal(again->packed->tokenizer_bytes, 11);
        assert_memory_equal(again->packed->tokenizer, "a tokenizer", 11);
        assert_fails(gt_gtq_write(path_in(temp_dir(), "x"), again, &o, NULL, pool), GT_ERR_DATA, "packed base already");
        gt_weights_close(again);
        gt_pool_destroy(pool);
    }
    gt_weights_close(w);
}

/* Damage. */

static void put_u64(char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (char)(v >> (8 * i));
}

static uint64_t get_u64(const char *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | (uint8_t)p[i];
    return v;
}

/* A packed file in memory, to be spoilt. */
typedef struct {
    char *bytes;
    size_t size, directory; /* where the directory begins */
} image;

static image image_of(const char *path)
{
    image m;
    assert_ok(gt_fs_read(&m.bytes, &m.size, path, 1 << 26));
    m.directory = get_u64(m.bytes + 24);
    return m;
}

/* Replaces the first `old` in the directory by `new_text` and makes header and digest right again. */
static image with_change(const image *from, const char *old, const char *new_text)
{
    image m = {malloc(from->size + 4096), from->size, from->directory};
    memcpy(m.bytes, from->bytes, from->size);
    char *at = memmem(m.bytes + m.directory, m.size - m.directory, old, strlen(old));
    if (!at) fail_msg("the directory does not hold '%s'", old);
    const size_t behind = m.size - (size_t)(at - m.bytes) - strlen(old);
    memmove(at + strlen(new_text), at + strlen(old), behind);
    memcpy(at, new_text, strlen(new_text));
    m.size = m.size - strlen(old) + strlen(new_text);
    put_u64(m.bytes + 16, m.size);
    put_u64(m.bytes + 32, m.size - m.directory);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, m.bytes + m.directory, m.size - m.directory);
    gt_sha256_end(&s, (uint8_t *)m.bytes + 40);
    return m;
}

static void assert_refused(const image *m, const char *words)
{
    const char *path = path_in(temp_dir(), "bad.gtq");
    assert_ok(gt_fs_write(path, m->bytes, m->size));
    gt_weights *w = NULL;
    assert_fails(gt_weights_open(&w, path), GT_ERR_DATA, words);
    assert_null(w);
    assert_fails(gt_gtq_verify(path, NULL), GT_ERR_DATA, words);
    gt_fs_remove_tree(path);
}

static void every_lie_of_the_directory_is_refused(void **state)
{
    (void)state;
    image good = image_of(packed(golden("tiny/mqa_short"), true));
    static const struct {
        const char *old, *new_text, *words;
    } lies[] = {
        {"\"tool\":", "\"toil\":", "tool"},
        {"\"tool\":\"gemtune", "\"tool\":\"gemtune\\u0000", "tool"},
        {"\"kind\":\"huggingface\"", "\"kind\":7", "kind"},
        {"\"double_quant\":true", "\"double_quant\":1", "double_quant"},
        {"\"block2\":256}", "\"block2\":256,\"more\":1}", "1 members that this version does not know"},
        {"\"prefix\":\"model.\"", "\"prefix\":\"../\"", "prefix"},
        {"\"vocab_size\":", "\"vocab_size\":1", "shape"},
        {"\"hidden_size\":", "\"hidden_size\":-", "hidden_size"},
        {"\"hidden_size\":", "\"hidden_size\":1", "norms"},
        {"\"num_hidden_layers\":", "\"num_hidden_layers\":1", "layer"},
        {"\"num_hidden_layers\":", "\"num_hidden_layers\":999999", "num_hidden_layers"},
        {"\"num_attention_heads\":", "\"num_attention_heads\":0, \"x\":", "num_attention_heads"},
        {"\"head_dim\":", "\"head_dim\":1", "norms"},
        {"\"rms_norm_eps\":", "\"rms_norm_eps\":-", "rms_norm_eps"},
        {"\"rope_theta\":1", "\"rope_theta\":1e300, \"y\":1", "rope_theta"},
        {"\"layer_types\":\"S", "\"layer_types\":\"X", "layer_types"},
        {"\"layer_types\":\"S", "\"layer_types\":\"", "layer_types"},
        {"\"eos_token_ids\":[", "\"eos_token_ids\":[-5,", "eos_token_ids"},
        {"\"norms\":{\"dtype\":\"F32\"", "\"norms\":{\"dtype\":\"F16\"", "dtype"},
        {"\"tokenizer\":null", "\"tokenizer\":{}", "tokenizer"},
        {"\"embed_tokens\":{\"dtype\":\"BF16\"", "\"embed_tokens\":{\"dtype\":\"NF4\"", "dtype"},
        {"\"embed_tokens\":{\"dtype\":\"BF16\"", "\"embed_tokens\":{\"dtype\":\"F32\"", "data"},
        {"\"embed_tokens\":", "\"embed_token\":", "embed_tokens"},
        {"\"layers.0.self_attn.q_proj\":", "\"layers.0.self_attn.k_proj\":", ""}, /* twice: the JSON reader's */
        {"\"layers.0.self_attn.q_proj\":{\"dtype\":\"NF4\"", "\"layers.0.self_attn.q_proj\":{\"dtype\":\"Q4_K\"",
         "dtype"},
        {"\"round_to\":\"BF16\"", "\"round_to\":\"F64\"", "round_to"},
        {"\"block\":64,\"code\"", "\"block\":63,\"code\"", "block"},
        {"\"block\":64,\"code\"", "\"block\":128,\"code\"", "bytes"},
        {"\"block2\":256,\"offset\"", "\"block2\":3,\"offset\"", "block2"},
        {"\"offset\":", "\"offset\":1e40, \"z\":", "offset"},
        {"\"absmax8\":[", "\"absmax8\":[-", "absmax8"},
        {"\"absmax8\":[", "\"absmax8\":[1", "absmax8"},
        {"\"absmax2\":[", "\"absmax2\":[9", "absmax2"},
        {"\"code2\":[", "\"code2\":[0.5,", "code2"},
        {"\"code\":[4096,64]", "\"code\":[4097,64]", "code"},
        {"\"code\":[4096,64]", "\"code\":[0,64]", "code"},
        {"\"sha256\":\"", "\"sha256\":\"g", "sha256"},
        {"\"identity\":\"", "\"identity\":\"A", "identity"},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        image bad = with_change(&good, lies[i].old, lies[i].new_text);
        assert_refused(&bad, lies[i].words);
        free(bad.bytes);
    }
    free(good.bytes);
}

static void sections_that_overlap_are_refused(void **state)
{
    (void)state;
    const char *path = packed(golden("tiny/mqa_short"), true);
    image good = image_of(path);
    gt_json_doc *doc = NULL;
    assert_ok(gt_json_parse(&doc, good.bytes + good.directory, good.size - good.directory, path));
    const gt_json *tensors = gt_json_get(gt_json_root(doc), "tensors");
    const gt_json *a = gt_json_get(gt_json_get(tensors, "layers.0.self_attn.k_proj"), "data"),
                  *b = gt_json_get(gt_json_get(tensors, "layers.0.self_attn.v_proj"), "data");
    char old[80], changed[80];
    snprintf(old, sizeof old, "\"data\":[%lld,%lld]", (long long)b->child->integer, (long long)b->child->next->integer);
    snprintf(changed, sizeof changed, "\"data\":[%lld,%lld]", (long long)a->child->integer,
             (long long)b->child->next->integer);
    image bad = with_change(&good, old, changed);
    assert_refused(&bad, "overlap");
    free(bad.bytes);
    snprintf(changed, sizeof changed, "\"data\":[%lld,%lld]", (long long)a->child->integer + 64,
             (long long)b->child->next->integer);
    bad = with_change(&good, old, changed);
    assert_refused(&bad, "overlap");
    free(bad.bytes);
    gt_json_free(doc);
    free(good.bytes);
}

static void a_wrong_header_is_refused(void **state)
{
    (void)state;
    image good = image_of(packed(golden("tiny/mqa_short"), false));
    static const struct {
        int at;
        uint64_t value;
        const char *words;
    } fields[] = {{0, 0, "first bytes"},
                  {8, 2 | 128ull << 32, "version 2"},
                  {8, 1 | 64ull << 32, "header"},
                  {16, 5, "cut off"},
                  {24, 64, "directory"},
                  {24, UINT64_MAX, "directory"},
                  {32, 0, "directory"},
                  {32, 1ull << 60, "directory"},
                  {40, 0, "digest"},
                  {120, 1, "header byte 120"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        image bad = {malloc(good.size), good.size, good.directory};
        memcpy(bad.bytes, good.bytes, good.size);
        put_u64(bad.bytes + fields[i].at, fields[i].value);
        assert_refused(&bad, fields[i].words);
        free(bad.bytes);
    }
    static const size_t cuts[] = {0, 1, 7, 127, 128, 4095, 5000};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        const image cut = {good.bytes, cuts[i], good.directory};
        assert_refused(&cut, "");
    }
    const image shorter = {good.bytes, good.size - 1, good.directory};
    assert_refused(&shorter, "cut off");
    free(good.bytes);
}

/* One flipped bit anywhere is found: by opening in header and directory, by verifying in the rest. */
static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    image m = image_of(packed(golden("tiny/mqa_short"), true));
    const char *path = path_in(temp_dir(), "flip.gtq");
    for (size_t at = 0; at < m.size; at += m.size / 150 + 1) {
        m.bytes[at] ^= 4;
        assert_ok(gt_fs_write(path, m.bytes, m.size));
        if (gt_gtq_verify(path, NULL) == GT_OK) fail_msg("byte %zu is in no check", at);
        m.bytes[at] ^= 4;
    }
    /* in a tensor: named */
    gt_json_doc *doc = NULL;
    assert_ok(gt_json_parse(&doc, m.bytes + m.directory, m.size - m.directory, path));
    const gt_json *up = gt_json_get(gt_json_get(gt_json_root(doc), "tensors"), "layers.1.mlp.up_proj");
    m.bytes[gt_json_get(up, "absmax8")->child->integer] ^= 1;
    assert_ok(gt_fs_write(path, m.bytes, m.size));
    assert_fails(gt_gtq_verify(path, NULL), GT_ERR_DATA, "layers.1.mlp.up_proj is damaged");
    gt_json_free(doc);
    free(m.bytes);
}

static void a_write_that_fails_leaves_nothing(void **state)
{
    (void)state;
    gt_weights *w = NULL;
    assert_ok(gt_weights_open(&w, golden("tiny/mqa_short")));
    const gt_gtq_options o = {.double_quant = true};
    const char *folder = temp_dir();
    assert_fails(gt_gtq_write(path_in("/proc", "x.gtq"), w, &o, NULL, NULL), GT_ERR_IO, "/proc/x.gtq");
    gt_matrix *m = &w->proj[1][GT_UP_PROJ];
    const size_t n = (size_t)m->rows * (size_t)m->cols;
    uint16_t *values = malloc(n * 2);
    memcpy(values, m->data, n * 2);
    values[n - 1] = 0x7fc0;
    m->data = values;
    assert_fails(gt_gtq_write(path_in(folder, "x.gtq"), w, &o, NULL, NULL), GT_ERR_DATA,
                 "layers.1.mlp.up_proj.weight': row");
    assert_int_equal(rmdir(folder), 0); /* empty: no temporary file either */
    free(values);
    gt_weights_close(w);
}

/* A file of the 27B's shape: its true directory, and holes for contents (16 GB of length, a few KB of disk). */
static void a_directory_of_the_27b_opens_in_milliseconds(void **state)
{
    (void)state;
    gt_weights *w = calloc(1, sizeof *w);
    w->config = (gt_model_config){.vocab_size = 262208,
                                  .hidden_size = 5376,
                                  .intermediate_size = 21504,
                                  .num_hidden_layers = 62,
                                  .num_attention_heads = 32,
                                  .num_key_value_heads = 16,
                                  .head_dim = 128,
                                  .sliding_window = 1024,
                                  .max_position_embeddings = 131072,
                                  .rms_norm_eps = 1e-6f,
                                  .query_pre_attn_scalar = 168,
                                  .rope_theta = 1e6,
                                  .rope_local_base_freq = 1e4,
                                  .rope_factor = 8};
    snprintf(w->prefix, sizeof w->prefix, "model.");
    w->path = (char *)(uintptr_t) "/models/medgemma-27b";
    w->embed = (gt_matrix){.dtype = GT_BF16, .rows = 262208, .cols = 5376};
    for (int i = 0; i < 62 * GT_PROJ_COUNT; i++) {
        const gt_slot slot = gt_slot_at(i);
        gt_matrix *m = &w->proj[slot.layer][slot.proj];
        m->dtype = GT_BF16;
        gt_proj_shape(&w->config, slot.proj, &m->rows, &m->cols);
    }
    gt_gtq_plan plan;
    const gt_gtq_options o = {.double_quant = true};
    assert_ok(gt_gtq_plan_make(&plan, w, &o, 1));
    /* the most that packing holds: the largest matrix as NF4 with its scales, far below a layer in bf16 (970 MB) */
    assert_true(plan.pack_bytes < 80u << 20);
    float *zero = calloc((size_t)w->config.hidden_size, sizeof *zero);
    uint8_t(*digest)[32] = calloc(1 + 62 * GT_PROJ_COUNT, 32);
    for (int i = 0; i < 62 * GT_NORM_COUNT; i++) w->norm[i / GT_NORM_COUNT][i % GT_NORM_COUNT] = zero;
    w->final_norm = zero;
    gt_weights_identity_of(plan.meta.info.identity, w, digest);
    gt_text text = {0};
    gt_gtq_meta_print(&text, &plan.meta);
    char header[GT_GTQ_HEADER] = {0};
    memcpy(header, gt_gtq_magic, 8);
    put_u64(header + 8, 1 | (uint64_t)GT_GTQ_HEADER << 32);
    put_u64(header + 16, plan.meta_offset + text.size);
    put_u64(header + 24, plan.meta_offset);
    put_u64(header + 32, text.size);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, text.data, text.size);
    gt_sha256_end(&s, (uint8_t *)header + 40);
    const char *path = path_in(temp_dir(), "27b.gtq");
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(pwrite(fd, text.data, text.size, (off_t)plan.meta_offset), (ssize_t)text.size);
    assert_int_equal(pwrite(fd, header, sizeof header, 0), (ssize_t)sizeof header);
    const uint64_t file_bytes = plan.meta_offset + text.size;
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        gt_weights *opened = NULL;
        const double begun = 1e3 * gt_clock();
        assert_ok(gt_weights_open_gtq(&opened, path));
        const double took = 1e3 * gt_clock() - begun;
        if (took < best) best = took;
        assert_int_equal(opened->packed->file_bytes, file_bytes);
        gt_weights_close(opened);
    }
    print_message("a 27B of %.1f GB, directory %zu bytes: opened in %.1f ms\n", (double)file_bytes / 1e9, text.size,
                  best);
    assert_true(best < 150); /* some 10 ms; sanitizers and busy machines take longer */
    close(fd);
    unlink(path);
    gt_text_free(&text);
    gt_gtq_plan_free(&plan);
    free(zero);
    free(digest);
    free(w);
}

/* Killed at any moment, a write has left nothing under its name, or the whole file. */
static void a_killed_write_leaves_nothing_or_all(void **state)
{
    (void)state;
    gt_weights *w = NULL;
    assert_ok(gt_weights_open(&w, golden("tiny/wide_head")));
    int whole = 0;
    for (int i = 0; i < 12; i++) {
        const char *path = path_in(temp_dir(), "base.gtq");
        const gt_gtq_options o = {.double_quant = true};
        const pid_t child = fork();
        if (child == 0) _exit(gt_gtq_write(path, w, &o, NULL, NULL) != GT_OK);
        usleep((useconds_t)(i * i * 700));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        if (!gt_fs_exists(path)) continue;
        whole++;
        assert_ok(gt_gtq_verify(path, NULL));
    }
    print_message("%d of 12 writes were done before the kill\n", whole);
    gt_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_packed_function_is_bitsandbytes),
        cmocka_unit_test(everything_else_is_as_in_the_source),
        cmocka_unit_test(stored_codes_are_copied),
        cmocka_unit_test(threads_do_not_change_the_bytes),
        cmocka_unit_test(every_lie_of_the_directory_is_refused),
        cmocka_unit_test(sections_that_overlap_are_refused),
        cmocka_unit_test(a_wrong_header_is_refused),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_write_that_fails_leaves_nothing),
        cmocka_unit_test(a_directory_of_the_27b_opens_in_milliseconds),
        cmocka_unit_test(a_killed_write_leaves_nothing_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
