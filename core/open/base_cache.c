#include "base_cache.h"

#include "fs.h"
#include "gtq.h"
#include "hash.h"
#include "log.h"
#include "pool.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where packed bases lie, malloc'ed; made if absent. */
static gt_status cache_folder(char **out)
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
    const int n = snprintf(text, sizeof text, "|%lld|%lld.%09ld|", (long long)st.st_size, (long long)st.st_ctim.tv_sec,
                           st.st_ctim.tv_nsec); /* that of the contents can be set back */
    gt_sha256_add(s, path, strlen(path));
    gt_sha256_add(s, text, (size_t)n);
}

static int weight_file(const struct dirent *e)
{
    return gt_ends_with(e->d_name, ".safetensors") || strcmp(e->d_name, "config.json") == 0;
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

enum { PATH_BYTES = 4096, KEY = 40 };

static gt_status cache_path(char out[PATH_BYTES], const gt_weights *w, bool double_quant)
{
    char key[65], *folder = NULL;
    GT_TRY(source_key(key, w, double_quant));
    GT_TRY(cache_folder(&folder));
    const int n = snprintf(out, PATH_BYTES, "%s/packed/%.*s.gtq", folder, KEY, key);
    const gt_status st =
        n < PATH_BYTES ? GT_OK : GT_FAIL(GT_ERR_CONFIG, "%s: the cache folder's path is too long", folder);
    free(folder);
    return st;
}

static bool is_packed_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == KEY && strcmp(name + KEY, ".gtq") == 0;
}

/* What a killed packing left is a whole base in size. Not being able to remove it is no reason not to pack. */
static void sweep(const char *path)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (gt_fs_exists(folder) && gt_fs_sweep(folder, is_packed_name, GT_SWEEP_UNLOCKED) != GT_OK)
        gt_log(GT_WARN, "base", "what a killed run left stays: %s", gt_error_last()->message);
}

/* Whether the packed file is there must be one answer for all ranks, or some would wait for the others' work. */
static gt_status all_see(gt_comm *comm, const char *path, bool *there)
{
    int32_t missing = !gt_fs_exists(path);
    if (comm) GT_TRY(gt_comm_max_i32(comm, &missing, 1));
    *there = !missing;
    return GT_OK;
}

static gt_status pack(const char *path, const gt_weights *source, bool double_quant, int threads, gt_comm *comm)
{
    gt_pool *pool = NULL;
    gt_status st = gt_pool_create(&pool, gt_pool_threads_for(threads));
    st = gt_comm_agree(comm, st);
    if (st == GT_OK) {
        if (!comm || comm->rank == 0) sweep(path);
        gt_log(GT_INFO, "base", "quantizing %s to NF4 into %s", source->path, path);
        st = gt_gtq_write(path, source, &(gt_gtq_options){.double_quant = double_quant, .replace = true}, comm, pool);
    }
    gt_pool_destroy(pool);
    return st;
}

static gt_status open_as(gt_weights **out, const char *path, const char *name)
{
    gt_weights *w;
    GT_TRY(gt_weights_open(&w, path));
    char *shown = strdup(name);
    if (!shown) {
        gt_weights_close(w);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", name);
    }
    free(w->path);
    w->path = shown;
    *out = w;
    return GT_OK;
}

gt_status gt_base_pack(gt_weights **out, const gt_weights *source, bool double_quant, int threads, gt_comm *comm)
{
    char path[PATH_BYTES] = "";
    bool there;
    GT_TRY(gt_comm_agree(comm, !comm || comm->rank == 0 ? cache_path(path, source, double_quant) : GT_OK));
    if (comm) GT_TRY(gt_comm_broadcast(comm, path, sizeof path, 0));
    GT_TRY(all_see(comm, path, &there));
    if (!there) GT_TRY(pack(path, source, double_quant, threads, comm));
    gt_weights *w = NULL;
    const gt_status st = gt_comm_agree(comm, open_as(&w, path, source->path));
    if (st != GT_OK)
        gt_weights_close(w);
    else
        *out = w;
    return st;
}
