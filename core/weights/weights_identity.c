/* The identity of a base: a digest a matrix, in parallel, and one digest over those in the model's order, so that the
 * result depends on neither names, files nor threads. */
#include "weights_sources.h"

#include "clock.h"
#include "hash.h"
#include "log.h"
#include "pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static void add_double(gt_sha256 *s, double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    gt_sha256_add_u64(s, u);
}

/* What changes the model's function: not the position limit, not special ids. */
static void add_config(gt_sha256 *s, const gt_model_config *c)
{
    const int sizes[] = {c->vocab_size,        c->hidden_size,         c->intermediate_size,
                         c->num_hidden_layers, c->num_attention_heads, c->num_key_value_heads,
                         c->head_dim,          c->sliding_window,      c->bidirectional};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) gt_sha256_add_u64(s, (uint64_t)sizes[i]);
    add_double(s, c->rms_norm_eps);
    add_double(s, c->query_pre_attn_scalar);
    add_double(s, c->rope_theta);
    add_double(s, c->rope_local_base_freq);
    add_double(s, c->rope_factor);
    add_double(s, c->final_logit_softcapping);
    gt_sha256_add(s, c->layer_is_full, (size_t)c->num_hidden_layers);
}

void gt_weights_digest_begin(gt_sha256 *s, gt_dtype dtype, int rows, int cols)
{
    gt_sha256_init(s);
    gt_sha256_add_u64(s, (uint64_t)dtype);
    gt_sha256_add_u64(s, (uint64_t)rows);
    gt_sha256_add_u64(s, (uint64_t)cols);
}

static void add_matrix(gt_sha256 *s, const gt_matrix *m)
{
    const size_t n = (size_t)m->rows * (size_t)m->cols;
    const size_t per = (size_t)gt_dtype_block_elements(m->dtype);
    gt_weights_digest_begin(s, m->dtype, m->rows, m->cols);
    gt_sha256_add(s, m->data, (n + per - 1) / per * (size_t)gt_dtype_block_bytes(m->dtype));
    if (!gt_dtype_fourbit(m->dtype)) return;
    const size_t blocks = (n + (size_t)m->block - 1) / (size_t)m->block;
    gt_sha256_add_u64(s, (uint64_t)m->block);
    gt_sha256_add_u64(s, (uint64_t)m->round_to);
    gt_sha256_add(s, m->code, 16 * sizeof(float));
    if (m->absmax) {
        gt_sha256_add(s, m->absmax, blocks * sizeof(float));
        return;
    }
    gt_sha256_add_u64(s, (uint64_t)m->block2);
    gt_sha256_add(s, m->absmax8, blocks);
    gt_sha256_add(s, m->absmax2, (blocks + (size_t)m->block2 - 1) / (size_t)m->block2 * sizeof(float));
    gt_sha256_add(s, m->code2, 256 * sizeof(float));
    gt_sha256_add(s, &m->offset, sizeof m->offset);
}

void gt_weights_matrix_digest(uint8_t digest[32], const gt_matrix *m)
{
    gt_sha256 s;
    add_matrix(&s, m);
    gt_sha256_end(&s, digest);
}

void gt_weights_identity_of(char hex[65], const gt_weights *w, uint8_t (*digest)[32])
{
    const gt_model_config *c = &w->config;
    uint8_t all[32];
    gt_sha256 s;
    gt_sha256_init(&s);
    add_config(&s, c);
    gt_sha256_add(&s, digest, (size_t)(1 + gt_slot_count(c)) * 32);
    for (int l = 0; l < c->num_hidden_layers; l++)
        for (int n = 0; n < GT_NORM_COUNT; n++)
            gt_sha256_add(&s, w->norm[l][n], (size_t)gt_weights_norm_size(c, (gt_norm)n) * sizeof(float));
    gt_sha256_add(&s, w->final_norm, (size_t)c->hidden_size * sizeof(float));
    gt_sha256_end(&s, all);
    gt_hex(hex, all);
}

typedef struct {
    const gt_weights *w;
    uint8_t (*digest)[32]; /* 0: the embedding, then layer by layer */
    int tasks;
    atomic_int done;
    double begun, told;
} job;

/* Worker 0 is the caller's thread; it alone tells. */
static void tell(job *j, int worker)
{
    const int done = atomic_fetch_add(&j->done, 1) + 1;
    if (worker != 0) return;
    const double now = gt_clock();
    if (now - j->begun < 2 || now - j->told < 5) return;
    j->told = now;
    gt_log(GT_INFO, "weights", "reading the base for its identity: %d of %d matrices", done, j->tasks);
}

static void hash_one(void *context, int task, int worker)
{
    job *j = context;
    gt_weights_matrix_digest(j->digest[task], task == 0 ? &j->w->embed : gt_weights_slot(j->w, task - 1));
    tell(j, worker);
}

gt_status gt_weights_identity(const gt_weights *w, char hex[65])
{
    if (gt_weights_carried_identity(w)[0]) {
        memcpy(hex, gt_weights_carried_identity(w), 65);
        return GT_OK;
    }
    const gt_model_config *c = &w->config;
    job j = {.w = w, .tasks = 1 + gt_slot_count(c), .begun = gt_clock()};
    gt_pool *pool = NULL;
    j.digest = calloc((size_t)j.tasks, 32);
    if (!j.digest) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %d digests", w->path, j.tasks);
    gt_status st = gt_pool_create(&pool, gt_pool_threads_for(0));
    if (st == GT_OK) {
        gt_pool_run(pool, j.tasks, hash_one, &j);
        gt_weights_identity_of(hex, w, j.digest);
    }
    gt_pool_destroy(pool);
    free(j.digest);
    return st;
}
