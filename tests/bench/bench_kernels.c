/* bench_kernels - how fast the cpu table's products, attention and head are, beside oneDNN called by itself.
 *
 * usage: bench_kernels [gemm|decode|attention|head|rate|path] [--threads N] [--tokens T] [--results FILE]
 * rate prints one JSON line: oneDNN's rate over the 270M's projections, weighted by time (the sum of operations over
 * the sum of times), which is what a training step is compared with. path prints the cpu table's path. GFLOP/s, 1e9
 * multiply-adds counted as two; best of several. --results merges the figures into a table (results.py), attention and
 * the head beside oneDNN's rate, decoding and single rows beside what the memory gives. Where oneDNN has no bf16
 * products its figures are absent: printed as nan, left empty in the table. */
#include "arena.h"
#include "attention.h"
#include "checked.h"
#include "nf4.h"
#include "pool.h"
#include "backends.h"
#include "table.h"

#include <dnnl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern void omp_set_num_threads(int threads);

static clockid_t clock_used = CLOCK_MONOTONIC; /* one thread: its own CPU time, so that a busy machine disturbs less */

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop_on(gt_status st)
{
    if (st == GT_OK) return;
    fprintf(stderr, "%s\n", gt_error_last()->message);
    exit(1);
}

/* 64-byte aligned memory of random bf16 values (or any other bytes small enough to be them). */
static void *random_bf16(size_t count)
{
    uint16_t *p = aligned_alloc(64, gt_align_up(count * 2 + 64, 64));
    uint32_t x = 12345;
    for (size_t i = 0; i < count; i++) {
        x = x * 1664525u + 1013904223u;
        p[i] = gt_f32_to_bf16((float)(int32_t)x * (1.0f / 2147483648.0f));
    }
    return p;
}

/* Rows for --results; results.py does the rest. */

static char *table;
static size_t table_bytes;
static FILE *rows;
static const char *path; /* of the cpu table */

/* NAN or 0 for a figure that is absent. */
static void row(const char *name, int threads, const char *unit, double ours, double peer, double floor)
{
    if (rows) fprintf(rows, "bench_kernels,%s,%s,%d,%s,%g,%g,%g\n", name, path, threads, unit, ours, peer, floor);
}

static void write_results(const char *file)
{
    fclose(rows);
    char command[4096];
    snprintf(command, sizeof command, "python3 '%s/tests/bench/results.py' '%s'", GT_SOURCE_DIR, file);
    FILE *merge = popen(command, "w");
    if (!merge || fwrite(table, 1, table_bytes, merge) != table_bytes || pclose(merge) != 0) {
        fprintf(stderr, "%s: results.py did not take the rows\n", file);
        exit(1);
    }
    free(table);
}

/* oneDNN alone. */

typedef struct {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arg[4];
    dnnl_stream_t stream;
} raw;

static void raw_check(dnnl_status_t s)
{
    if (s == dnnl_success) return;
    fprintf(stderr, "oneDNN status %d\n", (int)s);
    exit(1);
}

/* y [m,n] = x [m,k] W, W stored [n,k] (tb) or [k,n], bf16; packed: W in the order the library likes best. NAN where the
 * library has no such product. */
