#include "onednn.h"

#include "cpu_path.h"

#include <dnnl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* From the OpenMP runtime that oneDNN links: the number of threads its parallel regions use on the calling thread. */
extern void omp_set_num_threads(int threads);

/* Enough for the tiles of one training step (about 150 shapes) beside the odd last tiles of varying micro-batches. */
enum { CAPACITY = 512, BUCKETS = 1024, BLOCKED = 2 };

typedef union {
    struct {
        int32_t m, n, k;
        uint8_t ta, b_kind, ab, c; /* b_kind: 0 as it is, 1 transposed, 2 in blocks */
        int64_t lda, ldb, ldc;
        float alpha, beta;
    };
    uint64_t word[6]; /* what is hashed and compared: a key equals itself, also with an alpha that is no number */
} product_key;
_Static_assert(sizeof(product_key) == 48, "product_key must have no padding");

typedef struct {
    product_key key;
    dnnl_primitive_t primitive;
    dnnl_memory_desc_t a, b, c, scratch;
    size_t scratch_bytes;
    atomic_uint_fast64_t used; /* tick of the latest use: the oldest goes first */
    int next;                  /* chain of the bucket, -1 ends */
} entry;

static struct {
    pthread_once_t once;
    pthread_rwlock_t lock; /* held for reading while a primitive runs, so that it cannot be evicted under its user */
    dnnl_engine_t engine;
    dnnl_status_t status;
    bool blocks;    /* the library's favourite order is the one we write */
    entry *entries; /* [CAPACITY] */
    int count, bucket[BUCKETS];
    atomic_uint_fast64_t tick;
} cache = {.once = PTHREAD_ONCE_INIT};

static pthread_key_t stream_key;

/* The library may use what the path in use names and nothing above it. It settles on an instruction set at its first
 * use, so a path lowered after the first product has no effect here. */
static void limit_isa(void)
{
    static const dnnl_cpu_isa_t isa[] = {[GT_PATH_PLAIN] = dnnl_cpu_isa_sse41,
                                         [GT_PATH_AVX2] = dnnl_cpu_isa_avx2,
                                         [GT_PATH_AVX512] = dnnl_cpu_isa_avx512_core,
                                         [GT_PATH_AVX512_BF16] = dnnl_cpu_isa_avx512_core_bf16};
    const gt_cpu_path path = gt_cpu_path_current();
    if (path != GT_PATH_AMX) dnnl_set_max_cpu_isa(isa[path]);
}

static void destroy_stream(void *stream)
{
    dnnl_stream_destroy(stream);
}

static bool has_bf16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

/* Asks for a product whose right operand may lie as the library likes, and compares what it likes. */
static bool prefers_blocks(void)
{
    enum { M = 64, N = 256, K = 640 };
    dnnl_dims_t a_dims = {M, K}, b_dims = {K, N}, c_dims = {M, N};
    dnnl_memory_desc_t a, b, c, blocks;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd = NULL;
    bool same = dnnl_memory_desc_init_by_tag(&a, 2, a_dims, dnnl_bf16, dnnl_ab) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&b, 2, b_dims, dnnl_bf16, dnnl_format_tag_any) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&c, 2, c_dims, dnnl_bf16, dnnl_ab) == dnnl_success &&
                dnnl_memory_desc_init_by_tag(&blocks, 2, b_dims, dnnl_bf16, dnnl_BA16a64b2a) == dnnl_success &&
                dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c) == dnnl_success &&
                dnnl_primitive_desc_create(&pd, &desc, NULL, cache.engine, NULL) == dnnl_success;
    if (same) {
        const dnnl_memory_desc_t *liked = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
        same = liked && dnnl_memory_desc_equal(liked, &blocks);
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    return same;
}

static void start(void)
{
    limit_isa();
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* Products follow each other without a pause, so waiting for a moment without readers would starve a new shape. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&cache.lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    pthread_key_create(&stream_key, destroy_stream);
    for (int i = 0; i < BUCKETS; i++) cache.bucket[i] = -1;
    cache.entries = calloc(CAPACITY, sizeof *cache.entries);
    /* One cache is enough; the library's own would keep what ours has dropped. */
    dnnl_set_primitive_cache_capacity(0);
    cache.status = cache.entries ? dnnl_engine_create(&cache.engine, dnnl_cpu, 0) : dnnl_out_of_memory;
    cache.blocks = cache.status == dnnl_success && has_bf16() && prefers_blocks();
}

