#include "loader.h"

#include "checked.h"
#include "hash.h"
#include "pack.h"
#include "rng.h"

#include <stdlib.h>
#include <string.h>

struct gt_loader {
    const gt_samples *samples; /* borrowed */
    gt_loader_options o;
    gt_packing bins; /* packed only */
    int64_t units;
    int most_samples;      /* of a micro-batch */
    int64_t *order;        /* [units] of `epoch` */
    int64_t epoch;         /* -1: order is not made yet */
    const gt_sample **row; /* [samples of the largest window] */
    gt_micro_rows *micro;  /* [micros_per_window, or the epoch's if fewer] */
};

static int unit_size(const gt_loader *l, int64_t unit)
{
    return l->bins.count ? (int)(l->bins.begin[unit + 1] - l->bins.begin[unit]) : 1;
}

static gt_status pack_samples(gt_loader *l)
{
    const gt_samples *s = l->samples;
    int *length = malloc((s->count + 1) * sizeof *length);
    if (!length) return GT_FAIL(GT_ERR_NOMEM, "no memory to pack %zu rows", s->count);
    for (size_t i = 0; i < s->count; i++) length[i] = s->sample[i].n;
    gt_status st = gt_pack(&l->bins, length, (int64_t)s->count, l->o.pack_length);
    free(length);
    return st;
}

static int largest_first(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x < y) - (x > y);
}

/* The most samples that rows_per_micro units can hold: those of the fullest bins. */
static gt_status measure_micro(gt_loader *l)
{
    const int64_t units = l->units < l->o.rows_per_micro ? l->units : l->o.rows_per_micro;
    if (!l->bins.count) {
        l->most_samples = (int)units;
        return GT_OK;
    }
    int *size = malloc((size_t)l->units * sizeof *size);
    if (!size) return GT_FAIL(GT_ERR_NOMEM, "no memory for %lld bins", (long long)l->units);
    for (int64_t u = 0; u < l->units; u++) size[u] = unit_size(l, u);
    qsort(size, (size_t)l->units, sizeof *size, largest_first);
    int64_t most = 0;
    for (int64_t u = 0; u < units; u++) most += size[u];
    free(size);
    l->most_samples = (int)most;
    return GT_OK;
}

static gt_status make_buffers(gt_loader *l)
{
    const int64_t micros = gt_loader_micros(l);
    const size_t micro = gt_min_size((size_t)micros, (size_t)l->o.micros_per_window);
    size_t rows; /* no window holds more than all samples */
    if (!gt_mul_size(micro, (size_t)l->most_samples, &rows)) rows = SIZE_MAX;
    rows = gt_min_size(rows, l->samples->count);
    l->order = calloc((size_t)l->units, sizeof *l->order);
    l->row = calloc(rows, sizeof *l->row);
    l->micro = calloc(micro, sizeof *l->micro);
    if (!l->order || !l->row || !l->micro)
        return GT_FAIL(GT_ERR_NOMEM, "no memory for the order of %lld rows", (long long)l->units);
    return GT_OK;
}

gt_status gt_loader_create(gt_loader **out, const gt_samples *samples, const gt_loader_options *o)
{
    if (samples->count == 0) return GT_FAIL(GT_ERR_DATA, "there is no row to train on");
    if (o->rows_per_micro < 1 || o->micros_per_window < 1 || o->pack_length < 0)
        return GT_FAIL(GT_ERR_ARG,
                       "%d rows a micro-batch, %d micro-batches a step, %d tokens a bin: expected at least 1, 1, 0",
                       o->rows_per_micro, o->micros_per_window, o->pack_length);
    gt_loader *l = calloc(1, sizeof *l);
    if (!l) return GT_FAIL(GT_ERR_NOMEM, "no memory for a loader");
    l->samples = samples;
    l->o = *o;
    l->epoch = -1;
    l->units = (int64_t)samples->count;
    gt_status st = GT_OK;
    if (o->pack_length > 0) {
        st = pack_samples(l);
        l->units = l->bins.count;
    }
    if (st == GT_OK) st = measure_micro(l);
    if (st == GT_OK) st = make_buffers(l);
    if (st != GT_OK) {
        gt_loader_destroy(l);
        return st;
    }
    *out = l;
    return GT_OK;
}