static double raw_seconds(int threads, int m, int n, int k, bool tb, bool packed)
{
    static dnnl_engine_t engine;
    if (!engine) raw_check(dnnl_engine_create(&engine, dnnl_cpu, 0));
    omp_set_num_threads(threads);
    dnnl_dims_t da = {m, k}, db = {k, n}, dc = {m, n};
    dnnl_memory_desc_t a, b, c;
    raw_check(dnnl_memory_desc_init_by_tag(&a, 2, da, dnnl_bf16, dnnl_ab));
    raw_check(dnnl_memory_desc_init_by_tag(&b, 2, db, dnnl_bf16,
                                           packed ? dnnl_format_tag_any
                                           : tb   ? dnnl_ba
                                                  : dnnl_ab));
    raw_check(dnnl_memory_desc_init_by_tag(&c, 2, dc, dnnl_bf16, dnnl_ab));
    dnnl_matmul_desc_t desc;
    raw_check(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c));
    dnnl_primitive_desc_t pd;
    const dnnl_status_t has = dnnl_primitive_desc_create(&pd, &desc, NULL, engine, NULL);
    if (has == dnnl_unimplemented) return NAN;
    raw_check(has);
    dnnl_primitive_t primitive;
    raw_check(dnnl_primitive_create(&primitive, pd));
    const dnnl_memory_desc_t *wd = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    void *x = random_bf16((size_t)m * (size_t)k), *w = random_bf16(dnnl_memory_desc_get_size(wd) / 2),
         *y = random_bf16((size_t)m * (size_t)n);
    dnnl_memory_t mx, mw, my;
    raw_check(dnnl_memory_create(&mx, &a, engine, x));
    raw_check(dnnl_memory_create(&mw, wd, engine, w));
    raw_check(dnnl_memory_create(&my, &c, engine, y));
    dnnl_stream_t stream;
    raw_check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
    const dnnl_exec_arg_t arg[3] = {{DNNL_ARG_SRC, mx}, {DNNL_ARG_WEIGHTS, mw}, {DNNL_ARG_DST, my}};
    double best = 1e30, spent = 0.0;
    for (int i = 0; i < 4 || (spent < 0.15 && i < 200); i++) {
        const double t = now();
        raw_check(dnnl_primitive_execute(primitive, stream, 3, arg));
        const double d = now() - t;
        if (i > 0 && d < best) best = d;
        spent += d;
    }
    dnnl_memory_destroy(mx);
    dnnl_memory_destroy(mw);
    dnnl_memory_destroy(my);
    dnnl_stream_destroy(stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(pd);
    free(x);
    free(w);
    free(y);
    return best;
}

/* Ours. */

typedef struct {
    const gt_kernels *k;
    gt_exec x;
    gt_pool *pool;
    int threads;
} bench;

static void bench_open(bench *b, int threads)
{
    stop_on(gt_kernels_get(&b->k, GT_BACKEND_CPU, GT_BF16));
    stop_on(gt_pool_create(&b->pool, threads));
    const gt_kernel_dims dims = {.hidden = 5376,
                                 .inter = 21504,
                                 .heads = 32,
                                 .kv_heads = 16,
                                 .head_dim = 256,
                                 .vocab = 262144,
                                 .max_tokens = 8192,
                                 .lora_rank = 64};
    b->threads = threads;
    b->x.pool = b->pool;
    b->x.scratch_stride = gt_align_up(b->k->scratch_bytes(&dims), 64);
    b->x.scratch = aligned_alloc(64, b->x.scratch_stride * (size_t)threads);
}

static void bench_close(bench *b)
{
    gt_pool_destroy(b->pool);
    free(b->x.scratch);
}

static double our_seconds(bench *b, gt_gemm g)
{
    const size_t an = (size_t)(g.ta ? g.k : g.m) * (size_t)g.lda, bn = (size_t)(g.tb ? g.n : g.k) * (size_t)g.ldb;
    void *a = random_bf16(an), *w = random_bf16(bn), *c = random_bf16((size_t)g.m * (size_t)g.ldc * 2);
    g.a = a;
    g.b = w;
    g.c = c;
    double best = 1e30, spent = 0.0;
    for (int i = 0; i < 4 || (spent < 0.15 && i < 200); i++) {
        const double t = now();
        stop_on(b->k->gemm(&b->x, &g));
        const double d = now() - t;
        if (i > 0 && d < best) best = d;
        spent += d;
    }
    free(a);
    free(w);
    free(c);
    return best;
}

/* The weight lies as the decoder leaves it for this product. */
static double project(bench *b, int m, int n, int k, bool tb)
{
    return our_seconds(b, (gt_gemm){.m = m,
                                    .n = n,
                                    .k = k,
                                    .lda = k,
                                    .ldb = tb ? k : n,
                                    .ldc = n,
                                    .tb = tb,
                                    .b_order = tb ? GT_ORDER_FORWARD : GT_ORDER_BACKWARD,
                                    .alpha = 1.0f,
                                    .c_dtype = GT_BF16});
}

typedef struct {
    const char *name;
    int n, k; /* forward: y [T, n] = x [T, k] W^T */
} projection;

static const projection small[] = {{"q", 1024, 640},    {"k", 256, 640},   {"v", 256, 640},    {"o", 640, 1024},
                                   {"gate", 2048, 640}, {"up", 2048, 640}, {"down", 640, 2048}};
enum { PROJECTIONS = 7 };

