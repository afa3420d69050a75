/* recipe_find.c - the key table looked up by name, by likeness, and printed. */
#include "spelling.h"
#include "recipe_table.h"

#include <limits.h>
#include <string.h>

const gt_recipe_key *gt_recipe_key_at(int i)
{
    const gt_recipe_key *k = gt_recipe_applied;
    for (; k->name; k++)
        if (i-- == 0) return k;
    for (k = gt_recipe_foreign; k->name; k++)
        if (i-- == 0) return k;
    return NULL;
}

const gt_recipe_key *gt_recipe_key_find(const char *name)
{
    for (const gt_recipe_key *k = gt_recipe_applied; k->name; k++)
        if (strcmp(k->name, name) == 0) return k;
    for (const gt_recipe_key *k = gt_recipe_foreign; k->name; k++)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

int gt_recipe_index(const char *name)
{
    int i = 0;
    while (gt_recipe_applied[i].name && strcmp(gt_recipe_applied[i].name, name) != 0) i++;
    return i;
}

const char *gt_recipe_key_nearest(const char *name)
{
    int best = INT_MAX;
    const gt_recipe_key *found = NULL, *k;
    for (int i = 0; (k = gt_recipe_key_at(i)); i++) { /* applied keys come first and win ties */
        int d = gt_word_distance(name, k->name);
        if (d < best) best = d, found = k;
    }
    return found && gt_word_is_near(name, best) ? found->name : NULL;
}

/* ---- docs/recipe.md */

static void add_cell(gt_text *t, const char *s)
{
    for (; s && *s; s++) {
        if (*s == '|')
            gt_text_addf(t, " or ");
        else
            gt_text_add(t, s, 1);
    }
}

static void add_allowed(gt_text *t, const gt_recipe_key *k)
{
    switch (k->type) {
    case GT_KEY_BOOL:
        gt_text_addf(t, "true, false");
        break;
    case GT_KEY_INT:
        gt_text_addf(t, "whole, %.0f to %.0f", k->min, k->max);
        break;
    case GT_KEY_REAL:
        gt_text_addf(t, gt_recipe_below(k) ? "%g to below %g" : "%g to %g", k->min, k->max);
        break;
    case GT_KEY_CHOICE:
        for (const gt_key_choice *c = k->choices; c->text; c++)
            gt_text_addf(t, c->bare ? "%s%s" : "%s\"%s\"", c == k->choices ? "" : ", ", c->text);
        break;
    case GT_KEY_TEXT:
        gt_text_addf(t, "text");
        break;
    case GT_KEY_LIST:
        gt_text_addf(t, "text or list");
        break;
    case GT_KEY_TARGETS:
        gt_text_addf(t, "list, \"all-linear\" or regex");
        break;
    case GT_KEY_EXCLUSION:
        gt_text_addf(t, "list or regex");
        break;
    case GT_KEY_LAYERS:
        gt_text_addf(t, "whole, %.0f to %.0f, or list", k->min, k->max);
        break;
    case GT_KEY_RANKS:
        gt_text_addf(t, "object of regexes and whole, %.0f to %.0f", k->min, k->max);
        break;
    case GT_KEY_ALPHAS:
        gt_text_addf(t, "object of regexes and %g to %g", k->min, k->max);
        break;
    case GT_KEY_SCHEDULE:
        gt_text_addf(t, "object");
        break;
    case GT_KEY_REPORT:
        gt_text_addf(t, "text or list");
        break;
    case GT_KEY_ANY:
        break;
    }
    if (k->nullable && k->type != GT_KEY_CHOICE) gt_text_addf(t, ", null");
}

static void add_foreign(gt_text *t, gt_key_status status, const char *head)
{
    gt_text_addf(t, "%s", head);
    for (const gt_recipe_key *k = gt_recipe_foreign; k->name; k++) {
        if (k->status != status) continue;
        gt_text_addf(t, "| `%s` | ", k->name);
        if (status == GT_KEY_ALIAS)
            gt_text_addf(t, "`%s`", k->target);
        else
            add_cell(t, k->fallback);
        gt_text_addf(t, " | ");
        add_cell(t, k->note);
        gt_text_addf(t, " |\n");
    }
}

void gt_recipe_keys_markdown(gt_text *t)
{
    static const char *const on_change[] = {"refused", "warned of", "allowed"};
    gt_text_addf(t, "### Keys that apply\n\n"
                    "| key | default | TRL's default, where it differs | values | changed at a resume | meaning |\n"
                    "|---|---|---|---|---|---|\n");
    for (const gt_recipe_key *k = gt_recipe_applied; k->name; k++) {
        gt_text_addf(t, "| `%s` | %s | %s | ", k->name, k->fallback, k->reference ? k->reference : "");
        add_allowed(t, k);
        gt_text_addf(t, " | %s | ", on_change[k->change]);
        add_cell(t, k->note);
        gt_text_addf(t, " |\n");
    }
    add_foreign(t, GT_KEY_ALIAS, "\n### Other spellings\n\n| key | is | whose |\n|---|---|---|\n");
    add_foreign(
        t, GT_KEY_NO_EFFECT,
        "\n### Keys taken without effect\n\nA value other than the one shown (or null, or empty) is warned of.\n\n"
        "| key | passes in silence | why |\n|---|---|---|\n");
    add_foreign(t, GT_KEY_REFUSED,
                "\n### Keys refused\n\nOnly the value shown (or null, or empty) is accepted.\n\n"
                "| key | accepted | instead |\n|---|---|---|\n");
}
