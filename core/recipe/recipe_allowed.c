/* recipe_allowed.c - what a key takes, in words, for a refusal and for docs/recipe.md: both come from one table, so
 * they name the same types and the same bounds. */
#include "recipe_table.h"

/* For each type of value. All are formats over the same three: the least number, "below " or nothing, the greatest. */
static const struct {
    const char *in_docs, *in_a_refusal;
} phrase[] = {
    [GT_KEY_BOOL] = {"true, false", "true or false"},
    [GT_KEY_INT] = {"whole, %.0f to %s%.0f", "a whole number from %.0f to %s%.0f"},
    [GT_KEY_REAL] = {"%g to %s%g", "a number from %g to %s%.9g"},
    [GT_KEY_CHOICE] = {"", ""}, /* the choices themselves */
    [GT_KEY_TEXT] = {"text", "a string that is not empty"},
    [GT_KEY_LIST] = {"text or list", "a string or a list of strings"},
    [GT_KEY_TARGETS] = {"list, \"all-linear\" or regex",
                        "a list of module names, \"all-linear\", or a regular expression for whole module paths"},
    [GT_KEY_EXCLUSION] = {"list or regex", "a list of module names, or a regular expression for whole module paths"},
    [GT_KEY_LAYERS] = {"whole, %.0f to %s%.0f, or list", "a layer's number from %.0f to %s%.0f, or a list of them"},
    [GT_KEY_RANKS] = {"object of regexes and whole, %.0f to %s%.0f",
                      "an object of regular expressions for ends of module paths, each with a whole number from %.0f "
                      "to %s%.0f"},
    [GT_KEY_ALPHAS] = {"object of regexes and %g to %s%g",
                       "an object of regular expressions for ends of module paths, each with a number from %g to "
                       "%s%.9g"},
    [GT_KEY_SCHEDULE] = {"object",
                         "an object of lr_end, min_lr, min_lr_rate, num_cycles, power, timescale, all numbers"},
    [GT_KEY_REPORT] = {"text or list", "\"tensorboard\", \"all\", \"none\" or a list of services"},
    [GT_KEY_ANY] = {"", ""}};

/* The greatest number allowed is the last one below 1. */
static bool below(const gt_recipe_key *k)
{
    return k->max < 1.0 && k->max > 1.0 - 1e-12;
}

static void add_choices(gt_text *out, const gt_key_choice *choices, const char *before_last)
{
    for (const gt_key_choice *c = choices; c && c->text; c++) {
        if (c != choices) gt_text_addf(out, "%s", c[1].text ? ", " : before_last);
        gt_recipe_print_choice(out, c);
    }
}

void gt_recipe_add_allowed(gt_text *out, const gt_recipe_key *k, bool in_docs)
{
    const char *format = in_docs ? phrase[k->type].in_docs : phrase[k->type].in_a_refusal;
    gt_text_addf(out, format, k->min, below(k) ? "below " : "", k->max);
    add_choices(out, k->choices, in_docs ? ", " : " or ");
    if (k->nullable) gt_text_addf(out, in_docs ? ", null" : " (or null)");
}

/* "lora_r is 0; allowed: a whole number from 1 to 65536" */
gt_status gt_recipe_not_allowed(const gt_recipe_key *k, const cJSON *v, const char *detail)
{
    gt_text t = {0}, shown = {0};
    gt_recipe_print_json(&shown, v);
    gt_text_addf(&t, "%s is ", k->name);
    if (shown.data && shown.size > 120)
        gt_text_addf(&t, "%.*s...", 100, shown.data);
    else if (shown.data)
        gt_text_add(&t, shown.data, shown.size);
    gt_text_free(&shown);
    gt_text_addf(&t, "; allowed: ");
    gt_recipe_add_allowed(&t, k, false);
    if (detail) gt_text_addf(&t, "; %s", detail);
    gt_status st = t.failed ? GT_FAIL(GT_ERR_NOMEM, "no memory for a message about %s", k->name)
                            : GT_FAIL(GT_ERR_CONFIG, "%s", t.data);
    gt_text_free(&t);
    return st;
}
