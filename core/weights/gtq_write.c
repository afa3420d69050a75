/* Writing a packed base. All places are known beforehand (gtq_plan.h), so every rank writes its matrices into one
 * shared temporary file with pwrite; digests and nested offsets are gathered, and rank 0 adds directory and header. Any
 * rank's failure is every rank's: the file is removed and nothing was ever at path. */
#include "gtq_plan.h"

#include "checked.h"
#include "fs.h"
#include "hash.h"
#include "nf4.h"
#include "output_folder.h"
#include "pack_nf4.h"
#include "signals.h"
#include "weights_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EMBED_TILE = 4 << 20 }; /* bytes of embedding converted at a time */

/* What a matrix's owner tells the others. */
typedef struct {
    uint8_t sha256[32];
    float offset;
} result;

typedef struct {
    const char *path;
    char tmp[4096];
    int fd;
    const gt_weights *source;
    const gt_gtq_options *o;
    gt_gtq_plan plan;
    gt_comm *comm; /* NULL: alone */
    gt_pool *pool;
    int rank, ranks;
    void *memory; /* [plan.pack_bytes] */
    result *mine; /* [1 + layers * GT_PROJ_COUNT]: the embedding, then the projections */
    result *all;  /* [ranks][the same] */
} writer;

static gt_status put(const writer *w, const void *data, size_t size, uint64_t offset)
{
    const char *at = data;
    while (size > 0) {
        const ssize_t n = pwrite(w->fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return GT_FAIL(GT_ERR_IO, "%s: %s", w->tmp, n < 0 ? strerror(errno) : "nothing was written");
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return GT_OK;
}

static gt_status put_section(const writer *w, const gt_gtq_section *s, const void *data)
{
    return s->bytes ? put(w, data, s->bytes, s->offset) : GT_OK;
}

/* One projection: quantized, or as it is stored, into its place. */
static gt_status write_matrix(writer *w, int i)
{
    GT_TRY(gt_signals_check());
    const gt_matrix *src = gt_weights_slot(w->source, i);
    gt_matrix packed = *src;
    if (!gt_dtype_fourbit(src->dtype) &&
        gt_pack_nf4(&packed, w->memory, src, w->o->double_quant, w->plan.code2, w->pool) != GT_OK) {
        const gt_slot slot = gt_slot_at(i);
        char name[80];
        gt_weights_proj_name(name, slot.layer, slot.proj);
        return gt_error_prefix("%s: tensor '%s.weight'", w->source->path, name);
    }
    const gt_gtq_tensor *t = &w->plan.meta.proj[i];
    result *r = &w->mine[1 + i];
    gt_weights_matrix_digest(r->sha256, &packed);
    r->offset = packed.offset;
    GT_TRY(put_section(w, &t->data, packed.data));
    GT_TRY(put_section(w, &t->absmax, packed.absmax));
    GT_TRY(put_section(w, &t->absmax8, packed.absmax8));
    return put_section(w, &t->absmax2, packed.absmax2);
}

typedef struct {
    const gt_matrix *src;
    uint16_t *out;
    int row; /* the tile's first */
} convert_job;

static void convert_row(void *context, int task, int worker)
{
    (void)worker;
    const convert_job *j = context;
    const size_t cols = (size_t)j->src->cols, begin = (size_t)(j->row + task) * cols;
    uint16_t *out = j->out + (size_t)task * cols;
    for (size_t i = 0; i < cols; i += 1024) {
        float value[1024];
        const size_t n = gt_min_size(1024, cols - i);
        gt_pack_read(value, j->src, begin + i, n);
        for (size_t k = 0; k < n; k++) out[i + k] = gt_f32_to_bf16(value[k]);
    }
}

/* The embedding streams through: as stored, or its bf16 tile by tile. */
static gt_status write_embedding(writer *w)
{
    const gt_matrix *e = &w->source->embed;
    const gt_gtq_tensor *t = &w->plan.meta.embed;
    const size_t row_bytes = t->data.bytes / (size_t)t->rows;
    const int tile = gt_max_int(1, (int)(EMBED_TILE / row_bytes));
    uint16_t *converted = NULL;
    if (e->dtype != t->dtype && !(converted = malloc((size_t)tile * row_bytes)))
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a tile of the embedding");
    gt_sha256 sha;
    gt_weights_digest_begin(&sha, t->dtype, t->rows, t->cols);
    gt_status st = GT_OK;
    for (int row = 0; st == GT_OK && row < t->rows; row += tile) {
        const int rows = gt_min_int(tile, t->rows - row);
        const void *data = (const uint8_t *)e->data + (size_t)row * row_bytes;
        if (converted) {
            convert_job j = {e, converted, row};
            gt_pool_run(w->pool, rows, convert_row, &j);
            data = converted;
        }
        gt_sha256_add(&sha, data, (size_t)rows * row_bytes);
        st = put(w, data, (size_t)rows * row_bytes, t->data.offset + (size_t)row * row_bytes);
        if (st == GT_OK) st = gt_signals_check();
    }
    gt_sha256_end(&sha, w->mine[0].sha256);
    free(converted);
    return st;
}

static gt_status write_small_parts(const writer *w)
{
    const gt_gtq_meta *m = &w->plan.meta;
    for (size_t i = 0; i < w->plan.books; i++) GT_TRY(put_section(w, &w->plan.book[i].at, w->plan.book[i].value));
    uint64_t at = m->norms.offset;
    for (int i = 0; i < w->source->config.num_hidden_layers * GT_NORM_COUNT; i++) {
        const size_t bytes =
            (size_t)gt_weights_norm_size(&w->source->config, (gt_norm)(i % GT_NORM_COUNT)) * sizeof(float);
        GT_TRY(put(w, w->source->norm[i / GT_NORM_COUNT][i % GT_NORM_COUNT], bytes, at));
        at += bytes;
    }
    GT_TRY(put(w, w->source->final_norm, (size_t)w->source->config.hidden_size * sizeof(float), at));
    return put_section(w, &m->tokenizer, w->o->tokenizer);
}

static gt_status write_share(writer *w)
{
    if (w->plan.embed_owner == w->rank) {
        GT_TRY(write_small_parts(w));
        GT_TRY(write_embedding(w));
    }
    for (int i = 0; i < gt_slot_count(&w->source->config); i++)
        if (w->plan.owner[gt_slot_at(i).layer] == w->rank) GT_TRY(write_matrix(w, i));
    if (fsync(w->fd) != 0) return GT_FAIL(GT_ERR_IO, "%s: %s", w->tmp, strerror(errno));
    return GT_OK;
}

/* Puts what the owners found into the directory, and the identity that follows. */
static void complete_meta(writer *w)
{
    gt_gtq_meta *m = &w->plan.meta;
    const int count = 1 + gt_slot_count(&w->source->config);
    uint8_t(*digest)[32] = (uint8_t(*)[32])w->memory; /* plan.pack_bytes has room: see allocate */
    for (int i = 0; i < count; i++) {
        const int owner = i == 0 ? w->plan.embed_owner : w->plan.owner[gt_slot_at(i - 1).layer];
        const result *r = &w->all[(size_t)owner * (size_t)count + (size_t)i];
        gt_gtq_tensor *t = i == 0 ? &m->embed : &m->proj[i - 1];
        memcpy(t->sha256, r->sha256, 32);
        memcpy(digest[i], r->sha256, 32);
        if (i > 0) t->offset = r->offset;
    }
    gt_weights_identity_of(m->info.identity, w->source, digest);
    gt_sha256 s;
    gt_sha256_init(&s);
    for (int i = 0; i < w->source->config.num_hidden_layers * GT_NORM_COUNT; i++)
        gt_sha256_add(&s, w->source->norm[i / GT_NORM_COUNT][i % GT_NORM_COUNT],
                      (size_t)gt_weights_norm_size(&w->source->config, (gt_norm)(i % GT_NORM_COUNT)) * sizeof(float));
    gt_sha256_add(&s, w->source->final_norm, (size_t)w->source->config.hidden_size * sizeof(float));
    gt_sha256_end(&s, m->norms_sha256);
    gt_sha256_init(&s);
    gt_sha256_add(&s, w->o->tokenizer, m->tokenizer.bytes);
    gt_sha256_end(&s, m->tokenizer_sha256);
}

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)(v >> (8 * i));
}

