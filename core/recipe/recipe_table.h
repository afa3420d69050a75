/* recipe_table.h - private to recipe_*.c: the two halves of the key table, and what its files do for each other. Calls
 * go one way: recipe.c - recipe_store.c - recipe_modules.c - recipe_list.c - recipe_allowed.c - recipe_print.c. */
#ifndef GT_RECIPE_TABLE_H
#define GT_RECIPE_TABLE_H

#include "recipe.h"

#include <cJSON.h>

/* Keys with a field, and keys without one (aliases, without effect, refused). Both end with a NULL name. */
extern const gt_recipe_key gt_recipe_applied[];
extern const gt_recipe_key gt_recipe_foreign[];

enum { GT_RECIPE_APPLIED_MAX = 96 };

/* The field of an applied key. */
static inline void *gt_recipe_field(const gt_recipe *r, const gt_recipe_key *k)
{
    return (char *)(uintptr_t)r + k->offset;
}

/* Stores a JSON value in a key's field, replacing (and releasing) what is there. A synonym that does less than it says
 * adds its sentence to r->warnings. GT_ERR_CONFIG with "key: value; allowed" (no file name: the caller prefixes it). */
gt_status gt_recipe_store(gt_recipe *r, const gt_recipe_key *k, const cJSON *v);

/* Appends a field as JSON, canonical spelling. */
void gt_recipe_print(gt_text *out, const gt_recipe *r, const gt_recipe_key *k);

/* recipe_print.c: appends a value as JSON text. print_text: NULL gives null. */
void gt_recipe_print_json(gt_text *out, const cJSON *v);
void gt_recipe_print_text(gt_text *out, const char *s);
void gt_recipe_print_list(gt_text *out, const gt_string_list *l);
void gt_recipe_print_number(gt_text *out, double v);
void gt_recipe_print_choice(gt_text *out, const gt_key_choice *c);

/* recipe_allowed.c: appends what a key takes, in the words of docs/recipe.md or of a refusal. not_allowed refuses with
 * them: GT_ERR_CONFIG with "key is value; allowed: ..."; detail (may be NULL) is put behind. */
void gt_recipe_add_allowed(gt_text *out, const gt_recipe_key *k, bool in_docs);
gt_status gt_recipe_not_allowed(const gt_recipe_key *k, const cJSON *v, const char *detail);

/* recipe_list.c: usable_text: a string that is not empty. */
bool gt_recipe_usable_text(const cJSON *v);
gt_status gt_recipe_store_list(const gt_recipe_key *k, const cJSON *v, gt_string_list *field);

/* recipe_modules.c: fields of the types GT_KEY_TARGETS, GT_KEY_EXCLUSION, GT_KEY_LAYERS, GT_KEY_RANKS and
 * GT_KEY_ALPHAS, and what their keys say about each other. free leaves fields of other types alone. */
gt_status gt_recipe_store_modules(void *field, const gt_recipe_key *k, const cJSON *v);
void gt_recipe_print_modules(gt_text *out, const void *field, const gt_recipe_key *k);
void gt_recipe_free_modules(void *field, const gt_recipe_key *k);
gt_status gt_recipe_check_modules(const gt_recipe *r);

/* recipe_check.c: settles fields that depend on others and refuses contradictions. level[i]: who gave applied key i (0
 * nobody, 1 the file, 2 the command line). */
gt_status gt_recipe_settle(gt_recipe *r, const unsigned char *level);

/* recipe_find.c: index of an applied key by name; it must exist. */
int gt_recipe_index(const char *name);

#endif
