/* fuzz_recipe.c - any bytes as a recipe: taken or refused with words. What is taken has a canonical text that reads
 * back as itself. Bytes behind a NUL, if any, are a value given by --set for a key that the first of them chooses. */
#include "fuzz.h"

#include "recipe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, 0, size);
    size_t text = nul ? (size_t)(nul - data) : size;
    char value[256] = "";
    gt_recipe_set set = {NULL, value, "--set"};
    int sets = 0;
    if (nul && size - text >= 2) {
        size_t n = size - text - 2 < sizeof value - 1 ? size - text - 2 : sizeof value - 1;
        memcpy(value, nul + 2, n);
        const gt_recipe_key *k = gt_recipe_key_at(nul[1]);
        set.key = k ? k->name : value;
        sets = 1;
    }
    gt_recipe r, again;
    gt_status st = gt_recipe_parse(&r, (const char *)data, text, "input", &set, sets);
    if (st != GT_OK) {
        FUZZ_CHECK(st == GT_ERR_CONFIG && gt_error_last()->message[0]);
        return 0;
    }
    char *once, *twice;
    FUZZ_CHECK(gt_recipe_json(&once, &r) == GT_OK);
    FUZZ_CHECK(gt_recipe_parse(&again, once, strlen(once), "again", NULL, 0) == GT_OK);
    FUZZ_CHECK(gt_recipe_json(&twice, &again) == GT_OK);
    FUZZ_CHECK(strcmp(once, twice) == 0);
    FUZZ_CHECK(gt_recipe_compare(&r, &again, NULL) == GT_OK);
    free(once);
    free(twice);
    gt_recipe_free(&r);
    gt_recipe_free(&again);
    return 0;
}
