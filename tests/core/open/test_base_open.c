/* A base as a run wants it: what is 4-bit is judged, what is not is packed once, and later starts only map it. */
#include "base_open.h"

#include "base_cache.h"
#include "fs.h"
#include "gtq.h"
#include "quantize.h"
#include "testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const gt_base_options nested = {.dtype = GT_BASE_NF4, .scales = GT_SCALES_NESTED, .threads = 1},
                             plain = {.dtype = GT_BASE_NF4, .scales = GT_SCALES_PLAIN, .threads = 1},
                             any = {.dtype = GT_BASE_NF4, .threads = 1};

/* A cache of its own, empty; the folder that bases are packed into. */
static const char *new_cache(void)
{
    const char *dir = temp_dir();
    setenv("GEMTUNE_CACHE", dir, 1);
    return path_in(dir, "packed");
}

/* The n-th file of a folder, by name; "" when there are not so many. */
static const char *entry(const char *folder, int nth)
{
    static char name[2][300];
    struct dirent **e = NULL;
    const int n = scandir(folder, &e, NULL, alphasort);
    snprintf(name[nth % 2], sizeof name[0], "%s", nth + 2 < n ? e[nth + 2]->d_name : "");
    for (int i = 0; i < n; i++) free(e[i]);
    free(e);
    return name[nth % 2];
}

static void touch(const char *folder, const char *name)
{
    assert_ok(gt_fs_make_dirs(folder));
    assert_ok(gt_fs_write(path_in(folder, name), "x", 1));
}

