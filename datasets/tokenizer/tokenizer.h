/* tokenizer.h - text to token ids and back, as Gemma 3's tokenizer.json and the Hugging Face tokenizers library do it.
 *
 *   gt_tokenizer *t;
 *   GT_TRY(gt_tokenizer_from_json(&t, text, size, path));          or _from_vocab (GGUF), or _from_packed (.gtq)
 *   gt_ids ids = {0};
 *   GT_TRY(gt_tokenizer_encode(t, "Hello", 5, GT_ENCODE_ADD_BOS, &ids));
 *   gt_ids_free(&ids);
 *   gt_tokenizer_free(t);
 *
 * How a text is encoded: added tokens (control tokens, runs of newlines, tabs and U+2581, HTML tags) are cut out of the
 * raw text leftmost-longest; in what lies between, every space becomes U+2581 and the whole is one BPE word: the
 * adjacent pair of lowest merge rank is joined first, leftmost on ties; a character that is no piece becomes its UTF-8
 * bytes.
 *
 * Control tokens: text of rows and users must not become one unless somebody says so. Control are the added tokens that
 * are flagged special (<pad> <eos> <bos> <unk> <start_of_turn> <end_of_turn> <start_of_image> <end_of_image>
 * <image_soft_token>, and what a fine-tune adds as special) and the placeholders <mask>, [multimodal] and <unusedN>.
 * Runs of newlines, tabs and U+2581, HTML tags and terms that a fine-tune appended are not. A control token spelled in
 * text is found only with GT_ENCODE_PARSE_SPECIAL or wholly inside a trusted span; elsewhere it is tokenised as the
 * characters that it is, and no merge can make its id.
 *
 * A gt_tokenizer is immutable but for gt_tokenizer_set_specials and gt_tokenizer_apply_config; any number of threads
 * may encode and decode with one at a time. */
#ifndef GT_TOKENIZER_H
#define GT_TOKENIZER_H

#include "ids.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gt_tokenizer gt_tokenizer;

enum {
    GT_TOKENIZER_MAX_PIECES = 1 << 24, /* a vocabulary above is refused */
    GT_TOKENIZER_MAX_PIECE = 1024,     /* bytes of the longest piece or added token */
    GT_TOKENIZER_MAX_TEXT = 1 << 28    /* bytes of one text to encode: 256 MiB */
};

/* Opening. */

/* Reads a tokenizer.json. Both spellings of merges (["a","b"] and "a b") are taken. Everything that would change the
 * result is checked by name and refused when it is not Gemma's: model type, normalizer, pre-tokenizer, decoder,
 * dropout, prefixes, an added token that strips or wants word boundaries, ids with holes, a piece twice, a merge whose
 * parts or result are no pieces. Added tokens with normalized = true (a fine-tune's appended terms) are found in a
 * second pass over the normalised text, as the reference does; one that is also special is refused. The special ids
 * come from the pieces' names and the post-processor; see gt_tokenizer_apply_config. text is not needed afterwards.
 * where: the path, for messages. GT_ERR_DATA, GT_ERR_NOMEM. */
gt_status gt_tokenizer_from_json(gt_tokenizer **out, const char *text, size_t size, const char *where);

/* A vocabulary as a GGUF file holds it (tokenizer.ggml.tokens, .scores, .token_type). */
typedef struct {
    const char *const *piece; /* [count] not NUL-terminated; may be NULL where size is 0 */
    const size_t *size;       /* [count] bytes */
    const float *score;       /* [count] */
    const int32_t *type;      /* [count] 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte */
    size_t count;
} gt_vocab;

/* Builds the tokenizer from pieces and scores. The merges, which a GGUF does not hold, are made again from them: every
 * split of a piece into two pieces, by descending score of the result, the longest left part first, which is the order
 * of Gemma's tokenizer.json; runs of spaces become the runs of U+2581 that they stand for, and <image_soft_token> is
 * added behind Gemma's 262144 pieces, so the result is the same tokenizer as from the model's tokenizer.json. v is not
 * needed afterwards. GT_ERR_DATA, GT_ERR_NOMEM. */
gt_status gt_tokenizer_from_vocab(gt_tokenizer **out, const gt_vocab *v, const char *where);

/* One block of bytes that holds the whole tokenizer with its special ids, for a .gtq file. malloc'ed, the caller frees
 * *blob. The same tokenizer always gives the same bytes. About 14 MB for Gemma 3. GT_ERR_NOMEM. */
gt_status gt_tokenizer_pack(const gt_tokenizer *t, void **blob, size_t *size);

/* Opens a packed tokenizer by pointing into blob[0..size), which stays the caller's, 8-byte aligned, unchanged and
 * mapped until gt_tokenizer_free. Nothing in it is trusted: version, digest, every offset and id are checked first (a
 * few tens of milliseconds). GT_ERR_DATA, GT_ERR_NOMEM; GT_ERR_ARG: misaligned. */
