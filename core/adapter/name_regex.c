/* A Thompson automaton: the pattern is parsed by recursive descent into a program of relative jumps (so that a piece
 * can be copied for {m,n}), and the program is run over all its threads at once (Thompson 1968; Cox, "Regular
 * expression matching can be simple and fast"). */
#include "name_regex.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROGRAM = 8192, MAX_DEPTH = 64, MAX_REPEAT = 1000 };

typedef enum { OP_SET, OP_JUMP, OP_SPLIT, OP_BEGIN, OP_END, OP_WORD_EDGE, OP_NO_WORD_EDGE, OP_MATCH } op_code;

typedef struct {
    op_code op;
    int to;          /* OP_JUMP, OP_SPLIT: also go on at this + to */
    uint32_t set[8]; /* OP_SET: bytes taken */
} instruction;

struct gt_regex {
    int length;
    int *list[2]; /* [length] threads of this byte and the next */
    int *mark;    /* [length] the step in which a thread was last added */
    int *stack;   /* [2 * length + 1] */
    instruction program[];
};

typedef struct {
    const char *text, *at;
    instruction *program; /* [MAX_PROGRAM] */
    int length, depth;
} parser;

static gt_status refuse(const parser *p, const char *what)
{
    return GT_FAIL(GT_ERR_CONFIG, "a regular expression, byte %zu: %s: '%.300s'", (size_t)(p->at - p->text), what,
                   p->text);
}

static gt_status emit(parser *p, op_code op, int to)
{
    if (p->length == MAX_PROGRAM) return refuse(p, "too large; list module names instead");
    p->program[p->length++] = (instruction){.op = op, .to = to};
    return GT_OK;
}

static void set_add(uint32_t set[8], unsigned byte)
{
    set[byte >> 5] |= 1u << (byte & 31);
}

