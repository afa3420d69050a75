/* recipe_store.c - one JSON value into one field of the recipe, and back into text. */
#include "recipe_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

gt_status gt_string_list_add(gt_string_list *l, const char *text)
{
    char *copy = strdup(text);
    char **grown = copy ? realloc(l->item, ((size_t)l->count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        free(copy);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for '%s'", text);
    }
    l->item = grown;
    l->item[l->count++] = copy;
    return GT_OK;
}

void gt_string_list_free(gt_string_list *l)
{
    if (!l) return;
    for (int i = 0; i < l->count; i++) free(l->item[i]);
    free(l->item);
    *l = (gt_string_list){NULL, 0};
}

/* ---- text */

void gt_recipe_print_number(gt_text *out, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same number */
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    gt_text_add(out, text, strlen(text));
}

void gt_recipe_print_json(gt_text *out, const gt_json *v)
{
    switch (v->type) {
    case GT_JSON_NULL:
        gt_text_addf(out, "null");
        return;
    case GT_JSON_FALSE:
        gt_text_addf(out, "false");
        return;
    case GT_JSON_TRUE:
        gt_text_addf(out, "true");
        return;
    case GT_JSON_NUMBER:
        gt_recipe_print_number(out, v->number);
        return;
    case GT_JSON_STRING:
        gt_text_add_json_string(out, v->string, v->length);
        return;
    case GT_JSON_ARRAY:
    case GT_JSON_OBJECT:
        break;
    }
    bool object = v->type == GT_JSON_OBJECT;
    gt_text_addf(out, object ? "{" : "[");
    for (const gt_json *c = v->child; c; c = c->next) {
        if (c != v->child) gt_text_addf(out, ", ");
        if (object) {
            gt_text_add_json_string(out, c->key, c->key_length);
            gt_text_addf(out, ": ");
        }
        gt_recipe_print_json(out, c);
    }
    gt_text_addf(out, object ? "}" : "]");
}

void gt_recipe_print_text(gt_text *out, const char *s)
{
    if (s)
        gt_text_add_json_string(out, s, strlen(s));
    else
        gt_text_addf(out, "null");
}

void gt_recipe_print_list(gt_text *out, const gt_string_list *l)
{
    gt_text_addf(out, "[");
    for (int i = 0; i < l->count; i++) {
        if (i) gt_text_addf(out, ", ");
        gt_recipe_print_text(out, l->item[i]);
    }
    gt_text_addf(out, "]");
}

static const struct {
    const char *name;
    size_t offset;
    double min, max;
} schedule_members[] = {{"lr_end", offsetof(gt_recipe_schedule, lr_end), 0, 1},
                        {"min_lr", offsetof(gt_recipe_schedule, min_lr), 0, 1},
                        {"min_lr_rate", offsetof(gt_recipe_schedule, min_lr_rate), 0, 1},
                        {"num_cycles", offsetof(gt_recipe_schedule, num_cycles), 0, 1e6},
                        {"power", offsetof(gt_recipe_schedule, power), 0, 100},
                        {"timescale", offsetof(gt_recipe_schedule, timescale), 1, 1e9}};
enum { SCHEDULE_MEMBERS = sizeof schedule_members / sizeof *schedule_members };

static double *schedule_member(gt_recipe_schedule *s, int i)
{
    return (double *)((char *)s + schedule_members[i].offset);
}

static void print_schedule(gt_text *out, gt_recipe_schedule *s)
{
    int shown = 0;
    for (int i = 0; i < SCHEDULE_MEMBERS; i++) {
        double v = *schedule_member(s, i);
        if (isnan(v)) continue;
        gt_text_addf(out, "%s\"%s\": ", shown++ ? ", " : "{", schedule_members[i].name);
        gt_recipe_print_number(out, v);
    }
    gt_text_addf(out, shown ? "}" : "null");
}

void gt_recipe_print(gt_text *out, const gt_recipe *r, const gt_recipe_key *k)
{
    void *field = gt_recipe_field(r, k);
    switch (k->type) {
    case GT_KEY_BOOL:
        gt_text_addf(out, *(bool *)field ? "true" : "false");
        return;
    case GT_KEY_INT:
        if (k->nullable && *(int64_t *)field == (int64_t)k->null_value)
            gt_text_addf(out, "null");
        else
            gt_text_addf(out, "%lld", (long long)*(int64_t *)field);
        return;
    case GT_KEY_REAL:
        if (k->nullable && k->null_value < k->min && *(double *)field == k->null_value)
            gt_text_addf(out, "null");
        else
            gt_recipe_print_number(out, *(double *)field);
        return;
    case GT_KEY_CHOICE:
        for (const gt_key_choice *c = k->choices; c->text; c++) {
            if (c->value != *(int *)field) continue;
            if (c->bare)
                gt_text_addf(out, "%s", c->text);
            else
                gt_recipe_print_text(out, c->text);
            return;
        }
        return;
    case GT_KEY_TEXT:
        gt_recipe_print_text(out, *(char **)field);
        return;
    case GT_KEY_LIST:
        gt_recipe_print_list(out, field);
        return;
    case GT_KEY_TARGETS:
    case GT_KEY_EXCLUSION:
    case GT_KEY_LAYERS:
    case GT_KEY_RANKS:
    case GT_KEY_ALPHAS:
        gt_recipe_print_modules(out, field, k);
        return;
    case GT_KEY_SCHEDULE:
        print_schedule(out, field);
        return;
    case GT_KEY_REPORT:
        gt_recipe_print_text(out, *(bool *)field ? "tensorboard" : "none");
        return;
    case GT_KEY_ANY:
        return;
    }
}

/* ---- refusing */

static void add_choices(gt_text *out, const gt_key_choice *choices)
{
    for (const gt_key_choice *c = choices; c->text; c++) {
        if (c != choices) gt_text_addf(out, c[1].text ? ", " : " or ");
        if (c->bare)
            gt_text_addf(out, "%s", c->text);
        else
            gt_recipe_print_text(out, c->text);
    }
}

/* "lora_r is 0; allowed: a whole number from 1 to 65536" */
gt_status gt_recipe_not_allowed(const gt_recipe_key *k, const gt_json *v, const char *detail)
{
    gt_text t = {0};
    gt_text_addf(&t, "%s is ", k->name);
    gt_text shown = {0};
    gt_recipe_print_json(&shown, v);
    if (shown.data && shown.size > 120)
        gt_text_addf(&t, "%.*s...", 100, shown.data);
    else if (shown.data)
        gt_text_add(&t, shown.data, shown.size);
    gt_text_free(&shown);
    gt_text_addf(&t, "; allowed: ");
    switch (k->type) {
    case GT_KEY_BOOL:
        gt_text_addf(&t, "true or false");
        break;
    case GT_KEY_INT:
        gt_text_addf(&t, "a whole number from %.0f to %.0f", k->min, k->max);
        break;
    case GT_KEY_REAL:
        gt_text_addf(&t, gt_recipe_below(k) ? "a number from %g to below %.9g" : "a number from %g to %.9g", k->min,
                     k->max);
        break;
    case GT_KEY_CHOICE:
        add_choices(&t, k->choices);
        break;
    case GT_KEY_TEXT:
        gt_text_addf(&t, "a string that is not empty");
        break;
    case GT_KEY_LIST:
        gt_text_addf(&t, "a string or a list of strings");
        break;
    case GT_KEY_TARGETS:
        gt_text_addf(&t, "a list of module names, \"all-linear\", or a regular expression for whole module paths");
        break;
    case GT_KEY_EXCLUSION:
        gt_text_addf(&t, "a list of module names, or a regular expression for whole module paths");
        break;
    case GT_KEY_LAYERS:
        gt_text_addf(&t, "a layer's number from %.0f to %.0f, or a list of them", k->min, k->max);
        break;
    case GT_KEY_RANKS:
        gt_text_addf(&t,
                     "an object of regular expressions for ends of module paths, each with a whole number from %.0f "
                     "to %.0f",
                     k->min, k->max);
        break;
    case GT_KEY_ALPHAS:
        gt_text_addf(&t,
                     "an object of regular expressions for ends of module paths, each with a number from %g to %.9g",
                     k->min, k->max);
        break;
    case GT_KEY_SCHEDULE:
        gt_text_addf(&t, "an object of lr_end, min_lr, min_lr_rate, num_cycles, power, timescale, all numbers");
        break;
    case GT_KEY_REPORT:
        gt_text_addf(&t, "\"tensorboard\", \"all\", \"none\" or a list of services");
        break;
    case GT_KEY_ANY:
        break;
    }
    if (k->nullable) gt_text_addf(&t, " (or null)");
    if (detail) gt_text_addf(&t, "; %s", detail);
    gt_status st = t.failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for a message about %s", k->name)
                            : GT_FAIL(GT_ERR_CONFIG, "%s", t.data);
    gt_text_free(&t);
    return st;
}

/* ---- storing */

static gt_status store_number(const gt_recipe_key *k, const gt_json *v, void *field)
{
    if (v->type == GT_JSON_NULL && k->nullable) {
        if (k->type == GT_KEY_INT)
            *(int64_t *)field = (int64_t)k->null_value;
        else
            *(double *)field = k->null_value;
        return GT_OK;
    }
    if (v->type != GT_JSON_NUMBER) return gt_recipe_not_allowed(k, v, NULL);
    if (!(v->number >= k->min && v->number <= k->max)) return gt_recipe_not_allowed(k, v, NULL);
    if (k->type == GT_KEY_REAL) {
        *(double *)field = v->number;
        return GT_OK;
    }
    if (v->number != floor(v->number)) return gt_recipe_not_allowed(k, v, NULL);
    *(int64_t *)field = (int64_t)v->number; /* all ranges lie far inside what a double counts exactly */
    return GT_OK;
}

static gt_status store_choice(gt_recipe *r, const gt_recipe_key *k, const gt_json *v)
{
    for (const gt_key_choice *c = k->choices; c->text; c++) {
        bool same;
        if (v->type == GT_JSON_STRING)
            same = !c->bare && gt_json_is_string(v, c->text);
        else
            same = c->bare && ((v->type == GT_JSON_NULL && !strcmp(c->text, "null")) ||
                               (v->type == GT_JSON_TRUE && !strcmp(c->text, "true")) ||
                               (v->type == GT_JSON_FALSE && !strcmp(c->text, "false")));
        if (!same) continue;
        if (c->warning) GT_TRY(gt_string_list_add(&r->warnings, c->warning));
        *(int *)gt_recipe_field(r, k) = c->value;
        return GT_OK;
    }
    for (const gt_key_refusal *f = k->refusals; f && f->text && v->type == GT_JSON_STRING; f++)
        if (strncasecmp(v->string, f->text, strlen(f->text)) == 0) return gt_recipe_not_allowed(k, v, f->reason);
    return gt_recipe_not_allowed(k, v, NULL);
}

bool gt_recipe_usable_text(const gt_json *v)
{
    return v->type == GT_JSON_STRING && v->length > 0 && gt_json_c_string(v);
}

static gt_status store_text(const gt_recipe_key *k, const gt_json *v, char **field)
{
    char *copy = NULL;
    if (!(v->type == GT_JSON_NULL && k->nullable)) {
        if (!gt_recipe_usable_text(v)) return gt_recipe_not_allowed(k, v, NULL);
        copy = strdup(v->string);
        if (!copy) return GT_FAIL(GT_ERR_NOMEM, "no memory for %s", k->name);
    }
    free(*field);
    *field = copy;
    return GT_OK;
}

gt_status gt_recipe_store_list(const gt_recipe_key *k, const gt_json *v, gt_string_list *field)
{
    gt_string_list made = {NULL, 0};
    gt_status st = GT_OK;
    if (v->type == GT_JSON_STRING)
        st = gt_recipe_usable_text(v) ? gt_string_list_add(&made, v->string) : gt_recipe_not_allowed(k, v, NULL);
    else if (v->type == GT_JSON_ARRAY) {
        for (const gt_json *c = v->child; c && st == GT_OK; c = c->next)
            st = gt_recipe_usable_text(c) ? gt_string_list_add(&made, c->string) : gt_recipe_not_allowed(k, v, NULL);
    } else if (!(v->type == GT_JSON_NULL && k->nullable))
        st = gt_recipe_not_allowed(k, v, NULL);
    if (st != GT_OK) {
        gt_string_list_free(&made);
        return st;
    }
    gt_string_list_free(field);
    *field = made;
    return GT_OK;
}

static gt_status store_schedule(const gt_recipe_key *k, const gt_json *v, gt_recipe_schedule *field)
{
    gt_recipe_schedule made;
    for (int i = 0; i < SCHEDULE_MEMBERS; i++) *schedule_member(&made, i) = NAN;
    if (v->type != GT_JSON_NULL && v->type != GT_JSON_OBJECT) return gt_recipe_not_allowed(k, v, NULL);
    for (const gt_json *c = v->type == GT_JSON_OBJECT ? v->child : NULL; c; c = c->next) {
        int i = 0;
        while (i < SCHEDULE_MEMBERS && (strlen(schedule_members[i].name) != c->key_length ||
                                        memcmp(schedule_members[i].name, c->key, c->key_length)))
            i++;
        if (i == SCHEDULE_MEMBERS || c->type != GT_JSON_NUMBER) return gt_recipe_not_allowed(k, v, NULL);
        if (!(c->number >= schedule_members[i].min && c->number <= schedule_members[i].max)) {
            char detail[120];
            snprintf(detail, sizeof detail, "%s must be from %g to %g", schedule_members[i].name,
                     schedule_members[i].min, schedule_members[i].max);
            return gt_recipe_not_allowed(k, v, detail);
        }
        *schedule_member(&made, i) = c->number;
    }
    *field = made;
    return GT_OK;
}

static gt_status store_report(gt_recipe *r, const gt_recipe_key *k, const gt_json *v)
{
    gt_string_list names = {NULL, 0};
    gt_status st = gt_recipe_store_list(k, v, &names);
    bool tensorboard = false;
    for (int i = 0; i < names.count && st == GT_OK; i++) {
        const char *name = names.item[i];
        if (!strcmp(name, "tensorboard") || !strcmp(name, "all"))
            tensorboard = true;
        else if (strcmp(name, "none") != 0) {
            char text[200];
            snprintf(text, sizeof text, "report_to: '%.60s' is not here; metrics.jsonl and TensorBoard files are",
                     name);
            st = gt_string_list_add(&r->warnings, text);
            tensorboard = true;
        }
    }
    gt_string_list_free(&names);
    if (st == GT_OK) *(bool *)gt_recipe_field(r, k) = tensorboard;
    return st;
}

gt_status gt_recipe_store(gt_recipe *r, const gt_recipe_key *k, const gt_json *v)
{
    void *field = gt_recipe_field(r, k);
    switch (k->type) {
    case GT_KEY_BOOL:
        if (v->type != GT_JSON_TRUE && v->type != GT_JSON_FALSE) return gt_recipe_not_allowed(k, v, NULL);
        *(bool *)field = v->type == GT_JSON_TRUE;
        return GT_OK;
    case GT_KEY_INT:
    case GT_KEY_REAL:
        return store_number(k, v, field);
    case GT_KEY_CHOICE:
        return store_choice(r, k, v);
    case GT_KEY_TEXT:
        return store_text(k, v, field);
    case GT_KEY_LIST:
        return gt_recipe_store_list(k, v, field);
    case GT_KEY_TARGETS:
    case GT_KEY_EXCLUSION:
    case GT_KEY_LAYERS:
    case GT_KEY_RANKS:
    case GT_KEY_ALPHAS:
        return gt_recipe_store_modules(field, k, v);
    case GT_KEY_SCHEDULE:
        return store_schedule(k, v, field);
    case GT_KEY_REPORT:
        return store_report(r, k, v);
    case GT_KEY_ANY:
        break;
    }
    return GT_FAIL(GT_ERR_INTERNAL, "key %s has no field", k->name);
}
