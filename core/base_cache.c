#include "base_cache.h"

#include "base_open.h"
#include "fs.h"
#include "gtq.h"
#include "hash.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

gt_status gt_cache_folder(char **out)
{
    static const char *const variable[] = {"GEMTUNE_CACHE", "XDG_CACHE_HOME", "HOME"};
    static const char *const below[] = {"", "/gemtune", "/.cache/gemtune"};
    for (int i = 0; i < 3; i++) {
        const char *v = getenv(variable[i]);
        if (!v || !*v) continue;
        const size_t bytes = strlen(v) + strlen(below[i]) + 1;
        char *path = malloc(bytes);
        if (!path) return GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
        snprintf(path, bytes, "%s%s", v, below[i]);
        gt_status st = gt_fs_make_dirs(path);
        if (st == GT_OK)
            *out = path;
        else
            free(path);
        return st;
    }
    return GT_FAIL(GT_ERR_CONFIG, "no cache folder: set GEMTUNE_CACHE");
}

/* Folds a file's name, size and time of change. */
static void fold_file(gt_sha256 *s, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return;
    char text[128];
    const int n = snprintf(text, sizeof text, "|%lld|%lld.%09ld|", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                           st.st_mtim.tv_nsec);
    gt_sha256_add(s, path, strlen(path));
    gt_sha256_add(s, text, (size_t)n);
}

static int weight_file(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);
    return (n > 12 && strcmp(e->d_name + n - 12, ".safetensors") == 0) || strcmp(e->d_name, "config.json") == 0;
}

/* What tells one source from another without reading it. */
static gt_status source_key(char hex[65], const gt_weights *w, bool double_quant)
{
    gt_sha256 s;
    uint8_t digest[32];
    gt_sha256_init(&s);
    char *real = realpath(w->path, NULL);
    if (!real) return GT_FAIL(GT_ERR_IO, "%s: %s", w->path, strerror(errno));
    if (gt_fs_is_dir(real)) {
        struct dirent **entry = NULL;
        const int n = scandir(real, &entry, weight_file, alphasort);
        for (int i = 0; i < n; i++) {
            char *path = gt_fs_join(real, entry[i]->d_name);
            if (path) fold_file(&s, path);
            free(path);
            free(entry[i]);
        }
        free(entry);
    } else
        fold_file(&s, real);
    free(real);
    gt_sha256_add(&s, double_quant ? "nested" : "plain", 5);
    gt_sha256_add(&s, GT_VERSION, strlen(GT_VERSION));
    gt_sha256_end(&s, digest);
    gt_hex(hex, digest);
    return GT_OK;
}

static gt_status cache_path(char **out, const gt_weights *w, bool double_quant)
{
    char key[65], name[80], *folder, *packed;
    GT_TRY(source_key(key, w, double_quant));
    GT_TRY(gt_cache_folder(&folder));
    packed = gt_fs_join(folder, "packed");
    free(folder);
    if (!packed) return GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
    gt_status st = gt_fs_make_dirs(packed);
    snprintf(name, sizeof name, "%.40s.gtq", key);
    if (st == GT_OK && !(*out = gt_fs_join(packed, name))) st = GT_FAIL(GT_ERR_NOMEM, "no memory for a path");
    free(packed);
    return st;
}

static bool is_nf4(const gt_weights *w)
{
    for (int l = 0; l < w->config.num_hidden_layers; l++)
        for (int p = 0; p < GT_PROJ_COUNT; p++)
            if (w->proj[l][p].dtype != GT_NF4) return false;
    return true;
}

/* Whether the packed file is there must be one answer for all ranks, or some would wait for the others' work. */
static gt_status all_see(gt_comm *c, const char *path, bool *there)
{
    int32_t missing = !gt_fs_exists(path);
    GT_TRY(gt_comm_max_i32(c, &missing, 1));
    *there = !missing;
    return GT_OK;
}

static gt_status pack(const char *path, const gt_weights *source, bool double_quant, int threads, gt_comm *c)
{
    gt_pool *pool = NULL;
    gt_status st = gt_pool_create(&pool, threads > 0 ? threads : gt_pool_default_threads());
    st = gt_comm_agree(c, st);
    if (st == GT_OK) {
        gt_log(GT_INFO, "train", "quantizing %s to NF4 into %s", source->path, path);
        st = gt_gtq_write(path, source, &(gt_gtq_options){.double_quant = double_quant, .replace = true}, c, pool);
    }
    gt_pool_destroy(pool);
    return st;
}

gt_status gt_base_open_nf4(gt_weights **out, const char *model, bool double_quant, int threads, gt_comm *c)
{
    gt_weights *source = NULL;
    char *path = NULL;
    GT_TRY(gt_comm_agree(c, gt_weights_open(&source, model)));
    gt_status st = GT_OK;
    if (is_nf4(source)) {
        st = gt_gtq_check_quantizer(source, double_quant);
        gt_weights_close(source);
        return st == GT_OK ? gt_base_open(out, model, GT_BASE_NF4) : st;
    }
    st = gt_comm_agree(c, cache_path(&path, source, double_quant));
    bool there = false;
    if (st == GT_OK) st = all_see(c, path, &there);
    if (st == GT_OK && !there) st = pack(path, source, double_quant, threads, c);
    char prefix[sizeof source->prefix]; /* adapters are named after the model they were trained beside */
    memcpy(prefix, source->prefix, sizeof prefix);
    gt_weights_close(source);
    if (st == GT_OK) st = gt_comm_agree(c, gt_base_open(out, path, GT_BASE_NF4));
    if (st == GT_OK) memcpy((*out)->prefix, prefix, sizeof prefix);
    free(path);
    return st;
}