static bool is_word(unsigned c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The class of \d, \w, \s or their complements; false for another letter. */
static bool set_add_class(uint32_t set[8], char letter)
{
    const char lower = (char)(letter | 32);
    if (lower != 'd' && lower != 'w' && lower != 's') return false;
    for (unsigned c = 0; c < 256; c++) {
        const bool in = lower == 'd'   ? c >= '0' && c <= '9'
                        : lower == 'w' ? is_word(c)
                                       : c == ' ' || (c >= 9 && c <= 13);
        if (in == (letter == lower)) set_add(set, c);
    }
    return true;
}

/* The byte an escape stands for, p->at behind the backslash; -1 when it is no single byte. Moves on past it. */
static int escaped_byte(parser *p)
{
    static const char from[] = "tnrfva", to[] = "\t\n\r\f\v\a";
    const char c = *p->at;
    const char *control = c ? strchr(from, c) : NULL;
    if (!c || (!control && is_word((unsigned char)c))) return -1; /* other letters and digits mean something else */
    p->at++;
    return control ? to[control - from] : (unsigned char)c;
}

/* A set, p->at behind its '['. */
static gt_status parse_set(parser *p, uint32_t set[8])
{
    const bool negated = *p->at == '^';
    if (negated) p->at++;
    for (bool first = true; first || *p->at != ']'; first = false) {
        if (!*p->at) return refuse(p, "a set is not closed with ']'");
        int low = (unsigned char)*p->at++;
        if (low == '\\') {
            if (set_add_class(set, *p->at)) {
                p->at++;
                continue;
            }
            if ((low = escaped_byte(p)) < 0) return refuse(p, "an escape that is not supported in a set");
        }
        int high = low;
        if (p->at[0] == '-' && p->at[1] && p->at[1] != ']') {
            p->at++;
            high = (unsigned char)*p->at++;
            if (high == '\\' && (high = escaped_byte(p)) < 0) return refuse(p, "an escape that cannot end a range");
        }
        if (high < low) return refuse(p, "a range that runs backwards");
        for (int c = low; c <= high; c++) set_add(set, (unsigned)c);
    }
    p->at++;
    if (negated)
        for (int i = 0; i < 8; i++) set[i] = ~set[i];
    return GT_OK;
}

static gt_status parse_alternatives(parser *p);

static gt_status parse_group(parser *p)
{
    if (*p->at == '?') {
        if (p->at[1] == ':')
            p->at += 2;
        else if (p->at[1] == 'P' && p->at[2] == '<') {
            const char *end = strchr(p->at, '>');
            if (!end) return refuse(p, "a group's name is not closed with '>'");
            p->at = end + 1;
        } else
            return refuse(p, "'(?' other than (?: ) and (?P<name> ) is not supported (look-around, flags)");
    }
    if (++p->depth > MAX_DEPTH) return refuse(p, "groups nested too deeply");
    GT_TRY(parse_alternatives(p));
    p->depth--;
    if (*p->at != ')') return refuse(p, "a group is not closed with ')'");
    p->at++;
    return GT_OK;
}

/* One item without its quantifier. */
static gt_status parse_atom(parser *p)
{
    const char c = *p->at++;
    if (c == '(') return parse_group(p);
    if (c == '^') return emit(p, OP_BEGIN, 0);
    if (c == '$') return emit(p, OP_END, 0);
    if (c == '*' || c == '+' || c == '?') {
        p->at--;
        return refuse(p, "nothing to repeat");
    }
    uint32_t set[8] = {0};
    if (c == '.') {
        for (int i = 0; i < 8; i++) set[i] = ~0u;
        set['\n' >> 5] &= ~(1u << ('\n' & 31));
    } else if (c == '[') {
        GT_TRY(parse_set(p, set));
    } else if (c == '\\') {
        static const struct {
            char letter;
            op_code op;
        } anchors[] = {{'b', OP_WORD_EDGE}, {'B', OP_NO_WORD_EDGE}, {'A', OP_BEGIN}, {'Z', OP_END}};
        for (size_t i = 0; i < sizeof anchors / sizeof *anchors; i++) {
            if (*p->at != anchors[i].letter) continue;
            p->at++;
            return emit(p, anchors[i].op, 0);
        }
        if (set_add_class(set, *p->at))
            p->at++;
        else {
            const int byte = escaped_byte(p);
            if (byte < 0) return refuse(p, "an escape that is not supported (back-references are not)");
            set_add(set, (unsigned)byte);
        }
    } else {
        set_add(set, (unsigned char)c);
    }
    GT_TRY(emit(p, OP_SET, 0));
    memcpy(p->program[p->length - 1].set, set, sizeof set);
    return GT_OK;
}

/* {m}, {m,}, {,n}, {m,n} at p->at; false, nothing moved, when it is none (Python takes the brace literally then). */
static bool parse_counts(parser *p, int *least, int *most)
{
    const char *s = p->at + 1;
    int number[2] = {0, -1}, digits[2] = {0, 0}, which = 0;
    for (; *s && *s != '}'; s++) {
        if (*s == ',' && which == 0)
            which = 1;
        else if (*s >= '0' && *s <= '9' && digits[which] < 5) {
            number[which] = (digits[which]++ ? number[which] : 0) * 10 + (*s - '0');
        } else
            return false;
    }
    if (*s != '}' || (which == 0 && digits[0] == 0)) return false;
    *least = number[0];
    *most = which == 0 ? number[0] : number[1];
    p->at = s + 1;
    return true;
}

/* Appends a copy of the piece [begin, begin + length). */
static gt_status copy_piece(parser *p, const instruction *piece, int length)
{
    if (length > MAX_PROGRAM - p->length) return refuse(p, "too large; list module names instead");
    memcpy(p->program + p->length, piece, (size_t)length * sizeof *piece);
    p->length += length;
    return GT_OK;
}

/* Rewrites the piece from begin to the end of the program as least ... most copies of itself; most < 0: no limit. */
static gt_status repeat(parser *p, int begin, int least, int most)
{
    const int length = p->length - begin;
    if (least > MAX_REPEAT || most > MAX_REPEAT) return refuse(p, "a count above 1000");
    if (most >= 0 && most < least) return refuse(p, "a count {m,n} with n below m");
    instruction *piece = malloc((size_t)(length + 1) * sizeof *piece);
    if (!piece) return GT_FAIL(GT_ERR_NOMEM, "no memory for a regular expression");
    memcpy(piece, p->program + begin, (size_t)length * sizeof *piece);
    p->length = begin;
    gt_status st = GT_OK;
    for (int i = 0; st == GT_OK && i < least; i++) st = copy_piece(p, piece, length);
    if (st == GT_OK && most < 0) { /* split past the end; piece; back to the split */
        st = emit(p, OP_SPLIT, length + 2);
        if (st == GT_OK) st = copy_piece(p, piece, length);
        if (st == GT_OK) st = emit(p, OP_JUMP, -(length + 1));
    }
    for (int i = least; st == GT_OK && i < most; i++) {
        st = emit(p, OP_SPLIT, length + 1);
        if (st == GT_OK) st = copy_piece(p, piece, length);
    }
    free(piece);
    return st;
}

static gt_status parse_sequence(parser *p)
{
    while (*p->at && *p->at != '|' && *p->at != ')') {
        const int begin = p->length;
        GT_TRY(parse_atom(p));
        int least = 1, most = 1;
        if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
            least = *p->at == '+';
            most = *p->at == '?' ? 1 : -1;
            p->at++;
        } else if (*p->at != '{' || !parse_counts(p, &least, &most))
            continue;
        if (*p->at == '?')
            p->at++; /* lazy: the same full matches */
        else if (*p->at == '+')
            return refuse(p, "possessive quantifiers are not supported");
        else if (*p->at == '*')
            return refuse(p, "multiple repeat");
        GT_TRY(repeat(p, begin, least, most));
    }
    return GT_OK;
}

