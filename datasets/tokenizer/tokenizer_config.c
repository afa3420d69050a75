/* Special ids: asked for, set, and taken from a tokenizer_config.json, which as in the reference wins over what
 * tokenizer.json says, and may only name tokens that the vocabulary has. */
#include "json_config.h"
#include "tokenizer_blob.h"

#include <cJSON.h>
#include <string.h>

const gt_tokenizer_specials *gt_tokenizer_get_specials(const gt_tokenizer *t)
{
    return &t->specials;
}

gt_status gt_tokenizer_set_specials(gt_tokenizer *t, const gt_tokenizer_specials *s)
{
    const struct {
        const char *name;
        int32_t id;
    } ids[] = {{"bos", s->bos},
               {"eos", s->eos},
               {"pad", s->pad},
               {"unk", s->unk},
               {"start_of_turn", s->start_of_turn},
               {"end_of_turn", s->end_of_turn},
               {"start_of_image", s->start_of_image}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (ids[i].id < -1 || ids[i].id >= gt_tokenizer_size(t))
            return GT_FAIL(GT_ERR_DATA, "the %s token has id %d, outside the vocabulary of %u pieces", ids[i].name,
                           ids[i].id, t->head->pieces);
    if (s->add_bos && s->bos < 0) return GT_FAIL(GT_ERR_DATA, "a bos token is to be added, but none is named");
    if (s->add_eos && s->eos < 0) return GT_FAIL(GT_ERR_DATA, "an eos token is to be added, but none is named");
    t->specials = *s;
    return GT_OK;
}

/* A token of tokenizer_config.json: "…" or {"content": "…"}; null and absent leave *id. */
static gt_status config_token(const gt_tokenizer *t, const cJSON *root, const char *key, int32_t *id, const char *where)
{
    const cJSON *v = gt_config_get(root, key);
    if (!v) return GT_OK;
    if (cJSON_IsObject(v)) v = gt_config_get(v, "content");
    if (!cJSON_IsString(v))
        return GT_FAIL(GT_ERR_DATA, "%s: %s is neither a string nor an object with \"content\"", where, key);
    const int32_t found = gt_tokenizer_find_added(t, v->valuestring, strlen(v->valuestring));
    if (found < 0)
        return GT_FAIL(GT_ERR_DATA, "%s: %s is '%s', which is no added token of the vocabulary", where, key,
                       v->valuestring);
    *id = found;
    return GT_OK;
}

static gt_status config_flag(const cJSON *root, const char *key, bool *flag, const char *where)
{
    const cJSON *v = gt_config_get(root, key);
    if (!v) return GT_OK;
    if (!cJSON_IsBool(v)) return GT_FAIL(GT_ERR_DATA, "%s: %s is neither true nor false", where, key);
    *flag = cJSON_IsTrue(v);
    return GT_OK;
}

static gt_status apply_config(gt_tokenizer *t, const cJSON *root, const char *where)
{
    if (!cJSON_IsObject(root)) return GT_FAIL(GT_ERR_DATA, "%s: not a JSON object", where);
    gt_tokenizer_specials s = t->specials;
    GT_TRY(config_token(t, root, "bos_token", &s.bos, where));
    GT_TRY(config_token(t, root, "eos_token", &s.eos, where));
    GT_TRY(config_token(t, root, "pad_token", &s.pad, where));
    GT_TRY(config_token(t, root, "unk_token", &s.unk, where));
    GT_TRY(config_flag(root, "add_bos_token", &s.add_bos, where));
    GT_TRY(config_flag(root, "add_eos_token", &s.add_eos, where));
    return gt_tokenizer_set_specials(t, &s);
}

gt_status gt_tokenizer_apply_config(gt_tokenizer *t, const char *text, size_t size, const char *where)
{
    cJSON *root;
    GT_TRY(gt_config_parse(&root, text, size, where));
    const gt_status st = apply_config(t, root, where);
    cJSON_Delete(root);
    return st;
}