/* The calling thread's stream; a thread's first call also limits its parallel regions to itself. */
static gt_status thread_stream(dnnl_stream_t *out)
{
    pthread_once(&cache.once, start);
    if (cache.status != dnnl_success)
        return GT_FAIL(GT_ERR_DEVICE, "oneDNN gives no CPU engine (status %d)", (int)cache.status);
    dnnl_stream_t stream = pthread_getspecific(stream_key);
    if (!stream) {
        omp_set_num_threads(1);
        dnnl_status_t s = dnnl_stream_create(&stream, cache.engine, dnnl_stream_default_flags);
        if (s != dnnl_success) return GT_FAIL(GT_ERR_DEVICE, "oneDNN gives no stream (status %d)", (int)s);
        pthread_setspecific(stream_key, stream);
    }
    *out = stream;
    return GT_OK;
}

bool gt_onednn_bf16(void)
{
    pthread_once(&cache.once, start);
    return has_bf16();
}

bool gt_onednn_blocks(void)
{
    pthread_once(&cache.once, start);
    return cache.blocks;
}

/* The instruction set the library settled on, for words. */
static const char *isa_name(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "other";
    }
}

/* Strides between single rows or columns mean nothing: made dense, they meet the library's faster kernels and fewer
 * shapes are distinct. */
static product_key key_of(const gt_onednn_product *p)
{
    product_key k = {.m = p->m,
                     .n = p->n,
                     .k = p->k,
                     .ta = p->ta,
                     .b_kind = p->blocked ? BLOCKED : p->tb,
                     .ab = (uint8_t)p->ab,
                     .c = (uint8_t)p->c,
                     .lda = p->lda,
                     .ldb = p->blocked ? 0 : p->ldb,
                     .ldc = p->ldc,
                     .alpha = p->alpha,
                     .beta = p->beta};
    if ((p->ta ? p->k : p->m) == 1) k.lda = p->ta ? p->m : p->k;
    if (!p->blocked && (p->tb ? p->n : p->k) == 1) k.ldb = p->tb ? p->k : p->n;
    if (p->m == 1) k.ldc = p->n;
    return k;
}

