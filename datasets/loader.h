/* loader.h - samples into numbered micro-batches and windows, epoch after epoch.
 *
 * Position is arithmetic: (epoch, window) names the same rows on every machine, so a resume needs no saved iterator.
 *   unit        a sample, or, packed, a bin of samples that fit max_length together
 *   micro-batch rows_per_micro units; the last of an epoch may be smaller
 *   window      micros_per_window micro-batches = one optimizer step; the last of an epoch may be smaller */
#ifndef GT_LOADER_H
#define GT_LOADER_H

#include "sample.h"

typedef struct {
    int rows_per_micro, micros_per_window;
    bool shuffle; /* a new order each epoch from seed and epoch; else file order */
    uint64_t seed;
    int pack_length; /* > 0: best-fit decreasing bins of this many tokens */
} gt_loader_options;

typedef struct gt_loader gt_loader;

/* Samples are borrowed and must outlive the loader. */
gt_status gt_loader_create(gt_loader **out, const gt_samples *samples, const gt_loader_options *o);
void gt_loader_destroy(gt_loader *l); /* NULL is fine */

int64_t gt_loader_micros(const gt_loader *l);    /* micro-batches an epoch */
int64_t gt_loader_windows(const gt_loader *l);   /* windows an epoch */
int gt_loader_longest_micro(const gt_loader *l); /* most samples any micro-batch can hold */

typedef struct {
    const gt_sample *const *sample; /* [samples] in order */
    int samples;
    int64_t tokens, supervised, rows; /* rows: units */
} gt_micro_rows;

typedef struct {
    int micros;
    const gt_micro_rows *micro; /* [micros] numbered within the window */
    int64_t tokens, supervised, rows;
} gt_window_rows;

/* The rows of a window. Valid until the next call. GT_ERR_ARG: window out of range. */
gt_status gt_loader_window(gt_loader *l, int64_t epoch, int64_t window, gt_window_rows *out);

/* Identity of the cut: samples' sha256, options, so that a window number means the same rows. hex: 65 bytes. */
void gt_loader_id(const gt_loader *l, char hex[65]);

#endif
