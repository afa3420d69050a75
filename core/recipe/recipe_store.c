/* recipe_store.c - one JSON value into one field of the recipe, and the field back into text. A field is found by its
 * offset in the table (recipe_keys.c) and written as its key's type says; every enum is written as an int. */
#include "json_config.h"
#include "recipe_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The members of lr_scheduler_kwargs. */
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

static void print_int(gt_text *out, const gt_recipe_key *k, int64_t v)
{
    if (k->nullable && v == (int64_t)k->null_value)
        gt_text_addf(out, "null");
    else
        gt_text_addf(out, "%lld", (long long)v);
}

/* A null that means a number of the range is shown as that number. */
static void print_real(gt_text *out, const gt_recipe_key *k, double v)
{
    if (k->nullable && k->null_value < k->min && v == k->null_value)
        gt_text_addf(out, "null");
    else
        gt_recipe_print_number(out, v);
}

static void print_choice(gt_text *out, const gt_recipe_key *k, int v)
{
    const gt_key_choice *c = k->choices;
    while (c->text && c->value != v) c++;
    if (c->text) gt_recipe_print_choice(out, c);
}

void gt_recipe_print(gt_text *out, const gt_recipe *r, const gt_recipe_key *k)
{
    void *field = gt_recipe_field(r, k);
    switch (k->type) {
    case GT_KEY_BOOL:
        gt_text_addf(out, *(bool *)field ? "true" : "false");
        return;
    case GT_KEY_INT:
        print_int(out, k, *(int64_t *)field);
        return;
    case GT_KEY_REAL:
        print_real(out, k, *(double *)field);
        return;
    case GT_KEY_CHOICE:
        print_choice(out, k, *(int *)field);
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

static gt_status store_number(const gt_recipe_key *k, const cJSON *v, void *field)
{
    if (cJSON_IsNull(v) && k->nullable) {
        if (k->type == GT_KEY_INT)
            *(int64_t *)field = (int64_t)k->null_value;
        else
            *(double *)field = k->null_value;
        return GT_OK;
    }
    if (!cJSON_IsNumber(v)) return gt_recipe_not_allowed(k, v, NULL);
    if (!(v->valuedouble >= k->min && v->valuedouble <= k->max)) return gt_recipe_not_allowed(k, v, NULL);
    if (k->type == GT_KEY_REAL) {
        *(double *)field = v->valuedouble;
        return GT_OK;
    }
    if (v->valuedouble != floor(v->valuedouble)) return gt_recipe_not_allowed(k, v, NULL);
    *(int64_t *)field = (int64_t)v->valuedouble; /* all ranges lie far inside what a double counts exactly */
    return GT_OK;
}

static gt_status store_choice(gt_recipe *r, const gt_recipe_key *k, const cJSON *v)
{
    for (const gt_key_choice *c = k->choices; c->text; c++) {
        bool same;
        if (cJSON_IsString(v))
            same = !c->bare && gt_config_is_string(v, c->text);
        else
            same = c->bare &&
                   ((cJSON_IsNull(v) && !strcmp(c->text, "null")) || (cJSON_IsTrue(v) && !strcmp(c->text, "true")) ||
                    (cJSON_IsFalse(v) && !strcmp(c->text, "false")));
        if (!same) continue;
        if (c->warning) GT_TRY(gt_string_list_add(&r->warnings, c->warning));
        *(int *)gt_recipe_field(r, k) = c->value;
        return GT_OK;
    }
    for (const gt_key_refusal *f = k->refusals; f && f->text && cJSON_IsString(v); f++)
        if (strncasecmp(v->valuestring, f->text, strlen(f->text)) == 0) return gt_recipe_not_allowed(k, v, f->reason);
    return gt_recipe_not_allowed(k, v, NULL);
}

static gt_status store_text(const gt_recipe_key *k, const cJSON *v, char **field)
{
    char *copy = NULL;
    if (!(cJSON_IsNull(v) && k->nullable)) {
        if (!gt_recipe_usable_text(v)) return gt_recipe_not_allowed(k, v, NULL);
        copy = strdup(v->valuestring);
        if (!copy) return GT_FAIL(GT_ERR_NOMEM, "no memory for %s", k->name);
    }
    free(*field);
    *field = copy;
    return GT_OK;
}

static gt_status store_schedule(const gt_recipe_key *k, const cJSON *v, gt_recipe_schedule *field)
{
    gt_recipe_schedule made;
    for (int i = 0; i < SCHEDULE_MEMBERS; i++) *schedule_member(&made, i) = NAN;
    if (!cJSON_IsNull(v) && !cJSON_IsObject(v)) return gt_recipe_not_allowed(k, v, NULL);
    for (const cJSON *c = v->child; c; c = c->next) {
        int i = 0;
        while (i < SCHEDULE_MEMBERS && strcmp(schedule_members[i].name, c->string) != 0) i++;
        if (i == SCHEDULE_MEMBERS || !cJSON_IsNumber(c)) return gt_recipe_not_allowed(k, v, NULL);
        if (!(c->valuedouble >= schedule_members[i].min && c->valuedouble <= schedule_members[i].max)) {
            char detail[120];
            snprintf(detail, sizeof detail, "%s must be from %g to %g", schedule_members[i].name,
                     schedule_members[i].min, schedule_members[i].max);
            return gt_recipe_not_allowed(k, v, detail);
        }
        *schedule_member(&made, i) = c->valuedouble;
    }
    *field = made;
    return GT_OK;
}

static gt_status store_report(gt_recipe *r, const gt_recipe_key *k, const cJSON *v)
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

gt_status gt_recipe_store(gt_recipe *r, const gt_recipe_key *k, const cJSON *v)
{
    void *field = gt_recipe_field(r, k);
    switch (k->type) {
    case GT_KEY_BOOL:
        if (!cJSON_IsBool(v)) return gt_recipe_not_allowed(k, v, NULL);
        *(bool *)field = cJSON_IsTrue(v);
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
