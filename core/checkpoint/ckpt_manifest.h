/* ckpt_manifest.h - manifest.json of a checkpoint or window folder: what is inside, with sizes and digests. Text that
 * describes, read strictly; it carries its own digest, so that a changed digit anywhere in it is noticed too. */
#ifndef GT_CKPT_MANIFEST_H
#define GT_CKPT_MANIFEST_H

#include "ckpt.h"
#include "json.h"
#include "text.h"

enum { GT_MANIFEST_LIMIT = 64 << 20, GT_MANIFEST_VERSION = 1 };
#define GT_MANIFEST_NAME "manifest.json"
#define GT_CKPT_STATE_NAME "state.h5"

typedef struct {
    const char *name; /* safe, unique, not the manifest's own */
    uint64_t bytes;
    const char *sha256; /* 64 hex digits */
} gt_manifest_file;

/* A part of the window as the manifest tells it; its sums are in its file. */
typedef struct {
    int file; /* index into the files */
    int rank, shift, numbers;
    const char *names, *plan;
    int64_t micro_batches, count; /* count: finished ones */
    const gt_json *finished;      /* array of [count] numbers, ascending, below micro_batches */
} gt_manifest_part;

typedef struct {
    gt_json_doc *doc; /* strings point into it */
    char id[65];      /* gt_ckpt_state_id */
    int state_file;   /* index of state.h5, -1 in a window folder */
    gt_train_state state;
    gt_ckpt_tensor *tensor;
    gt_manifest_file *file;
    int file_count;
    gt_manifest_part *part;
    int part_count;
    size_t elements; /* of all tensors */
    char *texts[3];  /* recipe, metrics, extra */
} gt_manifest;

/* Parses and checks everything that can be checked without the files. where: for messages. GT_ERR_DATA. */
gt_status gt_manifest_parse(gt_manifest *out, const char *text, size_t size, const char *where);
void gt_manifest_free(gt_manifest *m); /* zeroed structs are fine */

/* The pieces of the manifest, each appended to a text; memory that ran out is remembered there. */
void gt_manifest_state(gt_text *t, const gt_train_state *s, const char *id);
void gt_manifest_file_line(gt_text *t, const char *name, uint64_t bytes, const char *sha256);
void gt_manifest_part_line(gt_text *t, const char *file, int rank, const gt_ckpt_part *p);

/* The whole of it, sealed with its digest. part_lines, file_lines: made by the two above, joined by ",\n".
 * GT_ERR_NOMEM; GT_ERR_ARG when a text of the state is no JSON object or an identity no identity. */
gt_status gt_manifest_compose(gt_text *out, const gt_train_state *s, const char *id, const char *part_lines,
                              const char *file_lines);

#endif
