/* load_options.h - which rows are read and what becomes of one: what the reader of files (samples.h) and the maker of
 * one sample (row_sample.h) are told alike. */
#ifndef GT_LOAD_OPTIONS_H
#define GT_LOAD_OPTIONS_H

#include <stdbool.h>

/* completion_only_loss null, false, true */
typedef enum { GT_SUPERVISE_DEFAULT, GT_SUPERVISE_ALL, GT_SUPERVISE_COMPLETION } gt_supervise;

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

#endif
