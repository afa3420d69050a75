/* Opening a packed base, and verifying one: both begin with the map and its directory. Opening reads no contents but
 * norms and code books; verifying reads every byte of the file. */
#include "gtq_meta.h"

#include "fs.h"
#include "hash.h"
#include "weights_sources.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* A mapped .gtq with its directory read. */
typedef struct {
    gt_map map;
    gt_gtq_meta meta;
} gtq_file;

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* The fixed header (docs/gtq-format.md): magic, version, header bytes, file bytes, where the directory lies, its
 * digest. */
static gt_status check_header(const gt_map *map, uint64_t *meta_offset, uint64_t *meta_bytes)
{
    const uint8_t *h = map->data;
    if (map->size < GT_GTQ_HEADER || memcmp(h, gt_gtq_magic, sizeof gt_gtq_magic) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: not a packed base (.gtq): wrong first bytes, or cut off", map->path);
    const uint64_t version = read_u64(h + 8) & 0xffffffff, header = read_u64(h + 8) >> 32, bytes = read_u64(h + 16);
    if (version != GT_GTQ_VERSION)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: packed in format version %" PRIu64
                       "; this gemtune reads version %d: quantize the model again",
                       map->path, version, GT_GTQ_VERSION);
    if (header != GT_GTQ_HEADER)
        return GT_FAIL(GT_ERR_DATA, "%s: header of %" PRIu64 " bytes; expected %d", map->path, header, GT_GTQ_HEADER);
    if (bytes != map->size)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: has %zu bytes and was written with %" PRIu64 ": cut off or overwritten; quantize again",
                       map->path, map->size, bytes);
    *meta_offset = read_u64(h + 24);
    *meta_bytes = read_u64(h + 32);
    if (*meta_offset < GT_GTQ_DATA || *meta_bytes == 0 || *meta_bytes > GT_GTQ_MAX_META || *meta_offset > map->size ||
        *meta_bytes != map->size - *meta_offset)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: its directory is said to lie at [%" PRIu64 ", + %" PRIu64 "), which is not the file's end",
                       map->path, *meta_offset, *meta_bytes);
    for (int i = 72; i < GT_GTQ_HEADER; i++)
        if (h[i] != 0) return GT_FAIL(GT_ERR_DATA, "%s: header byte %d must be 0", map->path, i);
    return GT_OK;
}

static gt_status check_directory_digest(const gt_map *map, uint64_t offset, uint64_t bytes)
{
    uint8_t digest[32];
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, map->data + offset, bytes);
    gt_sha256_end(&s, digest);
    if (memcmp(digest, map->data + 40, 32) == 0) return GT_OK;
    return GT_FAIL(GT_ERR_DATA,
                   "%s: its directory does not have the digest that its header says: damaged; quantize again",
                   map->path);
}

static void close_file(void *file)
{
    gtq_file *f = file;
    if (!f) return;
    gt_gtq_meta_free(&f->meta);
    gt_map_close(&f->map);
    free(f);
}

static gt_status open_file(gtq_file **out, const char *path)
{
    gtq_file *f = calloc(1, sizeof *f);
    if (!f) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a packed base", path);
    uint64_t offset = 0, bytes = 0;
    gt_status st = gt_map_open(&f->map, path);
    if (st == GT_OK) st = check_header(&f->map, &offset, &bytes);
    if (st == GT_OK) st = check_directory_digest(&f->map, offset, bytes);
    if (st == GT_OK) st = gt_gtq_meta_parse(&f->meta, (const char *)f->map.data + offset, bytes, offset, path);
    if (st != GT_OK) {
        close_file(f);
        return st;
    }
    *out = f;
    return GT_OK;
}

static const void *at(const gtq_file *f, const gt_gtq_section *s)
{
    return s->bytes ? f->map.data + s->offset : NULL;
}

static void view_matrix(gt_matrix *out, const gtq_file *f, const gt_gtq_tensor *t)
{
    *out = (gt_matrix){.data = at(f, &t->data),
                       .dtype = t->dtype,
                       .rows = t->rows,
                       .cols = t->cols,
                       .block = t->block,
                       .code = at(f, &t->code),
                       .absmax = at(f, &t->absmax),
                       .absmax8 = at(f, &t->absmax8),
                       .absmax2 = at(f, &t->absmax2),
                       .code2 = at(f, &t->code2),
                       .block2 = t->block2,
                       .offset = t->offset,
                       .round_to = t->round_to};
}