/* Rank 0: the directory behind everything, the header in front, then the name. */
static gt_status finish(writer *w)
{
    complete_meta(w);
    gt_text text = {0};
    gt_gtq_meta_print(&text, &w->plan.meta);
    if (text.failed || text.size > GT_GTQ_MAX_META) {
        gt_text_free(&text);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its directory", w->path);
    }
    uint8_t header[GT_GTQ_HEADER] = {0};
    memcpy(header, gt_gtq_magic, sizeof gt_gtq_magic);
    put_u64(header + 8, GT_GTQ_VERSION | (uint64_t)GT_GTQ_HEADER << 32);
    put_u64(header + 16, w->plan.meta_offset + text.size);
    put_u64(header + 24, w->plan.meta_offset);
    put_u64(header + 32, text.size);
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, text.data, text.size);
    gt_sha256_end(&s, header + 40);
    gt_status st = put(w, text.data, text.size, w->plan.meta_offset);
    gt_text_free(&text);
    if (st == GT_OK) st = put(w, header, sizeof header, 0);
    if (st == GT_OK && fsync(w->fd) != 0) st = GT_FAIL(GT_ERR_IO, "%s: %s", w->tmp, strerror(errno));
    if (st == GT_OK) st = gt_output_file_check(w->path, w->o->replace);
    return st == GT_OK ? gt_fs_publish(w->tmp, w->path) : st;
}

