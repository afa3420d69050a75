/* recipe.c - from text to a recipe: defaults, the file's keys, the command line's, in this order. */
#include "recipe.h"

#include "fs.h"
#include "json_config.h"
#include "recipe_table.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECIPE_BYTES = 1 << 20 };

typedef struct {
    gt_recipe r;
    const char *where;
    unsigned char level[GT_RECIPE_APPLIED_MAX]; /* of each applied key: 0 the default, 1 the file, 2 the command line */
    const char *given_as[GT_RECIPE_APPLIED_MAX]; /* the file's spelling of it */
} parsing;

static gt_status store_default(gt_recipe *r, const gt_recipe_key *k)
{
    cJSON *v;
    GT_TRY(gt_config_parse(&v, k->fallback, strlen(k->fallback), k->name));
    gt_status st = gt_recipe_store(r, k, v);
    cJSON_Delete(v);
    return st;
}

static gt_status store_defaults(gt_recipe *r)
{
    for (const gt_recipe_key *k = gt_recipe_applied; k->name; k++) GT_TRY(store_default(r, k));
    return GT_OK;
}

void gt_recipe_free(gt_recipe *r)
{
    if (!r) return;
    for (const gt_recipe_key *k = gt_recipe_applied; k->name; k++) {
        void *field = gt_recipe_field(r, k);
        if (k->type == GT_KEY_TEXT)
            free(*(char **)field);
        else if (k->type == GT_KEY_LIST)
            gt_string_list_free(field);
        else
            gt_recipe_free_modules(field, k);
    }
    gt_string_list_free(&r->warnings);
    memset(r, 0, sizeof *r);
}

static bool asks_for_nothing(const gt_recipe_key *k, const cJSON *v)
{
    if (cJSON_IsNull(v)) return true;
    if ((cJSON_IsArray(v) || cJSON_IsObject(v)) && !v->child) return true;
    if (cJSON_IsString(v) && !v->valuestring[0]) return true;
    gt_text t = {0};
    gt_recipe_print_json(&t, v);
    bool same = false;
    for (const char *p = k->fallback; p && t.data && !same;) {
        size_t n = strcspn(p, "|");
        same = n == t.size && memcmp(p, t.data, n) == 0;
        p = p[n] ? p + n + 1 : NULL;
    }
    gt_text_free(&t);
    return same;
}

static bool is_secret(const char *name)
{
    return strstr(name, "_token") && strncmp(name, "eos", 3) != 0;
}

static gt_status take_foreign(parsing *p, const gt_recipe_key *k, const cJSON *v)
{
    if (asks_for_nothing(k, v)) return GT_OK;
    gt_text shown = {0};
    if (is_secret(k->name))
        gt_text_addf(&shown, "(not shown)");
    else
        gt_recipe_print_json(&shown, v);
    if (shown.failed) {
        gt_text_free(&shown);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for the value of %s", k->name);
    }
    char text[512];
    gt_status st;
    if (k->status == GT_KEY_REFUSED) {
        bool usual = k->fallback && strcmp(k->fallback, "null") != 0;
        st = GT_FAIL(GT_ERR_CONFIG, "%s is %.120s, which is refused: %s%s%s%s", k->name, shown.data, k->note,
                     usual ? " (accepted: " : "", usual ? k->fallback : "", usual ? ")" : "; leave it out");
    } else {
        snprintf(text, sizeof text, "%s: %.120s has no effect: %s", k->name, shown.data, k->note);
        st = gt_string_list_add(&p->r.warnings, text);
    }
    gt_text_free(&shown);
    return st;
}

static gt_status take(parsing *p, const char *name, const cJSON *v, unsigned char level)
{
    const gt_recipe_key *k = gt_recipe_key_find(name);
    if (!k) {
        const char *near = gt_recipe_key_nearest(name);
        if (near) return GT_FAIL(GT_ERR_CONFIG, "unknown key '%.100s'; did you mean '%s'?", name, near);
        return GT_FAIL(GT_ERR_CONFIG, "unknown key '%.100s'; docs/recipe.md lists the keys", name);
    }
    if (k->status == GT_KEY_NO_EFFECT || k->status == GT_KEY_REFUSED) return take_foreign(p, k, v);
    if (k->status == GT_KEY_ALIAS) k = gt_recipe_key_find(k->target);
    int i = gt_recipe_index(k->name);
    if (level == 1 && p->level[i] == 1)
        return GT_FAIL(GT_ERR_CONFIG, "'%s' and '%s' are the same key: give one of them", p->given_as[i], name);
    GT_TRY(gt_recipe_store(&p->r, k, v));
    p->level[i] = level;
    p->given_as[i] = level == 1 ? k->name : "";
    if (level == 1 && strcmp(name, k->name) != 0) p->given_as[i] = gt_recipe_key_find(name)->name;
    return GT_OK;
}

