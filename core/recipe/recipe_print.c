/* recipe_print.c - values as JSON text. What is printed reads back as the same value: a recipe in a checkpoint is
 * compared with the one in hand by its text alone (recipe_json.c). */
#include "recipe_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gt_recipe_print_number(gt_text *out, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same number */
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    gt_text_add(out, text, strlen(text));
}

void gt_recipe_print_json(gt_text *out, const cJSON *v)
{
    if (cJSON_IsNull(v) || cJSON_IsBool(v)) {
        gt_text_addf(out, cJSON_IsNull(v) ? "null" : cJSON_IsTrue(v) ? "true" : "false");
        return;
    }
    if (cJSON_IsNumber(v)) {
        gt_recipe_print_number(out, v->valuedouble);
        return;
    }
    if (cJSON_IsString(v)) {
        gt_recipe_print_text(out, v->valuestring);
        return;
    }
    const bool object = cJSON_IsObject(v);
    gt_text_addf(out, object ? "{" : "[");
    for (const cJSON *c = v->child; c; c = c->next) {
        if (c != v->child) gt_text_addf(out, ", ");
        if (object) {
            gt_recipe_print_text(out, c->string);
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

void gt_recipe_print_choice(gt_text *out, const gt_key_choice *c)
{
    if (c->bare)
        gt_text_addf(out, "%s", c->text);
    else
        gt_recipe_print_text(out, c->text);
}
