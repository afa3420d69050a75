/* tokenizer_blob.h - the inside of a tokenizer, for the tokenizer_*.c files alone: one block of bytes and pointers into
 * it.
 *
 * However a tokenizer comes (tokenizer.json, a GGUF's vocabulary, a packed block in a file) it ends as this block, so
 * there is one way to encode and opening a packed one is checking it. Little-endian; the sections follow the header in
 * the order of gt_tokenizer's pointers, each 8-byte aligned; their lengths follow from the header's counts, so there
 * are no offsets to distrust and the block's size is a function of the counts. */
#ifndef GT_TOKENIZER_BLOB_H
#define GT_TOKENIZER_BLOB_H

#include "tokenizer.h"

enum { GT_TOKENIZER_VERSION = 1, GT_TOKENIZER_MAX_MERGES = 1 << 26, GT_SCALAR_PAGES = 0x110000 >> 8 };

/* Kinds of a piece, or-ed. */
enum {
    GT_PIECE_BYTE = 1,    /* stands for one byte */
    GT_PIECE_ADDED = 2,   /* found in the raw text */
    GT_PIECE_SPECIAL = 4, /* dropped by skip_special */
    GT_PIECE_CONTROL = 8  /* found only where special tokens are parsed or the text is trusted */
};

typedef struct {
    uint32_t left, right, result; /* ids; the merge's rank is its place in the list */
} gt_merge;

typedef struct {
    char magic[8];      /* "GTTOKEN" and a NUL */
    uint32_t version;   /* GT_TOKENIZER_VERSION */
    uint32_t order;     /* 0x01020304 */
    uint64_t size;      /* of the whole block */
    uint8_t sha256[32]; /* of everything behind this field */
    uint32_t pieces, text_bytes, scalar_pages, merges;
    uint32_t slot_bits;  /* the merge table has 1 << slot_bits slots */
    uint32_t index_bits; /* low bits of a slot that number a merge; the others are a fingerprint of its pair */
    uint32_t raw_needles, raw_bytes;   /* added tokens found in the raw text */
    uint32_t norm_needles, norm_bytes; /* added tokens found in the second pass */
    int32_t special[7];                /* in the order of gt_tokenizer_specials */
    uint32_t add;                      /* 1: add_bos, 2: add_eos */
    uint32_t
        before_space[8]; /* bit b: some merge's result has U+2581 behind a character that ends in byte b (and is not
                                 U+2581 itself). Before any other U+2581 a segment can be cut: no merge crosses there */
    int32_t byte_id[256];
} gt_tokenizer_head;

/* Strings looked for in text, sorted by their bytes. */
typedef struct {
    uint32_t count;
    const uint32_t *first; /* [257] strings that begin with byte b are first[b] … first[b + 1] - 1 */
    const uint32_t *at;    /* [count + 1] begin of each in text */
    const uint32_t *id;    /* [count] */
    const uint8_t *text;
} gt_needles;

struct gt_tokenizer {
    void *owned; /* the block if it is ours, else NULL */
    void *kept;  /* what gt_tokenizer_keep handed over, with its release; NULL: nothing */
    void (*release)(void *kept);
    const gt_tokenizer_head *head;
    const uint32_t *piece_at; /* [pieces + 1] begin of each piece in text */
    const gt_merge *merge;    /* [merges] by rank */
    const uint32_t *slot;  /* [1 << slot_bits] fingerprint << index_bits | merge; UINT32_MAX: empty; linear probing */
    const uint16_t *page;  /* [GT_SCALAR_PAGES] page of a code point >> 8; UINT16_MAX: none */
    const int32_t *scalar; /* [scalar_pages][256] the piece that is this one character, or -1 */
    const uint8_t *kind;   /* [pieces] */
    const char *text;      /* [text_bytes] */
    gt_needles raw, norm;  /* first, at, id, text of each */
    gt_tokenizer_specials specials;
};

/* What a reader found out, for gt_tokenizer_build. Everything stays the reader's. */
typedef struct {
    const char *text;
    size_t size;
} gt_piece;

