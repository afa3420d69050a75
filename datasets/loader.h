/* loader.h - rows into samples once, then samples into numbered micro-batches and windows, epoch after epoch.
 *
 * Position is arithmetic: (epoch, window) names the same rows on every machine, so a resume needs no saved iterator.
 *   unit        a sample, or, packed, a bin of samples that fit max_length together
 *   micro-batch rows_per_micro units; the last of an epoch may be smaller
 *   window      micros_per_window micro-batches = one optimizer step; the last of an epoch may be smaller */
#ifndef GT_LOADER_H
#define GT_LOADER_H

#include "sample.h"
#include "tokenizer.h"

typedef enum {
    GT_SUPERVISE_DEFAULT,
    GT_SUPERVISE_ALL,
    GT_SUPERVISE_COMPLETION
} gt_supervise; /* completion_only_loss null, false, true */

typedef struct {
    const char *const *path; /* [paths] */
    int paths;
    int max_length; /* 0: no limit */
    gt_supervise supervise;
    bool assistant_only; /* every assistant turn of `messages` instead of the last */
    bool parse_special;
    bool skip_bad_rows;     /* false: the first bad row fails with file:line */
    bool keep_unsupervised; /* scoring: rows without a supervised token stay */
} gt_load_options;

/* Reads all rows. tok may be NULL when every row has ids. GT_ERR_DATA: names file, line, field, remedy; also when not
 * one supervised token is left. GT_ERR_CONFIG: text rows without a tokenizer. *out is the caller's: gt_samples_free. */
gt_status gt_samples_load(gt_samples *out, const gt_load_options *o, const gt_tokenizer *tok);

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

int64_t gt_loader_units(const gt_loader *l);     /* samples, or bins */
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