/* Forward twice (checkpointing) and the gradient of the input once. Plain oneDNN reads W as it is stored. */
static void gemm_at(bench *b, int tokens)
{
    double ops = 0.0, ours = 0.0, plain = 0.0, packed = 0.0;
    for (int i = 0; i < PROJECTIONS; i++)
        for (int back = 0; back < 2; back++) {
            const int n = back ? small[i].k : small[i].n, k = back ? small[i].n : small[i].k, times = back ? 1 : 2;
            const double flops = 2.0 * tokens * n * k, o = project(b, tokens, n, k, !back);
            const double r = raw_seconds(b->threads, tokens, n, k, !back, false),
                         q = raw_seconds(b->threads, tokens, n, k, !back, true);
            printf("%5d tokens %-4s %s %5d <- %5d   ours %6.1f   oneDNN %6.1f   packed %6.1f   ours/oneDNN %.3f\n",
                   tokens, small[i].name, back ? "dx" : "y ", n, k, flops / o / 1e9, flops / r / 1e9, flops / q / 1e9,
                   r / o);
            ops += flops * times;
            ours += o * times;
            plain += r * times;
            packed += q * times;
        }
    printf(
        "%5d tokens, %d threads, weighted by time: ours %.1f, oneDNN %.1f, packed %.1f; ours is %.3f of the better\n",
        tokens, b->threads, ops / ours / 1e9, ops / plain / 1e9, ops / packed / 1e9, fmin(plain, packed) / ours);
    char name[64];
    snprintf(name, sizeof name, "the seven projections; %d tokens", tokens);
    row(name, b->threads, "GFLOP/s", ops / ours / 1e9, ops / fmin(plain, packed) / 1e9, NAN);
}

/* What the memory gives the pool's threads, GB/s, best of several: copying (read and written counted) and reading. */
enum { MEMORY_BYTES = 256 << 20, MEMORY_TASKS = 64 };

typedef struct {
    char *to;
    const char *from;
} memory;

static void copy_part(void *context, int task, int worker)
{
    const memory *m = context;
    const size_t n = MEMORY_BYTES / MEMORY_TASKS, at = (size_t)task * n;
    (void)worker;
    memcpy(m->to + at, m->from + at, n);
}

static void read_part(void *context, int task, int worker)
{
    const memory *m = context;
    const size_t n = MEMORY_BYTES / MEMORY_TASKS;
    (void)worker;
    if (memchr(m->from + (size_t)task * n, 2, n)) abort(); /* there is none: every byte is looked at */
}

static double memory_rate(bench *b, bool copy)
{
    memory m = {aligned_alloc(64, MEMORY_BYTES), NULL};
    char *from = aligned_alloc(64, MEMORY_BYTES);
    memset(from, 1, MEMORY_BYTES);
    memset(m.to, 1, MEMORY_BYTES);
    m.from = from;
    double best = 1e30;
    for (int i = 0; i < 6; i++) {
        const double t = now();
        gt_pool_run(b->pool, MEMORY_TASKS, copy ? copy_part : read_part, &m);
        const double d = now() - t;
        if (d < best) best = d;
    }
    free(m.to);
    free(from);
    return (copy ? 2.0 : 1.0) * MEMORY_BYTES / best / 1e9;
}

/* One layer's projections from NF4 with nested scales. */
static void decode_all(bench *b)
{
    const double copied = rows ? memory_rate(b, true) : 0.0;
    static const char *const names[] = {"row-major", "for y = x W^T", "for dx = dy W"};
    float code2[256];
    gt_nf4_code2(code2);
    for (int order = GT_ORDER_ROWS; order <= GT_ORDER_BACKWARD; order++) {
        double seconds = 0.0, elements = 0.0;
        for (int i = 0; i < PROJECTIONS; i++) {
            gt_matrix m = {.dtype = GT_NF4,
                           .rows = small[i].n,
                           .cols = small[i].k,
                           .block = 64,
                           .block2 = 256,
                           .code = gt_nf4_code,
                           .code2 = code2,
                           .round_to = GT_BF16};
            const size_t n = (size_t)m.rows * (size_t)m.cols;
            void *codes = random_bf16(n / 4), *scales = random_bf16(n / 128),
                 *outer = calloc(n / 16384 + 1, sizeof(float)), *out = random_bf16(n);
            m.data = codes;
            m.absmax8 = scales;
            m.absmax2 = outer;
            double best = 1e30;
            for (int r = 0; r < 50; r++) {
                const double t = now();
                stop_on(b->k->decode_weight(&b->x, out, &m, (gt_weight_order)order));
                const double d = now() - t;
                if (d < best) best = d;
            }
            seconds += best;
            elements += (double)n;
            free(codes);
            free(scales);
            free(outer);
            free(out);
        }
        printf("decode NF4 %-14s %.2f ms a layer, %.2f ns an element\n", names[order], seconds * 1e3,
               seconds / elements * 1e9);
        char name[64];
        snprintf(name, sizeof name, "decode NF4 %s", names[order]);
        const double bytes =
            0.5 + 1.0 / 64 + 4.0 / (64 * 256) + 2.0; /* an element: code and scales read, bf16 written */
        row(name, b->threads, "GB/s", bytes * elements / seconds / 1e9, NAN, copied);
    }
}

