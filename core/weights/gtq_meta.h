/* gtq_meta.h - the directory of a .gtq file as a struct, its text, and where things lie. For gtq_*.c only. */
#ifndef GT_GTQ_META_H
#define GT_GTQ_META_H

#include "gtq.h"
#include "text.h"

enum {
    GT_GTQ_HEADER = 128,       /* bytes of the fixed header */
    GT_GTQ_DATA = 4096,        /* where the first section begins */
    GT_GTQ_ALIGN = 64,         /* every section */
    GT_GTQ_PAGE = 4096,        /* a matrix's data */
    GT_GTQ_MAX_META = 64 << 20 /* bytes of directory text a reader takes */
};

/* "\x89GTQ\r\n\x1a\n": a file that passed through a text conversion is recognized. */
extern const uint8_t gt_gtq_magic[8];

/* A range of the file; bytes 0: none. */
typedef struct {
    uint64_t offset, bytes;
} gt_gtq_section;

typedef struct {
    gt_dtype dtype;
    int rows, cols;
    gt_gtq_section data;
    uint8_t sha256[32]; /* gt_weights_matrix_digest of the stored matrix */
    /* GT_NF4, GT_FP4: as in gt_matrix; either absmax or the other three */
    gt_dtype round_to;
    int block, block2;
    float offset;
    gt_gtq_section code, absmax, absmax8, absmax2, code2;
} gt_gtq_tensor;

typedef struct {
    gt_model_config config;
    char prefix[40];
    gt_gtq_info info; /* tokenizer: unused here */
    gt_gtq_tensor embed;
    gt_gtq_tensor *proj;  /* [layers * GT_PROJ_COUNT] owned */
    gt_gtq_section norms; /* f32 factors: layer by layer in gt_norm's order, then the final norm */
    uint8_t norms_sha256[32];
    gt_gtq_section tokenizer;
    uint8_t tokenizer_sha256[32];
    uint64_t end; /* of all sections: where the directory begins */
} gt_gtq_meta;

void gt_gtq_meta_free(gt_gtq_meta *m); /* what it owns; zeroed structs are fine */

/* Appends the directory as JSON. */
void gt_gtq_meta_print(gt_text *t, const gt_gtq_meta *m);

/* Reads and checks everything that can be checked without the contents: types, ranges, that every tensor of the config
 * is there once with its shape, that sections have their exact sizes, are aligned, lie inside [GT_GTQ_DATA, end) and do
 * not overlap. On failure *m is empty. GT_ERR_DATA names where and the field. */
gt_status gt_gtq_meta_parse(gt_gtq_meta *m, const char *text, size_t size, uint64_t end, const char *where);

/* Exact sizes of a tensor's sections by its dtype, shape and blocks (offset 0); double: has second-level scales. false
 * on overflow or a dtype that is no format of a weight. */
bool gt_gtq_tensor_sizes(gt_gtq_tensor *t, bool double_quant);

/* f32 elements of the norms section. */
size_t gt_gtq_norm_count(const gt_model_config *c);

#endif