void gt_loader_destroy(gt_loader *l)
{
    if (!l) return;
    gt_packing_free(&l->bins);
    free(l->order);
    free(l->row);
    free(l->micro);
    free(l);
}

static int64_t parts(int64_t n, int64_t size)
{
    return n / size + (n % size != 0);
}

int64_t gt_loader_micros(const gt_loader *l)
{
    return parts(l->units, l->o.rows_per_micro);
}
int64_t gt_loader_windows(const gt_loader *l)
{
    return parts(gt_loader_micros(l), l->o.micros_per_window);
}
int gt_loader_longest_micro(const gt_loader *l)
{
    return l->most_samples;
}

/* Fisher and Yates' shuffle with numbers keyed by seed and epoch. */
static void order_epoch(gt_loader *l, int64_t epoch)
{
    if (l->epoch == epoch) return;
    for (int64_t i = 0; i < l->units; i++) l->order[i] = i;
    if (l->o.shuffle) {
        const uint64_t key =
            gt_rng_key(gt_rng_key(l->o.seed, 0x73687566 /* "shuf": no other use of the seed */), (uint64_t)epoch);
        for (int64_t i = l->units - 1; i > 0; i--) {
            const int64_t j = (int64_t)gt_rng_below(key, (uint64_t)i, (uint64_t)i + 1), kept = l->order[i];
            l->order[i] = l->order[j];
            l->order[j] = kept;
        }
    }
    l->epoch = epoch;
}

static void add_sample(gt_micro_rows *m, const gt_sample **to, const gt_sample *s)
{
    to[m->samples++] = s;
    m->tokens += s->n;
    m->supervised += s->supervised;
}

/* The samples of unit `unit` behind those that m has. */
static void add_unit(const gt_loader *l, gt_micro_rows *m, const gt_sample **to, int64_t unit)
{
    const gt_sample *all = l->samples->sample;
    m->rows++;
    if (!l->bins.count)
        add_sample(m, to, &all[unit]);
    else
        for (int64_t i = l->bins.begin[unit]; i < l->bins.begin[unit + 1]; i++)
            add_sample(m, to, &all[l->bins.member[i]]);
}

gt_status gt_loader_window(gt_loader *l, int64_t epoch, int64_t window, gt_window_rows *out)
{
    const int64_t windows = gt_loader_windows(l);
    if (epoch < 0 || window < 0 || window >= windows)
        return GT_FAIL(GT_ERR_ARG, "epoch %lld, window %lld; expected a window below %lld", (long long)epoch,
                       (long long)window, (long long)windows);
    order_epoch(l, epoch);
    const int64_t first = window * l->o.micros_per_window, left = gt_loader_micros(l) - first;
    gt_window_rows w = {.micros = (int)(left < l->o.micros_per_window ? left : l->o.micros_per_window),
                        .micro = l->micro};
    const gt_sample **to = l->row;
    for (int i = 0; i < w.micros; i++) {
        gt_micro_rows *m = &l->micro[i];
        *m = (gt_micro_rows){.sample = to};
        const int64_t begin = (first + i) * l->o.rows_per_micro;
        const int64_t end = begin + l->o.rows_per_micro < l->units ? begin + l->o.rows_per_micro : l->units;
        for (int64_t u = begin; u < end; u++) add_unit(l, m, to, l->order[u]);
        to += m->samples;
        w.tokens += m->tokens;
        w.supervised += m->supervised;
        w.rows += m->rows;
    }
    *out = w;
    return GT_OK;
}

void gt_loader_id(const gt_loader *l, char hex[65])
{
    const uint64_t number[] = {(uint64_t)l->o.rows_per_micro, (uint64_t)l->o.micros_per_window, l->o.shuffle, l->o.seed,
                               (uint64_t)l->o.pack_length};
    gt_sha256 h;
    uint8_t digest[32];
    gt_sha256_init(&h);
    gt_sha256_add(&h, l->samples->sha256, sizeof l->samples->sha256);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) gt_sha256_add_u64(&h, number[i]);
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
}
