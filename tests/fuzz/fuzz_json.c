/* fuzz_json.c - any bytes: parsed or refused. What is parsed, written again and parsed again, is the same document. */
#include "fuzz.h"

#include "json.h"

#include <string.h>

static void write_value(gt_text *t, const gt_json *v)
{
    switch (v->type) {
    case GT_JSON_NULL:
        gt_text_add(t, "null", 4);
        break;
    case GT_JSON_FALSE:
        gt_text_add(t, "false", 5);
        break;
    case GT_JSON_TRUE:
        gt_text_add(t, "true", 4);
        break;
    case GT_JSON_NUMBER:
        if (v->is_integer)
            gt_text_addf(t, "%lld", (long long)v->integer);
        else
            gt_text_addf(t, "%.17e", v->number); /* with an exponent it is no integer again */
        break;
    case GT_JSON_STRING:
        gt_text_add_json_string(t, v->string, v->length);
        break;
    case GT_JSON_ARRAY:
    case GT_JSON_OBJECT: {
        const bool object = v->type == GT_JSON_OBJECT;
        uint32_t count = 0;
        gt_text_add(t, object ? "{" : "[", 1);
        for (const gt_json *m = v->child; m; m = m->next, count++) {
            if (m != v->child) gt_text_add(t, ",", 1);
            if (object) {
                gt_text_add_json_string(t, m->key, m->key_length);
                gt_text_add(t, ":", 1);
                if (strlen(m->key) == m->key_length) FUZZ_CHECK(gt_json_get(v, m->key) == m);
            }
            write_value(t, m);
        }
        FUZZ_CHECK(count == v->count);
        gt_text_add(t, object ? "}" : "]", 1);
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gt_json_doc *d, *again;
    if (gt_json_parse(&d, (const char *)data, size, "input") != GT_OK) return 0;
    gt_text once = {0}, twice = {0};
    write_value(&once, gt_json_root(d));
    FUZZ_CHECK(gt_utf8_valid(once.data, once.size, NULL));
    FUZZ_CHECK(gt_json_parse(&again, once.data, once.size, "again") == GT_OK);
    write_value(&twice, gt_json_root(again));
    FUZZ_CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    gt_text_free(&once);
    gt_text_free(&twice);
    gt_json_free(again);
    gt_json_free(d);
    return 0;
}