/* a|b|c: split to each next alternative; each but the last jumps to the common end. */
static gt_status parse_alternatives(parser *p)
{
    int begin = p->length;
    GT_TRY(parse_sequence(p));
    int jumps[256], count = 0;
    while (*p->at == '|') {
        p->at++;
        const int length = p->length - begin;
        if (count == 256) return refuse(p, "too many alternatives");
        GT_TRY(emit(p, OP_JUMP, 0)); /* room for the split in front, and the jump behind */
        memmove(p->program + begin + 1, p->program + begin, (size_t)length * sizeof *p->program);
        p->program[begin] = (instruction){.op = OP_SPLIT, .to = length + 2};
        jumps[count++] = p->length;
        GT_TRY(emit(p, OP_JUMP, 0));
        begin = p->length;
        GT_TRY(parse_sequence(p));
    }
    for (int i = 0; i < count; i++) p->program[jumps[i]].to = p->length - jumps[i];
    return GT_OK;
}

static gt_status build(gt_regex **out, parser *p)
{
    const size_t n = (size_t)p->length;
    gt_regex *r = malloc(sizeof *r + n * sizeof *r->program);
    if (!r) return GT_FAIL(GT_ERR_NOMEM, "no memory for a regular expression");
    *r = (gt_regex){.length = p->length};
    memcpy(r->program, p->program, n * sizeof *r->program);
    r->list[0] = malloc(n * sizeof(int));
    r->list[1] = malloc(n * sizeof(int));
    r->mark = malloc(n * sizeof(int));
    r->stack = malloc((2 * n + 1) * sizeof(int));
    if (!r->list[0] || !r->list[1] || !r->mark || !r->stack) {
        gt_regex_free(r);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for a regular expression");
    }
    *out = r;
    return GT_OK;
}

gt_status gt_regex_compile(gt_regex **out, const char *pattern)
{
    parser p = {.text = pattern, .at = pattern, .program = malloc(MAX_PROGRAM * sizeof *p.program)};
    if (!p.program) return GT_FAIL(GT_ERR_NOMEM, "no memory for a regular expression");
    gt_status st = parse_alternatives(&p);
    if (st == GT_OK && *p.at == ')') st = refuse(&p, "a ')' without its '('");
    if (st == GT_OK) st = emit(&p, OP_MATCH, 0);
    if (st == GT_OK) st = build(out, &p);
    free(p.program);
    return st;
}

void gt_regex_free(gt_regex *r)
{
    if (!r) return;
    free(r->list[0]);
    free(r->list[1]);
    free(r->mark);
    free(r->stack);
    free(r);
}

static bool word_edge(const char *name, size_t at, size_t size)
{
    const bool before = at > 0 && is_word((unsigned char)name[at - 1]),
               after = at < size && is_word((unsigned char)name[at]);
    return before != after;
}

/* Adds a thread at pc and all that it reaches without taking a byte. */
static int add_threads(gt_regex *r, int *list, int count, int pc, int step, const char *name, size_t at, size_t size)
{
    int top = 0;
    r->stack[top++] = pc;
    while (top) {
        pc = r->stack[--top];
        if (r->mark[pc] == step) continue;
        r->mark[pc] = step;
        const instruction *i = &r->program[pc];
        bool passes = false;
        switch (i->op) {
        case OP_SET:
        case OP_MATCH:
            list[count++] = pc;
            break;
        case OP_JUMP:
            r->stack[top++] = pc + i->to;
            break;
        case OP_SPLIT:
            r->stack[top++] = pc + i->to;
            passes = true;
            break;
        case OP_BEGIN:
            passes = at == 0;
            break;
        case OP_END:
            passes = at == size;
            break;
        case OP_WORD_EDGE:
            passes = word_edge(name, at, size);
            break;
        case OP_NO_WORD_EDGE:
            passes = !word_edge(name, at, size);
            break;
        }
        if (passes) r->stack[top++] = pc + 1;
    }
    return count;
}

bool gt_regex_full_match(gt_regex *r, const char *name)
{
    const size_t size = strlen(name);
    for (int i = 0; i < r->length; i++) r->mark[i] = -1;
    int *now = r->list[0], *next = r->list[1];
    int count = add_threads(r, now, 0, 0, 0, name, 0, size);
    for (size_t at = 0; at < size && count; at++) {
        const unsigned byte = (unsigned char)name[at];
        int next_count = 0;
        for (int i = 0; i < count; i++) {
            const instruction *in = &r->program[now[i]];
            if (in->op == OP_SET && in->set[byte >> 5] >> (byte & 31) & 1)
                next_count = add_threads(r, next, next_count, now[i] + 1, (int)at + 1, name, at + 1, size);
        }
        int *swap = now;
        now = next;
        next = swap;
        count = next_count;
    }
    for (int i = 0; i < count; i++)
        if (r->program[now[i]].op == OP_MATCH) return true;
    return false;
}
