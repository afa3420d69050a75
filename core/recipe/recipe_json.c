/* recipe_json.c - a recipe as canonical text, and the difference between two. Two recipes are the same where their
 * texts are, so what a resume compares is what it shows; defaults are spelled out, since another version may have
 * others. */
#include "recipe_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    const gt_recipe_key *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static gt_status printed(gt_text *t, char **out)
{
    if (t->failed || !t->data) {
        gt_text_free(t);
        return GT_FAIL(GT_ERR_NOMEM, "no memory for the recipe's text");
    }
    *out = t->data;
    return GT_OK;
}

gt_status gt_recipe_json(char **out, const gt_recipe *r)
{
    const gt_recipe_key *sorted[GT_RECIPE_APPLIED_MAX];
    int n = 0;
    for (const gt_recipe_key *k = gt_recipe_applied; k->name; k++) sorted[n++] = k;
    qsort(sorted, (size_t)n, sizeof *sorted, by_name);
    gt_text t = {0};
    gt_text_addf(&t, "{");
    for (int i = 0; i < n; i++) {
        gt_text_addf(&t, "%s\n  \"%s\": ", i ? "," : "", sorted[i]->name);
        gt_recipe_print(&t, r, sorted[i]);
    }
    gt_text_addf(&t, "\n}\n");
    return printed(&t, out);
}

/* Keys that only restate another field after parsing: their difference is told by that field. */
static bool restates(const char *name)
{
    return !strcmp(name, "load_in_4bit") || !strcmp(name, "bf16");
}

gt_status gt_recipe_compare(const gt_recipe *began, const gt_recipe *now, gt_string_list *warnings)
{
    gt_text refused = {0};
    gt_status st = GT_OK;
    for (const gt_recipe_key *k = gt_recipe_applied; k->name && st == GT_OK; k++) {
        if (k->change == GT_CHANGE_ALLOW || restates(k->name)) continue;
        gt_text was_text = {0}, is_text = {0};
        gt_recipe_print(&was_text, began, k);
        gt_recipe_print(&is_text, now, k);
        const char *was = was_text.data ? was_text.data : "", *is = is_text.data ? is_text.data : "";
        if (was_text.failed || is_text.failed)
            st = GT_FAIL(GT_ERR_NOMEM, "no memory to compare %s", k->name);
        else if (strcmp(was, is) != 0 && k->change == GT_CHANGE_REFUSE)
            gt_text_addf(&refused, "%s%s was %.150s, is now %.150s", refused.size ? "; " : "", k->name, was, is);
        else if (strcmp(was, is) != 0 && warnings) {
            char text[512];
            snprintf(text, sizeof text, "%s was %.180s when the run began, is now %.180s", k->name, was, is);
            st = gt_string_list_add(warnings, text);
        }
        gt_text_free(&was_text);
        gt_text_free(&is_text);
    }
    if (st == GT_OK && refused.failed) st = GT_FAIL(GT_ERR_NOMEM, "no memory to compare recipes");
    if (st == GT_OK && refused.size)
        st = GT_FAIL(GT_ERR_CONFIG,
                     "the recipe is not the one this run began with: %s; restore it, or give another "
                     "output_dir, or start anew with --resume never --overwrite-output-dir",
                     refused.data);
    gt_text_free(&refused);
    return st;
}