static void adapters_at(bench *b, int tokens, double best_rate)
{
    const struct {
        const char *name;
        gt_gemm g;
    } p[] = {
        {"t = x A^T",
         {.m = tokens,
          .n = 16,
          .k = 640,
          .lda = 640,
          .ldb = 640,
          .ldc = 16,
          .tb = true,
          .alpha = 1,
          .c_dtype = GT_BF16}},
        {"y += s t B^T",
         {.m = tokens,
          .n = 1024,
          .k = 16,
          .lda = 16,
          .ldb = 16,
          .ldc = 1024,
          .tb = true,
          .alpha = 2,
          .beta = 1,
          .c_dtype = GT_BF16}},
        {"dt = s dy B",
         {.m = tokens, .n = 16, .k = 1024, .lda = 1024, .ldb = 16, .ldc = 16, .alpha = 2, .c_dtype = GT_BF16}},
        {"dA = dt^T x",
         {.m = 16,
          .n = 640,
          .k = tokens,
          .lda = 16,
          .ldb = 640,
          .ldc = 640,
          .ta = true,
          .alpha = 1,
          .c_dtype = GT_F32}},
        {"dB = dy^T t",
         {.m = 1024,
          .n = 16,
          .k = tokens,
          .lda = 1024,
          .ldb = 16,
          .ldc = 16,
          .ta = true,
          .alpha = 1,
          .c_dtype = GT_F32}},
        {"dx += dt A",
         {.m = tokens, .n = 640, .k = 16, .lda = 16, .ldb = 640, .ldc = 640, .alpha = 1, .beta = 1, .c_dtype = GT_F32}},
    };
    for (size_t i = 0; i < sizeof p / sizeof *p; i++) {
        const double s = our_seconds(b, p[i].g);
        printf("%5d tokens r 16 %-13s %8.1f us %6.1f GFLOP/s\n", tokens, p[i].name, s * 1e6,
               2.0 * p[i].g.m * p[i].g.n * p[i].g.k / s / 1e9);
        char name[64];
        snprintf(name, sizeof name, "adapter %s; %d tokens", p[i].name, tokens);
        row(name, b->threads, "GFLOP/s", 2.0 * p[i].g.m * p[i].g.n * p[i].g.k / s / 1e9, NAN, best_rate);
    }
}