static void a_base_is_packed_once_and_then_mapped(void **state)
{
    (void)state;
    const char *model = golden("tiny/gqa_scaled"), *folder = new_cache();
    gt_weights *w = NULL, *packed = NULL;
    struct stat first, second;
    char a[65], b[65];
    assert_ok(gt_base_open(&w, model, &nested, NULL));
    assert_int_equal(gt_weights_fourbit(w), GT_FOURBIT_NF4);
    assert_string_equal(w->path, model);
    assert_string_equal(w->prefix, "model.");
    assert_int_equal(w->proj[0][0].round_to, GT_F32);
    assert_ok(gt_weights_identity(w, a));
    gt_weights_close(w);
    assert_int_equal(stat(path_in(folder, entry(folder, 0)), &first), 0);
    assert_string_equal(entry(folder, 1), "");

    assert_ok(gt_base_open(&w, model, &any, NULL)); /* packed now means nested */
    gt_weights_close(w);
    assert_int_equal(stat(path_in(folder, entry(folder, 0)), &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    assert_string_equal(entry(folder, 1), "");

    assert_ok(gt_base_open(&w, model, &plain, NULL)); /* another base */
    gt_weights_close(w);
    assert_string_not_equal(entry(folder, 1), "");

    /* the very base that `quantize` writes, and with the rounding that it names */
    const gt_quantize_options q = {model, path_in(temp_dir(), "x.gtq"), false, true, false};
    gt_base_options stored = nested;
    stored.as_stored = true;
    assert_ok(gt_quantize(&q, NULL, NULL, NULL));
    assert_ok(gt_weights_open(&packed, q.out));
    assert_ok(gt_base_open(&w, model, &stored, NULL));
    assert_ok(gt_weights_identity(packed, b));
    assert_string_equal(a, b);
    assert_int_equal(w->proj[0][0].round_to, packed->proj[0][0].round_to);
    assert_int_equal(w->proj[0][0].round_to, GT_BF16);
    gt_weights_close(w);
    gt_weights_close(packed);
}

static void a_base_that_is_nf4_is_taken_as_it_is(void **state)
{
    (void)state;
    const char *folder = new_cache(), *plain_folder = golden("tiny/wide_head/layout_bnb_nf4"),
               *nested_folder = golden("tiny/wide_head/layout_bnb_nf4_nested");
    gt_weights *w = NULL;
    assert_ok(gt_base_open(&w, plain_folder, &plain, NULL));
    assert_string_equal(w->source, "huggingface");
    gt_weights_close(w);
    assert_ok(gt_base_open(&w, nested_folder, &nested, NULL));
    gt_weights_close(w);
    assert_ok(gt_base_open(&w, plain_folder, &any, NULL));
    gt_weights_close(w);
    assert_ok(gt_base_open(&w, nested_folder, &any, NULL));
    gt_weights_close(w);
    assert_fails(gt_base_open(&w, plain_folder, &nested, NULL), GT_ERR_CONFIG, "without double quantization");
    assert_fails(gt_base_open(&w, nested_folder, &plain, NULL), GT_ERR_CONFIG, "--no-double-quant");
    assert_false(gt_fs_exists(folder));
}

/* NF4 everywhere, FP4 in one place, bf16 in one place: edited in memory, since only the formats count. */
static void one_answer_to_what_is_4_bit(void **state)
{
    (void)state;
    gt_weights *w = NULL, *bf16 = NULL;
    assert_ok(gt_weights_open(&w, golden("tiny/wide_head/layout_bnb_nf4")));
    assert_ok(gt_weights_open(&bf16, golden("tiny/wide_head")));
    const int last = w->config.num_hidden_layers - 1;
    assert_int_equal(gt_weights_fourbit(w), GT_FOURBIT_NF4);
    assert_int_equal(gt_weights_fourbit(bf16), GT_FOURBIT_NONE);
    const gt_matrix nf4 = w->proj[last][GT_DOWN_PROJ];
    w->proj[last][GT_DOWN_PROJ] = bf16->proj[last][GT_DOWN_PROJ];
    assert_int_equal(gt_weights_fourbit(w), GT_FOURBIT_SOME);
    bf16->proj[0][GT_Q_PROJ] = w->proj[0][GT_Q_PROJ];
    assert_int_equal(gt_weights_fourbit(bf16), GT_FOURBIT_SOME);
    w->proj[last][GT_DOWN_PROJ] = nf4;
    w->proj[last][GT_DOWN_PROJ].dtype = GT_FP4;
    assert_int_equal(gt_weights_fourbit(w), GT_FOURBIT_FP4);
    bf16->proj[last][GT_DOWN_PROJ].dtype = GT_FP4;
    assert_int_equal(gt_weights_fourbit(bf16), GT_FOURBIT_FP4);
    gt_weights_close(w);
    gt_weights_close(bf16);
}

/* A copy of the bitsandbytes folder in which one matrix says that it is FP4. */
static const char *fp4_folder(void)
{
    const char *source = golden("tiny/wide_head/layout_bnb_nf4"), *dir = temp_dir();
    char command[4096], *text, *at;
    size_t size;
    snprintf(command, sizeof command, "cp %s/config.json %s/model.safetensors %s && chmod u+w %s/*", source, source,
             dir, dir);
    assert_int_equal(system(command), 0);
    const char *path = path_in(dir, "model.safetensors");
    assert_ok(gt_fs_read(&text, &size, path, 1 << 24));
    static const char tensor[] = "model.layers.1.self_attn.k_proj.weight.quant_state.bitsandbytes__nf4";
    assert_non_null(at = memmem(text, size, tensor, sizeof tensor - 1));
    at[sizeof tensor - 4] = 'f';
    at[sizeof tensor - 3] = 'p';
    uint64_t header, offset;
    memcpy(&header, text, 8);
    assert_non_null(at = strstr(at, "\"data_offsets\":["));
    offset = strtoul(at + 16, NULL, 10);
    assert_non_null(at = memmem(text + 8 + header + offset, 200, "nf4", 3));
    memcpy(at, "fp4", 3);
    assert_ok(gt_fs_write(path, text, size));
    free(text);
    return dir;
}

static void an_fp4_base_is_never_an_nf4_base(void **state)
{
    (void)state;
    const char *dir = fp4_folder(), *folder = new_cache();
    gt_weights *w = NULL;
    assert_ok(gt_base_open(&w, dir, &(gt_base_options){.dtype = GT_BASE_NATIVE}, NULL));
    assert_int_equal(gt_weights_fourbit(w), GT_FOURBIT_FP4);
    gt_weights_close(w);
    assert_fails(gt_base_open(&w, dir, &plain, NULL), GT_ERR_CONFIG, "layers.1.self_attn.k_proj is FP4");
    assert_fails(gt_base_open(&w, dir, &any, NULL), GT_ERR_CONFIG, "--base-dtype native");
    assert_false(gt_fs_exists(folder)); /* and nothing was packed to find out */
}

/* A packing that was killed leaves its file; one that is under way holds it locked. */
static void stale_temporaries_go_when_a_base_is_packed(void **state)
{
    (void)state;
    const char *folder = new_cache();
#define KEY "0123456789abcdef0123456789abcdef01234567"
    touch(folder, KEY ".gtq.tmp.12");
    touch(folder, KEY ".gtq.tmp.13");
    touch(folder, "mine.gtq.tmp.12");
    touch(folder, KEY "8.gtq.tmp.12");
    const int fd = open(path_in(folder, KEY ".gtq.tmp.13"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    gt_weights *w = NULL;
    assert_ok(gt_base_open(&w, golden("tiny/mqa_short"), &nested, NULL));
    gt_weights_close(w);
    assert_false(gt_fs_exists(path_in(folder, KEY ".gtq.tmp.12")));
    assert_true(gt_fs_exists(path_in(folder, KEY ".gtq.tmp.13")));
    assert_true(gt_fs_exists(path_in(folder, "mine.gtq.tmp.12")));
    assert_true(gt_fs_exists(path_in(folder, KEY "8.gtq.tmp.12")));
    close(fd);
    assert_ok(gt_base_open(&w, golden("tiny/mqa_short"), &plain, NULL));
    gt_weights_close(w);
    assert_false(gt_fs_exists(path_in(folder, KEY ".gtq.tmp.13")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_base_is_packed_once_and_then_mapped),
        cmocka_unit_test(a_base_that_is_nf4_is_taken_as_it_is),
        cmocka_unit_test(one_answer_to_what_is_4_bit),
        cmocka_unit_test(an_fp4_base_is_never_an_nf4_base),
        cmocka_unit_test(stale_temporaries_go_when_a_base_is_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
