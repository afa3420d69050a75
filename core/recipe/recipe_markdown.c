/* recipe_markdown.c - the table of keys as docs/recipe.md holds it. A test compares the two, so a key's meaning is
 * written once, in the table. */
#include "recipe_table.h"

static void add_cell(gt_text *t, const char *s)
{
    for (; s && *s; s++) {
        if (*s == '|')
            gt_text_addf(t, " or ");
        else
            gt_text_add(t, s, 1);
    }
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
        gt_recipe_add_allowed(t, k, true);
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