static void attention_at(bench *b, int docs, int len, int heads, int kv_heads, int d, int window, double best_rate)
{
    const int tokens = docs * len;
    const size_t qn = (size_t)tokens * (size_t)(heads * d), kn = (size_t)tokens * (size_t)(kv_heads * d);
    gt_attn_span *span = calloc((size_t)docs, sizeof *span);
    void *q = random_bf16(qn), *k = random_bf16(kn), *v = random_bf16(kn), *o = random_bf16(qn), *d_o = random_bf16(qn),
         *dq = random_bf16(qn), *dk = random_bf16(kn), *dv = random_bf16(kn);
    float *lse = malloc((size_t)(tokens * heads) * sizeof *lse);
    double pairs = 0.0;
    for (int i = 0; i < docs; i++) {
        const size_t at = (size_t)i * (size_t)len * (size_t)(kv_heads * d);
        span[i] = (gt_attn_span){
            i * len, len, 0, {.k = (uint16_t *)k + at, .v = (uint16_t *)v + at, .stride = kv_heads * d, .len = len}};
        for (int t = 0; t < len; t++) pairs += window > 0 && t + 1 > window ? window : t + 1;
    }
    const gt_attn a = {.heads = heads,
                       .kv_heads = kv_heads,
                       .head_dim = d,
                       .window = window,
                       .scale = 0.0625f,
                       .span_count = docs,
                       .span = span,
                       .q = q,
                       .q_stride = heads * d,
                       .o = o,
                       .lse = lse};
    const gt_kernel_dims dims = {.heads = heads, .kv_heads = kv_heads, .head_dim = d, .max_tokens = tokens};
    gt_attn_grad g = {
        .fwd = a, .d_o = d_o, .dq = dq, .dk = dk, .dv = dv, .buffer_bytes = b->k->attention_bwd_buffer_bytes(&dims)};
    g.buffer = aligned_alloc(64, gt_align_up(g.buffer_bytes + 64, 64));
    double forward = 1e30, backward = 1e30;
    for (int i = 0; i < 6; i++) {
        double t = now();
        stop_on(b->k->attention(&b->x, &a));
        t = now() - t;
        if (i > 0 && t < forward) forward = t;
        t = now();
        stop_on(b->k->attention_bwd(&b->x, &g));
        t = now() - t;
        if (i > 0 && t < backward) backward = t;
    }
    printf("%d x %5d tokens, %2d/%2d heads of %d, window %4d: forward %8.2f ms %6.1f GFLOP/s, backward %8.2f ms %6.1f "
           "GFLOP/s (visible pairs)\n",
           docs, len, heads, kv_heads, d, window, forward * 1e3, 4.0 * pairs * heads * d / forward / 1e9,
           backward * 1e3, 10.0 * pairs * heads * d / backward / 1e9);
    char name[96];
    for (int back = 0; back < 2; back++) {
        snprintf(name, sizeof name, "attention %s; %d x %d; %d/%d heads of %d; window %d",
                 back ? "backward" : "forward", docs, len, heads, kv_heads, d, window);
        row(name, b->threads, "GFLOP/s", (back ? 10.0 / backward : 4.0 / forward) * pairs * heads * d / 1e9, NAN,
            best_rate);
    }
    void *all[] = {q, k, v, o, d_o, dq, dk, dv, lse, span, g.buffer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void head_at(bench *b, int supervised, const gt_matrix *e, double best_rate, double read_rate)
{
    const int hidden = e->cols, vocab = e->rows;
    void *xf = random_bf16((size_t)(supervised * hidden));
    int32_t *target = malloc((size_t)supervised * sizeof *target);
    for (int i = 0; i < supervised; i++) target[i] = i * 1000;
    double *loss = malloc((size_t)supervised * sizeof *loss);
    float *dxf = malloc((size_t)supervised * (size_t)hidden * sizeof *dxf),
          *logits = malloc((size_t)supervised * (size_t)vocab * sizeof *logits);
    const size_t bytes = b->k->head_buffer_bytes(supervised, hidden, vocab);
    void *buffer = aligned_alloc(64, gt_align_up(bytes + 64, 64));
    const gt_head_loss l = {.xf = xf,
                            .rows = supervised,
                            .hidden = hidden,
                            .embed = e,
                            .target = target,
                            .loss = loss,
                            .dxf = dxf,
                            .buffer = buffer,
                            .buffer_bytes = bytes};
    double best = 1e30, z = 1e30;
    for (int i = 0; i < 4; i++) {
        double t = now();
        stop_on(b->k->head_loss(&b->x, &l));
        t = now() - t;
        if (i > 0 && t < best) best = t;
        t = now();
        stop_on(b->k->head_logits(&b->x, logits, xf, supervised, hidden, e, buffer, bytes));
        t = now() - t;
        if (i > 0 && t < z) z = t;
    }
    const double read = (double)vocab * hidden * 2.0;
    printf("head %4d rows: loss and gradient %7.2f ms %6.1f GFLOP/s (buffer %.1f MiB); logits %7.2f ms %6.1f GFLOP/s, "
           "E at %.1f GB/s\n",
           supervised, best * 1e3, 2.0 * read * supervised / best / 1e9, (double)bytes / 1048576.0, z * 1e3,
           read * supervised / z / 1e9, read / z / 1e9);
    char name[64];
    snprintf(name, sizeof name, "head loss and gradient; %d rows", supervised);
    row(name, b->threads, "GFLOP/s", 2.0 * read * supervised / best / 1e9, NAN, best_rate);
    snprintf(name, sizeof name, "head logits; %d rows", supervised);
    if (supervised <= 2) row(name, b->threads, "GB/s", read / z / 1e9, NAN, read_rate);
    void *all[] = {xf, target, loss, dxf, logits, buffer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* GFLOP/s of oneDNN over the projections with the weights as stored and packed; NAN: it has no bf16 products. */
static void onednn_rates(int threads, int tokens, double *stored, double *best)
{
    double ops = 0.0, plain = 0.0, packed = 0.0;
    for (int i = 0; i < PROJECTIONS; i++)
        for (int back = 0; back < 2; back++) {
            const int n = back ? small[i].k : small[i].n, k = back ? small[i].n : small[i].k, times = back ? 1 : 2;
            ops += 2.0 * tokens * n * k * times;
            plain += raw_seconds(threads, tokens, n, k, !back, false) * times;
            packed += raw_seconds(threads, tokens, n, k, !back, true) * times;
        }
    *stored = ops / plain / 1e9;
    *best = ops / packed / 1e9;
}

static int rate(int threads, int tokens)
{
    double stored, packed;
    onednn_rates(threads, tokens, &stored, &packed);
    if (isnan(packed)) {
        fprintf(stderr, "oneDNN has no bf16 products on this processor\n");
        return 1;
    }
    printf("{\"threads\": %d, \"tokens\": %d, \"onednn_gflops\": %.1f, \"onednn_packed_gflops\": %.1f}\n", threads,
           tokens, stored, packed);
    return 0;
}

int main(int argc, char **argv)
{
    gt_backends_offer();
    const char *what = argc > 1 && argv[1][0] != '-' ? argv[1] : "all", *results = NULL;
    int threads = gt_pool_threads_for(0), tokens = 0;
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--threads") == 0) threads = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--tokens") == 0) tokens = atoi(argv[i + 1]);
        if (strcmp(argv[i], "--results") == 0) results = argv[i + 1];
    }
    if (threads == 1) clock_used = CLOCK_THREAD_CPUTIME_ID;
    if (strcmp(what, "rate") == 0) return rate(threads, tokens > 0 ? tokens : 4096);
    const bool all = strcmp(what, "all") == 0;
    bench b = {0};
    bench_open(&b, threads);
    path = b.k->path;
    if (strcmp(what, "path") == 0) {
        printf("%s\n", path);
        return 0;
    }
    if (results) rows = open_memstream(&table, &table_bytes);
    double stored = NAN, best = NAN;
    if (results) onednn_rates(threads, 4096, &stored, &best);
    printf("cpu table, %s, %d threads\n", b.k->path, threads);
    const int sizes[] = {200, 400, 800, 1024, 2048};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if ((all || strcmp(what, "gemm") == 0) && (tokens == 0 || tokens == sizes[i])) gemm_at(&b, sizes[i]);
    if (all || strcmp(what, "decode") == 0) decode_all(&b);
    if (all || strcmp(what, "gemm") == 0) adapters_at(&b, tokens > 0 ? tokens : 1024, best);
    if (all || strcmp(what, "attention") == 0) {
        attention_at(&b, 1, 1024, 4, 1, 256, 512, best);
        attention_at(&b, 1, 1024, 4, 1, 256, 0, best);
        attention_at(&b, 4, 1024, 4, 1, 256, 512, best);
        attention_at(&b, 4, 210, 4, 1, 256, 512, best);
        attention_at(&b, 1, 1024, 32, 16, 128, 0, best);
        attention_at(&b, 1, 4096, 4, 1, 256, 0, best);
    }
    if (all || strcmp(what, "head") == 0) {
        gt_matrix e = {.dtype = GT_BF16, .rows = 262144, .cols = 640, .round_to = GT_F32};
        e.data = random_bf16((size_t)e.rows * (size_t)e.cols);
        const double reading = results ? memory_rate(&b, false) : NAN;
        const int supervised[] = {1, 2, 10, 48, 192, 256};
        for (size_t i = 0; i < sizeof supervised / sizeof *supervised; i++)
            head_at(&b, supervised[i], &e, best, reading);
        free((void *)(uintptr_t)e.data);
    }
    bench_close(&b);
    if (results) write_results(results);
    return 0;
}
