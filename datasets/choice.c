#include "choice.h"

static const gt_json *column(const gt_json *row, int i)
{
    const char name[2] = {(char)('A' + i), '\0'};
    return gt_json_get(row, name);
}

bool gt_choice_is(const gt_json *row)
{
    return gt_json_get(row, "question") && (gt_json_get(row, "options") || (column(row, 0) && column(row, 1)));
}

static bool filled(const gt_json *v)
{
    return v && v->type == GT_JSON_STRING && v->length > 0;
}

static gt_status read_columns(gt_choice *c, const gt_json *row)
{
    for (int i = 0; i < GT_CHOICE_MAX; i++) {
        const gt_json *v = column(row, i);
        if (v && v->type != GT_JSON_STRING && v->type != GT_JSON_NULL)
            return GT_FAIL(GT_ERR_DATA, "option '%c' is no string", 'A' + i);
        if (!filled(v)) continue;
        if (i != c->count)
            return GT_FAIL(GT_ERR_DATA, "option '%c' is filled, but '%c' is not", 'A' + i, 'A' + c->count);
        c->option[c->count++] = v;
    }
    return GT_OK;
}

static gt_status read_options(gt_choice *c, const gt_json *options)
{
    if (options->type != GT_JSON_OBJECT) return GT_FAIL(GT_ERR_DATA, "'options' is no object {\"A\": ..., \"B\": ...}");
    for (const gt_json *v = options->child; v; v = v->next) {
        if (c->count == GT_CHOICE_MAX || v->key_length != 1 || v->key[0] != 'A' + c->count)
            return GT_FAIL(GT_ERR_DATA, "'options' has the key '%.20s' where '%c' is expected", v->key, 'A' + c->count);
        if (!filled(v)) return GT_FAIL(GT_ERR_DATA, "option '%c' is no string, or an empty one", 'A' + c->count);
        c->option[c->count++] = v;
    }
    return GT_OK;
}

/* 0 ... count-1, or -1 when v names no option. */
static int answer_index(const gt_json *v, int count)
{
    int64_t n = 0;
    if (v->type == GT_JSON_NUMBER && v->is_integer)
        n = v->integer;
    else if (v->type == GT_JSON_STRING && v->length == 1 && v->string[0] >= 'A' && v->string[0] <= 'Z')
        n = v->string[0] - 'A' + 1;
    else if (v->type == GT_JSON_STRING && v->length > 0 && v->length <= 2)
        for (size_t i = 0; i < v->length; i++) {
            if (v->string[i] < '0' || v->string[i] > '9') return -1;
            n = n * 10 + (v->string[i] - '0');
        }
    return n >= 1 && n <= count ? (int)n - 1 : -1;
}

gt_status gt_choice_read(gt_choice *out, const gt_json *row)
{
    gt_choice c = {.question = gt_json_get(row, "question")};
    if (!filled(c.question)) return GT_FAIL(GT_ERR_DATA, "'question' is no string, or an empty one");
    const gt_json *options = gt_json_get(row, "options");
    GT_TRY(options ? read_options(&c, options) : read_columns(&c, row));
    if (c.count < 2) return GT_FAIL(GT_ERR_DATA, "%d options; a multiple-choice question has at least 2", c.count);
    const char *name = gt_json_get(row, "answer_idx") ? "answer_idx" : "answer";
    const gt_json *answer = gt_json_get(row, name);
    if (!answer) return GT_FAIL(GT_ERR_DATA, "no 'answer' (a number from 1, or a letter) and no 'answer_idx'");
    c.answer = answer_index(answer, c.count);
    if (c.answer < 0)
        return GT_FAIL(GT_ERR_DATA, "'%s' is none of the %d options; expected 1 to %d or A to %c", name, c.count,
                       c.count, 'A' + c.count - 1);
    *out = c;
    return GT_OK;
}

static void add_option(gt_text *out, const gt_choice *c, int i)
{
    gt_text_addf(out, "%c. ", 'A' + i);
    gt_text_add(out, c->option[i]->string, c->option[i]->length);
}

void gt_choice_prompt(gt_text *out, const gt_choice *c)
{
    gt_text_add(out, c->question->string, c->question->length);
    for (int i = 0; i < c->count; i++) {
        gt_text_add(out, "\n", 1);
        add_option(out, c, i);
    }
}

void gt_choice_answer(gt_text *out, const gt_choice *c)
{
    add_option(out, c, c->answer);
}
