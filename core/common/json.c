/* json.c - one recursive pass (its depth is bounded). Decoded strings lie one behind the other in one block: a string
 * never gets longer by decoding, and its two quotes leave room for the NUL. Values lie in chunks in the order in which
 * they are met. An object with many members gets a hash table, which finds duplicates and serves gt_json_get. */
#include "json.h"

#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_CHUNK = 2048, LARGEST_CHUNK = 1 << 20, INDEX_FROM = 9 };

typedef struct chunk {
    struct chunk *next;
    size_t used, capacity;
    _Alignas(16) char bytes[];
} chunk;

/* Objects are allocated with this tail; a table only from INDEX_FROM members on. Open addressing, size a power of two.
 */
typedef struct {
    gt_json value;
    const gt_json **table; /* [mask + 1], NULL: free */
    size_t mask;
} object;

struct gt_json_doc {
    chunk *chunks;
    char *strings;
    const gt_json *root;
};

typedef struct {
    const char *text, *at, *end, *where;
    char *strings; /* the next free byte of the document's strings */
    gt_json_doc *doc;
    size_t values, values_limit;
    int depth;
} parser;

/* Keys come from outside: without a number that they cannot know, keys could be chosen to share one slot. */
static uint64_t hash_seed(void)
{
    static _Atomic uint64_t seed;
    uint64_t s = seed;
    if (s == 0) {
        if (getrandom(&s, sizeof s, GRND_NONBLOCK) != (ssize_t)sizeof s) s = (uint64_t)(uintptr_t)&seed;
        s |= 1;
        seed = s;
    }
    return s;
}

static uint64_t hash_key(const char *key, size_t size)
{
    uint64_t h = hash_seed() ^ size, w;
    for (; size >= 8; size -= 8, key += 8) {
        memcpy(&w, key, 8);
        h = gt_mix64(h ^ w);
    }
    w = 0;
    memcpy(&w, key, size);
    return gt_mix64(h ^ w);
}

/* Where it is in the text, in words. A row of a JSON lines file is one line, and `where` says which. */
static void name_place(char *place, size_t size, const parser *p, const char *at)
{
    size_t line = 1, column = 1;
    for (const char *c = p->text; c < at; c++) {
        column++;
        if (*c == '\n') {
            line++;
            column = 1;
        }
    }
    if (line == 1)
        snprintf(place, size, "column %zu", column);
    else
        snprintf(place, size, "line %zu, column %zu", line, column);
}

static gt_status fail_at(const parser *p, const char *at, const char *what)
{
    char place[64];
    name_place(place, sizeof place, p, at);
    return GT_FAIL(GT_ERR_DATA, "%s: invalid JSON at %s: %s", p->where, place, what);
}