static unsigned hash_of(const product_key *key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof key->word / sizeof *key->word; i++) {
        h = (h ^ key->word[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (unsigned)(h % BUCKETS);
}

static entry *find(const product_key *key)
{
    for (int i = cache.bucket[hash_of(key)]; i >= 0; i = cache.entries[i].next)
        if (memcmp(cache.entries[i].key.word, key->word, sizeof key->word) == 0) return &cache.entries[i];
    return NULL;
}

static dnnl_status_t describe(dnnl_memory_desc_t *d, int rows, int cols, int64_t ld, bool transposed, uint8_t dtype)
{
    dnnl_dims_t dims = {rows, cols};
    dnnl_dims_t strides = {transposed ? 1 : ld, transposed ? ld : 1};
    return dnnl_memory_desc_init_by_strides(d, 2, dims, dtype == GT_BF16 ? dnnl_bf16 : dnnl_f32, strides);
}

static dnnl_status_t describe_blocks(dnnl_memory_desc_t *d, int rows, int cols)
{
    dnnl_dims_t dims = {rows, cols};
    return dnnl_memory_desc_init_by_tag(d, 2, dims, dnnl_bf16, dnnl_BA16a64b2a);
}

static dnnl_status_t attributes(dnnl_primitive_attr_t *out, const product_key *key)
{
    dnnl_status_t s = dnnl_primitive_attr_create(out);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    if (s == dnnl_success && key->alpha != 1.0f) s = dnnl_primitive_attr_set_output_scales(*out, 1, 0, &key->alpha);
    if (s == dnnl_success && key->beta != 0.0f) {
        dnnl_post_ops_t ops = NULL;
        s = dnnl_post_ops_create(&ops);
        if (s == dnnl_success) s = dnnl_post_ops_append_sum(ops, key->beta);
        if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*out, ops);
        dnnl_post_ops_destroy(ops);
    }
    return s;
}

static dnnl_status_t build(entry *e, const product_key *key)
{
    memset(e, 0, sizeof *e);
    e->key = *key;
    dnnl_status_t s = describe(&e->a, key->m, key->k, key->lda, key->ta, key->ab);
    if (s == dnnl_success)
        s = key->b_kind == BLOCKED ? describe_blocks(&e->b, key->k, key->n)
                                   : describe(&e->b, key->k, key->n, key->ldb, key->b_kind, key->ab);
    if (s == dnnl_success) s = describe(&e->c, key->m, key->n, key->ldc, false, key->c);
    dnnl_matmul_desc_t desc;
    if (s == dnnl_success) s = dnnl_matmul_desc_init(&desc, &e->a, &e->b, NULL, &e->c);
    dnnl_primitive_attr_t attr = NULL;
    if (s == dnnl_success) s = attributes(&attr, key);
    dnnl_primitive_desc_t pd = NULL;
    if (s == dnnl_success) s = dnnl_primitive_desc_create(&pd, &desc, attr, cache.engine, NULL);
    if (s == dnnl_success) {
        const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        if (scratch) {
            e->scratch = *scratch;
            e->scratch_bytes = dnnl_memory_desc_get_size(scratch);
        }
        s = dnnl_primitive_create(&e->primitive, pd);
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return s;
}

/* The slot a new entry goes to: a free one, or that of the entry unused for longest. Needs the lock for writing. */
static int take_slot(void)
{
    if (cache.count < CAPACITY) return cache.count++;
    int oldest = 0;
    for (int i = 1; i < CAPACITY; i++)
        if (atomic_load(&cache.entries[i].used) < atomic_load(&cache.entries[oldest].used)) oldest = i;
    int *link = &cache.bucket[hash_of(&cache.entries[oldest].key)];
    while (*link != oldest) link = &cache.entries[*link].next;
    *link = cache.entries[oldest].next;
    dnnl_primitive_destroy(cache.entries[oldest].primitive);
    return oldest;
}

static dnnl_status_t add(const product_key *key)
{
    entry fresh;
    dnnl_status_t s = build(&fresh, key);
    if (s != dnnl_success) return s;
    pthread_rwlock_wrlock(&cache.lock);
    if (find(key)) { /* another thread was quicker */
        dnnl_primitive_destroy(fresh.primitive);
    } else {
        int slot = take_slot();
        unsigned bucket = hash_of(key);
        fresh.next = cache.bucket[bucket];
        atomic_store(&fresh.used, atomic_fetch_add(&cache.tick, 1));
        cache.entries[slot] = fresh;
        cache.bucket[bucket] = slot;
    }
    pthread_rwlock_unlock(&cache.lock);
    return dnnl_success;
}

static dnnl_status_t execute(const entry *e, dnnl_stream_t stream, const void *a, const void *b, void *c, void *scratch)
{
    void *extra = NULL;
    if (e->scratch_bytes > GT_ONEDNN_SCRATCH) {
        extra = aligned_alloc(64, (e->scratch_bytes + 63) & ~(size_t)63);
        if (!extra) return dnnl_out_of_memory;
        scratch = extra;
    }
    /* The library takes its inputs as void *; it does not write them. */
    dnnl_exec_arg_t arg[4] = {
        {DNNL_ARG_SRC, NULL}, {DNNL_ARG_WEIGHTS, NULL}, {DNNL_ARG_DST, NULL}, {DNNL_ARG_SCRATCHPAD, NULL}};
    dnnl_status_t s = dnnl_memory_create(&arg[0].memory, &e->a, cache.engine, (void *)(uintptr_t)a);
    if (s == dnnl_success) s = dnnl_memory_create(&arg[1].memory, &e->b, cache.engine, (void *)(uintptr_t)b);
    if (s == dnnl_success) s = dnnl_memory_create(&arg[2].memory, &e->c, cache.engine, c);
    int args = 3;
    if (s == dnnl_success && e->scratch_bytes > 0) {
        s = dnnl_memory_create(&arg[3].memory, &e->scratch, cache.engine, scratch);
        args = 4;
    }
    if (s == dnnl_success) s = dnnl_primitive_execute(e->primitive, stream, args, arg);
    for (int i = 0; i < args; i++)
        if (arg[i].memory) dnnl_memory_destroy(arg[i].memory);
    free(extra);
    return s;
}

static gt_status refuse(const product_key *k, dnnl_status_t s)
{
    return GT_FAIL(
        GT_ERR_DEVICE,
        "oneDNN (%s) fails with status %d on the product C[%d,%d] = A B, k = %d, operands %s, result %s, strides "
        "%lld %lld %lld%s%s; run with --backend ref",
        isa_name(), (int)s, k->m, k->n, k->k, gt_dtype_name((gt_dtype)k->ab), gt_dtype_name((gt_dtype)k->c),
        (long long)k->lda, (long long)k->ldb, (long long)k->ldc, k->ta ? ", A transposed" : "",
        k->b_kind == BLOCKED ? ", B in blocks"
        : k->b_kind          ? ", B transposed"
                             : "");
}

gt_status gt_onednn_run(const gt_onednn_product *p, const void *a, const void *b, void *c, void *scratch)
{
    dnnl_stream_t stream = NULL;
    GT_TRY(thread_stream(&stream));
    const product_key key = key_of(p);
    for (;;) {
        pthread_rwlock_rdlock(&cache.lock);
        entry *e = find(&key);
        dnnl_status_t s = dnnl_success;
        if (e) {
            atomic_store_explicit(&e->used, atomic_fetch_add_explicit(&cache.tick, 1, memory_order_relaxed),
                                  memory_order_relaxed);
            s = execute(e, stream, a, b, c, scratch);
        }
        pthread_rwlock_unlock(&cache.lock);
        if (e) return s == dnnl_success ? GT_OK : refuse(&key, s);
        s = add(&key); /* it may be evicted again before the next round finds it: then it is built once more */
        if (s != dnnl_success) return refuse(&key, s);
    }
}