gt_status gt_tokenizer_from_packed(gt_tokenizer **out, const void *blob, size_t size, const char *where);

void gt_tokenizer_free(gt_tokenizer *t); /* NULL is fine */

/* Hands the owner of a packed block to t: gt_tokenizer_free ends with release(object). Once a tokenizer. */
void gt_tokenizer_keep(gt_tokenizer *t, void *object, void (*release)(void *object));

/* Special ids. */

typedef struct {
    int32_t bos, eos, pad, unk;         /* -1: none */
    int32_t start_of_turn, end_of_turn; /* -1: the vocabulary has none and chats are refused */
    int32_t start_of_image;             /* -1: none */
    bool add_bos, add_eos;              /* what plain text gets around it: GT_ENCODE_DEFAULT */
} gt_tokenizer_specials;

/* The tokenizer's own, valid as long as it is. */
const gt_tokenizer_specials *gt_tokenizer_get_specials(const gt_tokenizer *t);

/* Replaces them (a GGUF's bos_token_id, eos_token_id, add_bos_token). GT_ERR_DATA: an id outside the vocabulary, or
 * add_bos without a bos. */
gt_status gt_tokenizer_set_specials(gt_tokenizer *t, const gt_tokenizer_specials *s);

/* Takes bos_token, eos_token, pad_token, unk_token (a string or an object with "content"; null and absent change
 * nothing), add_bos_token and add_eos_token from a tokenizer_config.json. The text of eos_token decides what ends plain
 * text: some copies name <end_of_turn>. GT_ERR_DATA: not JSON, a wrong type, a token that is no added token. */
gt_status gt_tokenizer_apply_config(gt_tokenizer *t, const char *text, size_t size, const char *where);

/* Encoding. */

enum {
    GT_ENCODE_ADD_BOS = 1,       /* put bos before the text */
    GT_ENCODE_ADD_EOS = 2,       /* put eos behind it */
    GT_ENCODE_PARSE_SPECIAL = 4, /* control tokens spelled in the text become control tokens */
    GT_ENCODE_ONE_BOS = 8,       /* with ADD_BOS: a text that itself begins with a parsed <bos> gets no second one, and
                                    ids->bos_stripped says so (the reference gives two) */
    GT_ENCODE_END_TEXT = 16, /* the text of eos is appended (TRL's plain text) and is always parsed; not appended where
                                    PARSE_SPECIAL is set and the text ends with it already */
    GT_ENCODE_DEFAULT = 32   /* ADD_BOS and ADD_EOS as the tokenizer's add_bos and add_eos say */
};

/* Appends the ids of text[0..size), which must be UTF-8, to ids. On failure ids holds what it held before.
 * GT_ERR_DATA: bad UTF-8 (with its offset), a text above GT_TOKENIZER_MAX_TEXT, ADD_BOS without a bos. GT_ERR_NOMEM.
 * Time about linear in size, whatever the text. */
gt_status gt_tokenizer_encode(const gt_tokenizer *t, const char *text, size_t size, unsigned flags, gt_ids *ids);

typedef struct {
    size_t begin, end; /* bytes [begin, end) of a text */
} gt_text_span;

/* As gt_tokenizer_encode over a text of several makers: control tokens are also found where they lie wholly inside one
 * of the trusted spans, which are ascending and disjoint. The text is tokenised as one: what may join, joins across the
 * borders of spans (a newline of a header and a newline of content become one token). */
gt_status gt_tokenizer_encode_spans(const gt_tokenizer *t, const char *text, size_t size, unsigned flags,
                                    const gt_text_span *trusted, size_t trusted_count, gt_ids *ids);

/* Asking. */

/* Pieces: ids are 0 … size - 1. A model's embedding may have more rows; those have no text. */
int32_t gt_tokenizer_size(const gt_tokenizer *t);

/* The piece's text as the vocabulary spells it (U+2581 for a space, "<0x41>" for a byte): *size bytes that live as long
 * as t, not NUL-terminated. NULL for an id outside. */
const char *gt_tokenizer_piece(const gt_tokenizer *t, int32_t id, size_t *size);

bool gt_tokenizer_is_special(const gt_tokenizer *t, int32_t id); /* dropped by skip_special */
bool gt_tokenizer_is_control(const gt_tokenizer *t, int32_t id); /* see the top; false outside */
int gt_tokenizer_byte_of(const gt_tokenizer *t, int32_t id);     /* 0…255 for a byte piece, else -1 */

/* The id of the added token spelled text[0..size), or -1. */
int32_t gt_tokenizer_find_added(const gt_tokenizer *t, const char *text, size_t size);

/* SHA-256 of the packed form: the tokenizer's identity. */
void gt_tokenizer_sha256(const gt_tokenizer *t, uint8_t digest[32]);

#endif