/* Norm factors are the base's own (who rounds a base rounds them in place): copied, a few MB at most. */
static gt_status copy_norms(gt_weights *w, const gtq_file *f)
{
    void *copy = NULL;
    GT_TRY(gt_weights_buffer(w, &copy, f->meta.norms.bytes));
    memcpy(copy, f->map.data + f->meta.norms.offset, f->meta.norms.bytes);
    float *at = copy;
    for (int l = 0; l < w->config.num_hidden_layers; l++) {
        for (int n = 0; n < GT_NORM_COUNT; n++) {
            w->norm[l][n] = at;
            at += gt_weights_norm_size(&w->config, (gt_norm)n);
        }
    }
    w->final_norm = at;
    return GT_OK;
}

/* Code books are few bytes that every weight goes through. */
static gt_status check_book(const char *path, const float *book, int n)
{
    for (int i = 0; book && i < n; i++)
        if (!isfinite(book[i])) return GT_FAIL(GT_ERR_DATA, "%s: a code book holds a value that is not finite", path);
    return GT_OK;
}

/* The identity must follow from config, norms and the directory's digests, or the directory was pieced together. */
static gt_status check_identity(const gt_weights *w, const gt_gtq_meta *m)
{
    const size_t matrices = (size_t)gt_slot_count(&m->config);
    uint8_t(*digest)[32] = malloc((matrices + 1) * 32);
    if (!digest) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu digests", w->path, matrices);
    memcpy(digest[0], m->embed.sha256, 32);
    for (size_t i = 0; i < matrices; i++) memcpy(digest[i + 1], m->proj[i].sha256, 32);
    char hex[65];
    gt_weights_identity_of(hex, w, digest);
    free(digest);
    if (strcmp(hex, m->info.identity) == 0) return GT_OK;
    return GT_FAIL(GT_ERR_DATA,
                   "%s: its identity is said to be %s and follows from its parts as %s: damaged; quantize again",
                   w->path, m->info.identity, hex);
}

gt_status gt_weights_open_gtq(gt_weights **out, const char *path)
{
    gt_weights *w = NULL;
    gtq_file *f = NULL;
    GT_TRY(open_file(&f, path));
    gt_status st = gt_weights_new(&w, "gtq", path);
    if (st != GT_OK) {
        close_file(f);
        return st;
    }
    st = gt_weights_keep(w, f, close_file); /* from here on w closes f */
    if (st == GT_OK) {
        gt_gtq_meta *m = &f->meta;
        w->config = m->config;
        memcpy(w->prefix, m->prefix, sizeof w->prefix);
        view_matrix(&w->embed, f, &m->embed);
        for (int l = 0; st == GT_OK && l < w->config.num_hidden_layers; l++) {
            for (int p = 0; st == GT_OK && p < GT_PROJ_COUNT; p++) {
                view_matrix(&w->proj[l][p], f, &m->proj[gt_slot_index((gt_slot){l, (gt_proj)p})]);
                st = check_book(path, w->proj[l][p].code, 16);
                if (st == GT_OK) st = check_book(path, w->proj[l][p].code2, 256);
            }
        }
        if (st == GT_OK) st = copy_norms(w, f);
        if (st == GT_OK) st = check_identity(w, m);
        gt_weights_set_identity(w, m->info.identity);
        m->info.tokenizer = m->tokenizer.bytes ? f->map.data + m->tokenizer.offset : NULL;
        m->info.tokenizer_bytes = m->tokenizer.bytes;
        m->info.file = f->map.path;
        w->packed = &m->info;
    }
    if (st != GT_OK) {
        gt_weights_close(w);
        return st;
    }
    *out = w;
    return GT_OK;
}

/* Verifying. */

typedef struct {
    const gtq_file *f;
    int part, parts;
    atomic_int wrong; /* the lowest task whose digest differs, or INT_MAX */
} check;

/* Task 0 is the embedding, 1 the norms, 2 the tokenizer, then the projections. */
static void digest_of(uint8_t out[32], const gtq_file *f, int task)
{
    if (task == 1 || task == 2) {
        const gt_gtq_section *s = task == 1 ? &f->meta.norms : &f->meta.tokenizer;
        gt_sha256 sha;
        gt_sha256_init(&sha);
        gt_sha256_add(&sha, f->map.data + s->offset, s->bytes);
        gt_sha256_end(&sha, out);
        return;
    }
    gt_matrix m;
    view_matrix(&m, f, task == 0 ? &f->meta.embed : &f->meta.proj[task - 3]);
    gt_weights_matrix_digest(out, &m);
}

