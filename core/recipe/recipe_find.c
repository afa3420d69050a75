/* recipe_find.c - the key table looked up by name and by likeness. Names of every library are looked for alike; of two
 * equally near ones the key that applies here is suggested. */
#include "recipe_table.h"
#include "spelling.h"

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

int gt_recipe_choice(const char *key, const char *word)
{
    const gt_recipe_key *k = gt_recipe_key_find(key);
    for (const gt_key_choice *c = k ? k->choices : NULL; c && c->text; c++)
        if (!c->bare && strcmp(c->text, word) == 0) return c->value;
    return -1;
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