static gt_status take_file(parsing *p, const cJSON *root)
{
    if (!cJSON_IsObject(root)) return GT_FAIL(GT_ERR_CONFIG, "a recipe is one JSON object, {\"key\": value, ...}");
    for (const cJSON *c = root->child; c; c = c->next) GT_TRY(take(p, c->string, c, 1));
    return GT_OK;
}

/* A key whose field is text takes the user's word as it stands when it is not JSON for a text. */
static bool wants_text(const char *key)
{
    const gt_recipe_key *k = gt_recipe_key_find(key);
    if (k && k->status == GT_KEY_ALIAS) k = gt_recipe_key_find(k->target);
    return k && (k->type == GT_KEY_TEXT || k->type == GT_KEY_LIST || k->type == GT_KEY_TARGETS ||
                 k->type == GT_KEY_EXCLUSION);
}

static gt_status take_set(parsing *p, const gt_recipe_set *s)
{
    const size_t size = strlen(s->value);
    cJSON *made = NULL;
    const cJSON word = {.type = cJSON_String, .valuestring = (char *)(uintptr_t)s->value};
    const cJSON *v = &word;
    if (!gt_utf8_valid(s->value, size, NULL)) return GT_FAIL(GT_ERR_CONFIG, "the value of %s is not UTF-8", s->key);
    if (gt_config_parse(&made, s->value, size, s->flag) == GT_OK) {
        if (!(wants_text(s->key) && (cJSON_IsNumber(made) || cJSON_IsBool(made)))) v = made;
    } else if (strstr(s->value, "\\u0000"))
        return GT_FAIL(GT_ERR_CONFIG, "the value of %s holds the character U+0000", s->key);
    gt_status st = take(p, s->key, v, 2);
    cJSON_Delete(made);
    return st;
}

static gt_status parse_into(parsing *p, const char *text, size_t size, const gt_recipe_set *sets, int set_count)
{
    GT_TRY(store_defaults(&p->r));
    cJSON *root;
    gt_status st = gt_config_parse(&root, text, size, p->where);
    if (st == GT_ERR_DATA) return GT_FAIL(GT_ERR_CONFIG, "%s", gt_error_last()->message);
    if (st != GT_OK) return st;
    st = take_file(p, root);
    cJSON_Delete(root);
    if (st != GT_OK) return gt_error_prefix("%s", p->where);
    for (int i = 0; i < set_count; i++)
        if (take_set(p, &sets[i]) != GT_OK) return gt_error_prefix("%s", sets[i].flag);
    if (gt_recipe_settle(&p->r, p->level) != GT_OK) return gt_error_prefix("%s", p->where);
    return GT_OK;
}

gt_status gt_recipe_parse(gt_recipe *out, const char *text, size_t size, const char *where, const gt_recipe_set *sets,
                          int set_count)
{
    parsing p;
    memset(&p, 0, sizeof p);
    p.where = where;
    gt_status st = parse_into(&p, text, size, sets, set_count);
    if (st == GT_OK)
        *out = p.r;
    else
        gt_recipe_free(&p.r);
    return st;
}

gt_status gt_recipe_read(gt_recipe *out, const char *path, const gt_recipe_set *sets, int set_count)
{
    char *text;
    size_t size;
    gt_status st = gt_fs_read(&text, &size, path, RECIPE_BYTES);
    if (st == GT_ERR_DATA) return GT_FAIL(GT_ERR_CONFIG, "%s", gt_error_last()->message);
    if (st != GT_OK) return st;
    st = gt_recipe_parse(out, text, size, path, sets, set_count);
    free(text);
    return st;
}

int64_t gt_recipe_every(double value, int64_t total_steps)
{
    double steps = value < 1 ? ceil(value * (double)total_steps) : value;
    return steps < 1 ? 1 : (int64_t)steps;
}

int64_t gt_recipe_warmup(const gt_recipe *r, int64_t total_steps)
{
    if (r->warmup_steps >= 1) return (int64_t)r->warmup_steps;
    double ratio = r->warmup_steps > 0 ? r->warmup_steps : r->warmup_ratio;
    return (int64_t)ceil(ratio * (double)total_steps);
}