/* The temporary file, locked as long as it is written: a sweep (gt_fs_sweep) sees that it has an owner. One that
 * removed it between open and lock left us a file without a name, so we begin again. */
static gt_status open_locked(writer *w)
{
    for (;;) {
        w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        struct stat s;
        if (w->fd < 0) return GT_FAIL(GT_ERR_IO, "%s: %s", w->tmp, strerror(errno));
        while (flock(w->fd, LOCK_EX) != 0 && errno == EINTR) /* where files cannot be locked, nothing is swept either */
            ;
        if (fstat(w->fd, &s) != 0) return GT_FAIL(GT_ERR_IO, "%s: %s", w->tmp, strerror(errno));
        if (s.st_nlink > 0) return GT_OK;
        close(w->fd);
    }
}

/* Rank 0 makes the file and takes its space, so that a full disk shows before the work. */
static gt_status create(writer *w)
{
    GT_TRY(gt_output_file_check(w->path, w->o->replace));
    GT_TRY(gt_fs_make_parent(w->path));
    GT_TRY(open_locked(w));
    const int error = posix_fallocate(w->fd, 0, (off_t)w->plan.meta_offset);
    if (error != 0 && error != EINVAL && error != EOPNOTSUPP)
        return GT_FAIL(GT_ERR_IO, "%s: %s; it takes %llu bytes", w->tmp, strerror(error),
                       (unsigned long long)w->plan.meta_offset);
    return GT_OK;
}

static gt_status open_shared(writer *w)
{
    if (w->rank == 0) return GT_OK;
    w->fd = open(w->tmp, O_WRONLY | O_CLOEXEC);
    return w->fd >= 0 ? GT_OK
                      : GT_FAIL(GT_ERR_IO, "%s: rank %d cannot open it: %s; the folder must be one for all ranks",
                                w->tmp, w->rank, strerror(errno));
}

static gt_status allocate(writer *w)
{
    const size_t count = 1 + (size_t)gt_slot_count(&w->source->config);
    w->mine = calloc(count, sizeof *w->mine);
    w->all = calloc(count * (size_t)w->ranks, sizeof *w->all);
    const size_t bytes = gt_max_size(w->plan.pack_bytes, count * 32);
    if (!w->mine || !w->all || posix_memalign(&w->memory, 64, bytes) != 0)
        return GT_FAIL(GT_ERR_NOMEM, "no memory to pack a matrix: %zu bytes", bytes);
    return GT_OK;
}

/* Everything between plan and name; every step is agreed upon before the next. */
static gt_status write_file(writer *w)
{
    const size_t bytes = (1 + (size_t)gt_slot_count(&w->source->config)) * sizeof *w->mine;
    gt_status st = allocate(w);
    if (st == GT_OK && w->rank == 0) st = create(w);
    GT_TRY(gt_comm_agree(w->comm, st));
    if (w->comm) GT_TRY(gt_comm_broadcast(w->comm, w->tmp, sizeof w->tmp, 0));
    GT_TRY(gt_comm_agree(w->comm, open_shared(w)));
    GT_TRY(gt_comm_agree(w->comm, write_share(w)));
    if (w->comm)
        GT_TRY(gt_comm_gather(w->comm, w->mine, bytes, w->all));
    else
        memcpy(w->all, w->mine, bytes);
    return gt_comm_agree(w->comm, w->rank == 0 ? finish(w) : GT_OK);
}

gt_status gt_gtq_write(const char *path, const gt_weights *source, const gt_gtq_options *o, gt_comm *comm,
                       gt_pool *pool)
{
    writer *w = calloc(1, sizeof *w);
    if (!w) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a writer", path);
    *w = (writer){.path = path, .fd = -1, .source = source, .o = o, .comm = comm, .pool = pool, .ranks = 1};
    if (comm) {
        w->rank = comm->rank;
        w->ranks = comm->size;
    }
    const int n = snprintf(w->tmp, sizeof w->tmp, "%s.tmp.%ld", path, (long)getpid());
    gt_status st = n < (int)sizeof w->tmp ? GT_OK : GT_FAIL(GT_ERR_CONFIG, "%s: the path is too long", path);
    if (st == GT_OK) st = gt_gtq_plan_make(&w->plan, source, o, w->ranks);
    st = gt_comm_agree(w->comm, st);
    if (st == GT_OK) st = write_file(w);
    if (w->fd >= 0) close(w->fd);
    if (w->rank == 0 && w->fd >= 0) unlink(w->tmp); /* gone already when it was published */
    gt_gtq_plan_free(&w->plan);
    free(w->memory);
    free(w->mine);
    free(w->all);
    free(w);
    return st;
}