static void *take(gt_json_doc *d, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    chunk *c = d->chunks;
    if (!c || c->capacity - c->used < bytes) {
        size_t capacity = c ? c->capacity * 2 : FIRST_CHUNK;
        if (capacity > LARGEST_CHUNK) capacity = LARGEST_CHUNK;
        if (capacity < bytes) capacity = bytes;
        c = malloc(sizeof *c + capacity);
        if (!c) return NULL;
        c->used = 0;
        c->capacity = capacity;
        c->next = d->chunks;
        d->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += bytes;
    return p;
}

static gt_status no_memory(const parser *p)
{
    return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu bytes of JSON", p->where, (size_t)(p->end - p->text));
}

static gt_status new_value(parser *p, gt_json **out, gt_json_type type)
{
    size_t bytes = type == GT_JSON_OBJECT ? sizeof(object) : sizeof(gt_json);
    if (++p->values > p->values_limit) return fail_at(p, p->at, "more values than its size allows");
    gt_json *v = take(p->doc, bytes);
    if (!v) return no_memory(p);
    memset(v, 0, bytes);
    v->type = type;
    v->offset = (size_t)(p->at - p->text);
    *out = v;
    return GT_OK;
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t')) p->at++;
}

/* Four hex digits at p->at into *unit; false if they are not there. */
static bool hex4(parser *p, uint32_t *unit)
{
    if (p->end - p->at < 4) return false;
    uint32_t u = 0;
    for (int i = 0; i < 4; i++) {
        char c = p->at[i];
        if (c >= '0' && c <= '9')
            u = u << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            u = u << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            u = u << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    p->at += 4;
    *unit = u;
    return true;
}

/* p->at is behind a backslash. */
static gt_status parse_escape(parser *p, char **to)
{
    const char *escape = p->at - 1;
    if (p->at == p->end) return fail_at(p, escape, "the text ends inside a string");
    char c = *p->at++;
    switch (c) {
    case '"':
    case '\\':
    case '/':
        break;
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    case 'u': {
        uint32_t u, low;
        if (!hex4(p, &u)) return fail_at(p, escape, "\\u needs four hexadecimal digits");
        if (u >= 0xdc00 && u < 0xe000) return fail_at(p, escape, "a low surrogate without a high one before it");
        if (u >= 0xd800 && u < 0xdc00) {
            const bool escaped = p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u';
            if (escaped) p->at += 2;
            if (!escaped || !hex4(p, &low) || low < 0xdc00 || low >= 0xe000)
                return fail_at(p, escape, "a high surrogate without a low one behind it");
            u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
        }
        *to += gt_utf8_encode(*to, u);
        return GT_OK;
    }
    default:
        return fail_at(p, escape, "unknown escape in a string");
    }
    *(*to)++ = c;
    return GT_OK;
}

/* p->at is at the opening quote. */
static gt_status parse_string(parser *p, const char **string, size_t *length)
{
    const char *open = p->at++;
    char *to = p->strings;
    for (;;) {
        const char *run = p->at;
        while (p->at < p->end) {
            unsigned char c = (unsigned char)*p->at;
            if (c == '"' || c == '\\' || c < 0x20) break;
            if (c < 0x80)
                p->at++;
            else {
                int n = gt_utf8_decode(p->at, (size_t)(p->end - p->at), NULL);
                if (n == 0) return fail_at(p, p->at, "invalid UTF-8");
                p->at += n;
            }
        }
        memcpy(to, run, (size_t)(p->at - run));
        to += p->at - run;
        if (p->at == p->end) return fail_at(p, open, "a string that does not end");
        char c = *p->at;
        if ((unsigned char)c < 0x20) return fail_at(p, p->at, "a raw control character in a string; write \\u00XX");
        p->at++;
        if (c == '"') break;
        GT_TRY(parse_escape(p, &to));
    }
    *string = p->strings;
    *length = (size_t)(to - p->strings);
    *to++ = '\0';
    p->strings = to;
    return GT_OK;
}

static bool digit(const parser *p)
{
    return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

static gt_status parse_number(parser *p, gt_json **out)
{
    gt_json *v;
    GT_TRY(new_value(p, &v, GT_JSON_NUMBER));
    const char *start = p->at;
    const bool negative = *p->at == '-';
    if (negative) p->at++;
    if (!digit(p)) return fail_at(p, p->at, "a number needs a digit here");
    const bool zero = *p->at == '0';
    if (zero) p->at++;
    if (zero && digit(p)) return fail_at(p, start, "a number with a leading zero");
    uint64_t magnitude = 0;
    bool fits = true, whole = true;
    for (; digit(p); p->at++) {
        uint64_t d = (uint64_t)(*p->at - '0');
        if (magnitude > (UINT64_MAX - d) / 10)
            fits = false;
        else
            magnitude = magnitude * 10 + d;
    }
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        whole = false;
        if (!digit(p)) return fail_at(p, p->at, "a fraction needs a digit here");
        while (digit(p)) p->at++;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        whole = false;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        if (!digit(p)) return fail_at(p, p->at, "an exponent needs a digit here");
        while (digit(p)) p->at++;
    }
    const uint64_t limit = (uint64_t)INT64_MAX + negative;
    v->is_integer = whole && fits && magnitude <= limit;
    if (v->is_integer) {
        v->integer = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
        v->number = negative ? -(double)magnitude : (double)magnitude;
    } else { /* the free bytes behind the strings serve as scratch: strtod needs a NUL */
        size_t n = (size_t)(p->at - start);
        memcpy(p->strings, start, n);
        p->strings[n] = '\0';
        v->number = strtod(p->strings, NULL);
        if (!isfinite(v->number)) return fail_at(p, start, "a number beyond the range of double");
    }
    *out = v;
    return GT_OK;
}

static bool same_key(const gt_json *a, const char *key, size_t length)
{
    return a->key_length == length && memcmp(a->key, key, length) == 0;
}

static gt_status fail_duplicate(const parser *p, const gt_json *member)
{
    char what[128], key[64];
    size_t n = 0; /* no control characters of a stranger's on our terminal */
    for (const char *c = member->key; *c && n < sizeof key - 1; c++, n++) {
        key[n] = *c;
        if ((unsigned char)*c < 0x20) key[n] = '?';
    }
    key[n] = '\0';
    snprintf(what, sizeof what, "the key '%s' appears twice in one object", key);
    return fail_at(p, p->text + member->offset, what);
}

/* Looks for duplicate keys, building the table of a large object on the way. */
static gt_status finish_object(parser *p, object *o)
{
    if (o->value.count < INDEX_FROM) {
        for (const gt_json *m = o->value.child; m; m = m->next)
            for (const gt_json *other = o->value.child; other != m; other = other->next)
                if (same_key(other, m->key, m->key_length)) return fail_duplicate(p, m);
        return GT_OK;
    }
    size_t slots = 16;
    while (slots < (size_t)o->value.count * 2) slots *= 2;
    o->table = take(p->doc, slots * sizeof *o->table);
    if (!o->table) return no_memory(p);
    memset(o->table, 0, slots * sizeof *o->table);
    o->mask = slots - 1;
    for (const gt_json *m = o->value.child; m; m = m->next) {
        size_t i = hash_key(m->key, m->key_length) & o->mask;
        for (; o->table[i]; i = (i + 1) & o->mask)
            if (same_key(o->table[i], m->key, m->key_length)) return fail_duplicate(p, m);
        o->table[i] = m;
    }
    return GT_OK;
}

static gt_status parse_value(parser *p, gt_json **out);

/* The elements of an array or the members of an object; p->at is behind the opening bracket. */
static gt_status parse_members(parser *p, gt_json *v)
{
    const bool is_object = v->type == GT_JSON_OBJECT;
    const char close = is_object ? '}' : ']';
    const gt_json **link = &v->child;
    skip_space(p);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        return GT_OK;
    }
    for (;;) {
        const char *key = NULL;
        size_t key_length = 0;
        if (is_object) {
            skip_space(p);
            if (p->at == p->end || *p->at != '"') return fail_at(p, p->at, "a member name in quotes is expected here");
            GT_TRY(parse_string(p, &key, &key_length));
            skip_space(p);
            if (p->at == p->end || *p->at != ':') return fail_at(p, p->at, "':' is expected here");
            p->at++;
        }
        gt_json *member;
        GT_TRY(parse_value(p, &member));
        if (v->count == UINT32_MAX) return fail_at(p, p->at, "too many members");
        member->key = key;
        member->key_length = key_length;
        v->count++;
        *link = member;
        link = &member->next;
        skip_space(p);
        if (p->at < p->end && *p->at == ',') {
            p->at++;
            continue;
        }
        if (p->at == p->end || *p->at != close)
            return fail_at(p, p->at, is_object ? "',' or '}' is expected here" : "',' or ']' is expected here");
        p->at++;
        return GT_OK;
    }
}

static gt_status parse_literal(parser *p, gt_json **out, const char *word, gt_json_type type)
{
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return fail_at(p, p->at, "a value is expected here");
    GT_TRY(new_value(p, out, type));
    p->at += n;
    return GT_OK;
}

static gt_status parse_value(parser *p, gt_json **out)
{
    skip_space(p);
    if (p->at == p->end) return fail_at(p, p->at, "a value is expected here, but the text ends");
    switch (*p->at) {
    case '{':
    case '[': {
        gt_json *v;
        if (p->depth == GT_JSON_MAX_DEPTH) return fail_at(p, p->at, "nested deeper than 64 levels");
        GT_TRY(new_value(p, &v, *p->at == '{' ? GT_JSON_OBJECT : GT_JSON_ARRAY));
        p->at++;
        p->depth++;
        GT_TRY(parse_members(p, v));
        p->depth--;
        if (v->type == GT_JSON_OBJECT) GT_TRY(finish_object(p, (object *)v));
        *out = v;
        return GT_OK;
    }
    case '"': {
        gt_json *v;
        GT_TRY(new_value(p, &v, GT_JSON_STRING));
        GT_TRY(parse_string(p, &v->string, &v->length));
        *out = v;
        return GT_OK;
    }
    case 't':
        return parse_literal(p, out, "true", GT_JSON_TRUE);
    case 'f':
        return parse_literal(p, out, "false", GT_JSON_FALSE);
    case 'n':
        return parse_literal(p, out, "null", GT_JSON_NULL);
    default:
        break;
    }
    if (*p->at == '-' || digit(p)) return parse_number(p, out);
    if (p->at == p->text && p->end - p->at >= 3 && memcmp(p->at, "\xef\xbb\xbf", 3) == 0)
        return fail_at(p, p->at, "a byte order mark; save the file as UTF-8 without it");
    return fail_at(p, p->at, "a value is expected here");
}

static gt_status parse(gt_json_doc **out, const char *text, size_t size, const char *where, size_t bytes_a_value)
{
    if (!text) text = ""; /* an empty file's map */
    gt_json_doc *d = calloc(1, sizeof *d);
    if (d && size < SIZE_MAX) d->strings = malloc(size + 1);
    if (!d || !d->strings) {
        gt_json_free(d);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu bytes of JSON", where, size);
    }
    parser p = {text, text, text + size, where, d->strings, d, 0, GT_JSON_FREE_VALUES + size / bytes_a_value, 0};
    gt_json *root;
    gt_status st = parse_value(&p, &root);
    if (st == GT_OK) {
        skip_space(&p);
        if (p.at != p.end) st = fail_at(&p, p.at, "bytes after the value");
    }
    if (st != GT_OK) {
        gt_json_free(d);
        return st;
    }
    d->root = root;
    *out = d;
    return GT_OK;
}

gt_status gt_json_parse(gt_json_doc **out, const char *text, size_t size, const char *where)
{
    return parse(out, text, size, where, 16);
}

gt_status gt_json_parse_dense(gt_json_doc **out, const char *text, size_t size, const char *where)
{
    return parse(out, text, size, where, 8);
}

const gt_json *gt_json_root(const gt_json_doc *d)
{
    return d->root;
}

void gt_json_free(gt_json_doc *d)
{
    if (!d) return;
    for (chunk *c = d->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(d->strings);
    free(d);
}

const gt_json *gt_json_get(const gt_json *v, const char *key)
{
    if (!v || v->type != GT_JSON_OBJECT) return NULL;
    const object *o = (const object *)v;
    size_t length = strlen(key);
    if (!o->table) {
        for (const gt_json *m = v->child; m; m = m->next)
            if (same_key(m, key, length)) return m;
        return NULL;
    }
    for (size_t i = hash_key(key, length) & o->mask; o->table[i]; i = (i + 1) & o->mask)
        if (same_key(o->table[i], key, length)) return o->table[i];
    return NULL;
}

bool gt_json_is_string(const gt_json *v, const char *text)
{
    return v && v->type == GT_JSON_STRING && v->length == strlen(text) && memcmp(v->string, text, v->length) == 0;
}

bool gt_json_is_int(const gt_json *v, int64_t least, int64_t most)
{
    return v && v->type == GT_JSON_NUMBER && v->is_integer && v->integer >= least && v->integer <= most;
}

bool gt_json_c_string(const gt_json *v)
{
    if (!v || v->type != GT_JSON_STRING) return false;
    return memchr(v->string, '\0', v->length) == NULL;
}
