#include "json_members.h"

#include "hash.h"

#include <string.h>

gt_status gt_members_open(gt_json_members *m, const gt_json *object, const char *where, const char *name,
                          gt_status (*refuse)(const gt_json_members *m, const gt_member_fault *f))
{
    const gt_json_members opened = {.object = object, .where = where, .name = name, .refuse = refuse};
    if (!object || object->type != GT_JSON_OBJECT)
        return refuse(&opened, &(gt_member_fault){.key = name, .found = object, .expected = GT_MEMBER_OBJECT});
    *m = opened;
    return GT_OK;
}

uint32_t gt_members_left(const gt_json_members *m)
{
    return m->object->count - m->taken;
}

const gt_json *gt_members_take(gt_json_members *m, const char *key)
{
    const gt_json *v = gt_json_get(m->object, key);
    m->taken += v != NULL;
    return v;
}

gt_status gt_members_int64(gt_json_members *m, const char *key, int64_t least, int64_t most, int64_t *out)
{
    const gt_json *v = gt_members_take(m, key);
    if (!gt_json_is_int(v, least, most))
        return m->refuse(
            m, &(gt_member_fault){.key = key, .found = v, .expected = GT_MEMBER_INT, .least = least, .most = most});
    *out = v->integer;
    return GT_OK;
}

gt_status gt_members_int(gt_json_members *m, const char *key, int least, int most, int *out)
{
    int64_t value = 0;
    GT_TRY(gt_members_int64(m, key, least, most, &value));
    *out = (int)value;
    return GT_OK;
}

gt_status gt_members_number(gt_json_members *m, const char *key, double least, double most, double *out)
{
    const gt_json *v = gt_members_take(m, key);
    if (!v || v->type != GT_JSON_NUMBER || v->number < least || v->number > most)
        return m->refuse(m, &(gt_member_fault){.key = key, .found = v, .expected = GT_MEMBER_NUMBER});
    *out = v->number;
    return GT_OK;
}

gt_status gt_members_bool(gt_json_members *m, const char *key, bool *out)
{
    const gt_json *v = gt_members_take(m, key);
    if (!v || (v->type != GT_JSON_TRUE && v->type != GT_JSON_FALSE))
        return m->refuse(m, &(gt_member_fault){.key = key, .found = v, .expected = GT_MEMBER_BOOL});
    *out = v->type == GT_JSON_TRUE;
    return GT_OK;
}

gt_status gt_members_text(gt_json_members *m, const char *key, size_t longest, const char **out)
{
    const gt_json *v = gt_members_take(m, key);
    if (!gt_json_c_string(v) || v->length > longest)
        return m->refuse(m, &(gt_member_fault){.key = key, .found = v, .expected = GT_MEMBER_TEXT, .longest = longest});
    *out = v->string;
    return GT_OK;
}

gt_status gt_members_digest(gt_json_members *m, const char *key, const char **out)
{
    const gt_json *v = gt_members_take(m, key);
    uint8_t digest[32];
    if (!gt_json_c_string(v) || v->length != 64 || !gt_unhex(digest, v->string))
        return m->refuse(m, &(gt_member_fault){.key = key, .found = v, .expected = GT_MEMBER_DIGEST, .longest = 64});
    *out = v->string;
    return GT_OK;
}

gt_status gt_members_array(gt_json_members *m, const char *key, const gt_json **out)
{
    const gt_json *v = gt_members_take(m, key);
    if (!v || v->type != GT_JSON_ARRAY)
        return m->refuse(m, &(gt_member_fault){.key = key, .found = v, .expected = GT_MEMBER_ARRAY});
    *out = v;
    return GT_OK;
}

gt_status gt_members_object(gt_json_members *m, const char *key, gt_json_members *out)
{
    return gt_members_open(out, gt_members_take(m, key), m->where, key, m->refuse);
}