typedef struct {
    const gt_piece *piece; /* [pieces] valid UTF-8, 1 … GT_TOKENIZER_MAX_PIECE bytes */
    const uint8_t *kind;   /* [pieces] */
    size_t pieces;
    size_t model_pieces;      /* the first of them are the model's own: only these can be one character of a segment */
    const uint8_t *no_scalar; /* [pieces] or NULL: 1 for pieces that are no character of a segment all the same */
    const gt_merge *merge;    /* [merges] by rank */
    size_t merges;
    const uint32_t *norm; /* [norms] ids of added tokens for the second pass; all other added ones are found first */
    size_t norms;
    gt_tokenizer_specials specials;
} gt_tokenizer_parts;

/* Lays the block out and opens it. Refuses a pair merged twice, a merge whose result is a control token, an added token
 * twice, a vocabulary without its 256 byte pieces. GT_ERR_DATA, GT_ERR_NOMEM. */
gt_status gt_tokenizer_build(gt_tokenizer **out, const gt_tokenizer_parts *p, const char *where);

/* Points t into a block and checks it; t is zeroed on failure. check_digest is false for a block made just now. */
gt_status gt_tokenizer_open_block(gt_tokenizer *t, const void *block, size_t size, bool check_digest,
                                  const char *where);

/* Where each section begins, from the counts in h; the last entry is the size. False on overflow. */
enum { GT_TOKENIZER_SECTIONS = 15 };
bool gt_tokenizer_layout(const gt_tokenizer_head *h, size_t at[GT_TOKENIZER_SECTIONS + 1]);

/* Whether an added token of this text is a control token although it is not flagged special. */
bool gt_tokenizer_control_name(const char *text, size_t size);
/* The byte that "<0xHH>" names, or -1. */
int gt_tokenizer_byte_name(const char *text, size_t size);

static inline uint64_t gt_merge_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    h ^= h >> 29;
    h *= 0xBF58476D1CE4E5B9u;
    return h ^ h >> 32;
}

/* The fingerprint of a pair, in place: the bits of a slot above the merge's number. */
static inline uint32_t gt_merge_mark(const gt_tokenizer_head *h, uint64_t hash)
{
    return h->index_bits >= 32 ? 0 : (uint32_t)hash >> h->index_bits << h->index_bits;
}

/* The rank of the merge of two pieces, or UINT32_MAX. */
static inline uint32_t gt_merge_find(const gt_tokenizer *t, uint32_t left, uint32_t right)
{
    const gt_tokenizer_head *h = t->head;
    const uint64_t hash = gt_merge_hash(left, right);
    const uint32_t mask = (1u << h->slot_bits) - 1, mark = gt_merge_mark(h, hash);
    const uint32_t index_mask = (1u << h->index_bits) - 1;
    for (uint32_t i = (uint32_t)(hash >> (64 - h->slot_bits));; i = (i + 1) & mask) {
        const uint32_t s = t->slot[i];
        if (s == UINT32_MAX) return UINT32_MAX;
        if ((s & ~index_mask) != mark) continue;
        const uint32_t m = s & index_mask;
        if (t->merge[m].left == left && t->merge[m].right == right) return m;
    }
}

/* The piece that is one character, or -1. */
static inline int32_t gt_scalar_find(const gt_tokenizer *t, uint32_t code)
{
    if (code > 0x10FFFF) return -1;
    const uint16_t page = t->page[code >> 8];
    return page == UINT16_MAX ? -1 : t->scalar[(size_t)page * 256 + (code & 255)];
}

/* The character at s[0..n), n > 0, and its bytes in *used. Never reads past n; a byte that begins no whole character
 * counts as a character of one byte above U+10FFFF. */
static inline uint32_t gt_utf8_next(const uint8_t *s, size_t n, size_t *used)
{
    const uint32_t b = s[0];
    *used = 1;
    if (b < 0x80) return b;
    const size_t want = b >= 0xF0 ? 4 : b >= 0xE0 ? 3 : b >= 0xC0 ? 2 : 0;
    if (want == 0 || want > n) return 0x110000;
    uint32_t code = b & (0x7Fu >> want);
    for (size_t i = 1; i < want; i++) {
        if ((s[i] & 0xC0) != 0x80) return 0x110000;
        code = code << 6 | (s[i] & 0x3F);
    }
    *used = want;
    return code;
}

#endif
