/* recipe_list.c - lists of strings. Where the libraries take a list they take one string for a list of one, so every
 * key of lists does; a list is stored whole or not at all. */
#include "recipe_table.h"

#include <stdlib.h>
#include <string.h>

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

bool gt_recipe_usable_text(const cJSON *v)
{
    return cJSON_IsString(v) && v->valuestring[0];
}

gt_status gt_recipe_store_list(const gt_recipe_key *k, const cJSON *v, gt_string_list *field)
{
    gt_string_list made = {NULL, 0};
    gt_status st = GT_OK;
    if (cJSON_IsString(v))
        st = gt_recipe_usable_text(v) ? gt_string_list_add(&made, v->valuestring) : gt_recipe_not_allowed(k, v, NULL);
    else if (cJSON_IsArray(v)) {
        for (const cJSON *c = v->child; c && st == GT_OK; c = c->next)
            st = gt_recipe_usable_text(c) ? gt_string_list_add(&made, c->valuestring)
                                          : gt_recipe_not_allowed(k, v, NULL);
    } else if (!(cJSON_IsNull(v) && k->nullable))
        st = gt_recipe_not_allowed(k, v, NULL);
    if (st != GT_OK) {
        gt_string_list_free(&made);
        return st;
    }
    gt_string_list_free(field);
    *field = made;
    return GT_OK;
}