static const uint8_t *wanted(const gt_gtq_meta *m, int task)
{
    return task == 0   ? m->embed.sha256
           : task == 1 ? m->norms_sha256
           : task == 2 ? m->tokenizer_sha256
                       : m->proj[task - 3].sha256;
}

static void verify_one(void *context, int task, int worker)
{
    (void)worker;
    check *c = context;
    task = task * c->parts + c->part;
    if (task == 2 && c->f->meta.tokenizer.bytes == 0) return;
    uint8_t digest[32];
    digest_of(digest, c->f, task);
    if (memcmp(digest, wanted(&c->f->meta, task), 32) == 0) return;
    int lowest = atomic_load(&c->wrong);
    while (task < lowest && !atomic_compare_exchange_weak(&c->wrong, &lowest, task)) {}
}

static gt_status report(const gtq_file *f, int task)
{
    char name[80] = "embed_tokens", found[65], want[65];
    uint8_t digest[32];
    if (task == 1)
        memcpy(name, "norms", 6);
    else if (task == 2)
        memcpy(name, "tokenizer", 10);
    else if (task > 2)
        gt_weights_proj_name(name, gt_slot_at(task - 3).layer, gt_slot_at(task - 3).proj);
    digest_of(digest, f, task);
    gt_hex(found, digest);
    gt_hex(want, wanted(&f->meta, task));
    return GT_FAIL(GT_ERR_DATA, "%s: %s is damaged: SHA-256 %s, expected %s; remove it, or quantize the model again",
                   f->map.path, name, found, want);
}

static int by_offset(const void *a, const void *b)
{
    const gt_gtq_section *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* What lies between sections must be zero, so that no byte of the file is outside every check. */
static gt_status check_gaps(const gtq_file *f)
{
    const gt_gtq_meta *m = &f->meta;
    const size_t matrices = (size_t)gt_slot_count(&m->config);
    gt_gtq_section *all = calloc(6 * matrices + 5, sizeof *all);
    if (!all) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its list of sections", f->map.path);
    size_t n = 0;
    all[n++] = (gt_gtq_section){0, GT_GTQ_HEADER};
    all[n++] = m->embed.data;
    all[n++] = m->norms;
    all[n++] = m->tokenizer;
    all[n++] = (gt_gtq_section){m->end, f->map.size - m->end};
    for (size_t i = 0; i < matrices; i++) {
        const gt_gtq_tensor *t = &m->proj[i];
        const gt_gtq_section parts[] = {t->data, t->code, t->absmax, t->absmax8, t->absmax2, t->code2};
        memcpy(all + n, parts, sizeof parts);
        n += sizeof parts / sizeof *parts;
    }
    qsort(all, n, sizeof *all, by_offset);
    gt_status st = GT_OK;
    uint64_t at = 0;
    for (size_t i = 0; st == GT_OK && i < n; i++) {
        for (; at < all[i].offset && f->map.data[at] == 0; at++) {}
        if (at < all[i].offset && all[i].bytes)
            st = GT_FAIL(GT_ERR_DATA, "%s: byte %llu between two sections must be 0", f->map.path,
                         (unsigned long long)at);
        if (all[i].bytes && all[i].offset + all[i].bytes > at) at = all[i].offset + all[i].bytes;
    }
    free(all);
    return st;
}

gt_status gt_gtq_verify_part(const char *path, gt_pool *pool, int part, int parts)
{
    gt_weights *w = NULL; /* checks the identity */
    GT_TRY(gt_weights_open_gtq(&w, path));
    gt_weights_close(w);
    gtq_file *f = NULL;
    GT_TRY(open_file(&f, path));
    check c = {.f = f, .part = part, .parts = parts, .wrong = INT32_MAX};
    const int tasks = 3 + gt_slot_count(&f->meta.config);
    gt_pool_run(pool, part < tasks ? (tasks - part + parts - 1) / parts : 0, verify_one, &c);
    const int wrong = atomic_load(&c.wrong);
    gt_status st = wrong == INT32_MAX ? GT_OK : report(f, wrong);
    if (st == GT_OK && part == 0) st = check_gaps(f);
    close_file(f);
    return st;
}

gt_status gt_gtq_verify(const char *path, gt_pool *pool)
{
    return gt_gtq_verify_part(path, pool, 0, 1);
}
