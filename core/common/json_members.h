/* json_members.h - the members of an object of our own formats (the directory of a .gtq, a checkpoint's manifest), read
 * one by one over the strict reader: each must be there, of its kind and in its range; what nobody asked for can be
 * counted. Integers keep their 64 bits.
 *
 * Each document says in its own words what is wrong with it: on a fault a reader below returns what the document's
 * `refuse` returns, and leaves *out untouched. Texts that are handed out live as long as the document. */
#ifndef GT_JSON_MEMBERS_H
#define GT_JSON_MEMBERS_H

#include "json.h"

typedef enum {
    GT_MEMBER_INT,
    GT_MEMBER_NUMBER,
    GT_MEMBER_BOOL,
    GT_MEMBER_TEXT,
    GT_MEMBER_DIGEST,
    GT_MEMBER_ARRAY,
    GT_MEMBER_OBJECT
} gt_member_kind;

/* What is wrong: this was found where that was expected. */
typedef struct {
    const char *key;
    const gt_json *found; /* NULL: absent */
    gt_member_kind expected;
    int64_t least, most; /* GT_MEMBER_INT: its range */
    size_t longest;      /* GT_MEMBER_TEXT, _DIGEST: bytes */
} gt_member_fault;

typedef struct gt_json_members {
    const gt_json *object;
    const char *where, *name; /* the file and the object, for messages */
    gt_status (*refuse)(const struct gt_json_members *m, const gt_member_fault *f);
    uint32_t taken; /* members that were asked for and found */
} gt_json_members;

/* Begins to read `object`; NULL or no object is refused as member `name`, expected GT_MEMBER_OBJECT. */
gt_status gt_members_open(gt_json_members *m, const gt_json *object, const char *where, const char *name,
                          gt_status (*refuse)(const gt_json_members *m, const gt_member_fault *f));

/* Members that nobody asked for: a newer version's additions could change what the others mean. */
uint32_t gt_members_left(const gt_json_members *m);

/* The member, whatever it is; NULL if it is absent. Asking counts: at most once for every key. */
const gt_json *gt_members_take(gt_json_members *m, const char *key);

/* A member of that kind, within [least, most]; otherwise what refuse returns, and *out as it was. */
gt_status gt_members_int(gt_json_members *m, const char *key, int least, int most, int *out);
gt_status gt_members_int64(gt_json_members *m, const char *key, int64_t least, int64_t most, int64_t *out);
gt_status gt_members_number(gt_json_members *m, const char *key, double least, double most, double *out);
gt_status gt_members_bool(gt_json_members *m, const char *key, bool *out);
/* A string of at most `longest` bytes, none of them zero. */
gt_status gt_members_text(gt_json_members *m, const char *key, size_t longest, const char **out);
/* The 64 lower-case hex digits of a SHA-256: gt_unhex (hash.h) makes bytes of them. */
gt_status gt_members_digest(gt_json_members *m, const char *key, const char **out);
gt_status gt_members_array(gt_json_members *m, const char *key, const gt_json **out);
gt_status gt_members_object(gt_json_members *m, const char *key, gt_json_members *out);

#endif
