#include "tensor_set.h"

#include "fs.h"
#include "json.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_INDEX = 256 << 20, MAX_FILES = 4096 };

typedef struct {
    const gt_safetensor *tensor;
    int file;
    bool used;
} entry;

struct gt_tensor_set {
    gt_safetensors **file;
    char **name; /* of the files, below the folder */
    int files;
    entry *item; /* [count] sorted by the tensor's name */
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->tensor->name, ((const entry *)b)->tensor->name);
}

/* Opens folder/name as the set's next file, or finds it open. */
static gt_status open_file(gt_tensor_set *s, const char *folder, const char *name, int *number)
{
    for (int i = s->files - 1; i >= 0; i--)
        if (strcmp(s->name[i], name) == 0) {
            *number = i;
            return GT_OK;
        }
    if (s->files == MAX_FILES) return GT_FAIL(GT_ERR_DATA, "%s: its index lists more than %d files", folder, MAX_FILES);
    char *path = gt_fs_join(folder, name), *copy = strdup(name);
    gt_status st = path && copy ? gt_safetensors_open(&s->file[s->files], path)
                                : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for file names", folder);
    free(path);
    if (st != GT_OK) {
        free(copy);
        return st;
    }
    s->name[s->files] = copy;
    *number = s->files++;
    return GT_OK;
}

static gt_status take_index_entry(gt_tensor_set *s, const char *folder, const char *where, const gt_json *m)
{
    if (m->type != GT_JSON_STRING || !gt_json_c_string(m) || strlen(m->key) != m->key_length)
        return GT_FAIL(GT_ERR_DATA, "%s: weight_map entry '%.200s' is not the name of a file", where, m->key);
    if (!gt_fs_safe_name(m->string) || !gt_ends_with(m->string, ".safetensors"))
        return GT_FAIL(GT_ERR_DATA,
                       "%s: weight_map names the file '%.200s' for '%.200s', expected a plain "
                       "NAME.safetensors in the same folder",
                       where, m->string, m->key);
    entry *e = &s->item[s->count];
    GT_TRY(open_file(s, folder, m->string, &e->file));
    e->tensor = gt_safetensors_find(s->file[e->file], m->key);
    if (!e->tensor)
        return GT_FAIL(GT_ERR_DATA, "%s: tensor '%.200s' is not in '%s', where the index says it is", where, m->key,
                       m->string);
    s->count++;
    return GT_OK;
}

static gt_status read_index(gt_tensor_set *s, const char *folder, const char *where, const gt_json *root)
{
    const gt_json *map = gt_json_get(root, "weight_map");
    if (!map || map->type != GT_JSON_OBJECT || map->count == 0)
        return GT_FAIL(GT_ERR_DATA, "%s: no weight_map object", where);
    s->item = calloc(map->count, sizeof *s->item);
    if (!s->item) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %u names", where, map->count);
    for (const gt_json *m = map->child; m; m = m->next) GT_TRY(take_index_entry(s, folder, where, m));
    size_t all = 0;
    for (int i = 0; i < s->files; i++) all += gt_safetensors_count(s->file[i]);
    if (all > s->count)
        gt_log(GT_WARN, "weights", "%s: the shards hold %zu tensors that the index does not list; they are ignored",
               where, all - s->count);
    return GT_OK;
}

static gt_status open_index(gt_tensor_set *s, const char *folder, const char *path)
{
    char *text = NULL;
    size_t size;
    gt_json_doc *doc = NULL;
    gt_status st = gt_fs_read(&text, &size, path, MAX_INDEX);
    if (st == GT_OK) st = gt_json_parse(&doc, text, size, path);
    if (st == GT_OK) st = read_index(s, folder, path, gt_json_root(doc));
    gt_json_free(doc);
    free(text);
    return st;
}

static gt_status open_single(gt_tensor_set *s, const char *folder)
{
    int file;
    GT_TRY(open_file(s, folder, "model.safetensors", &file));
    const size_t n = gt_safetensors_count(s->file[file]);
    s->item = calloc(n + 1, sizeof *s->item);
    if (!s->item) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for %zu names", folder, n);
    for (; s->count < n; s->count++) s->item[s->count].tensor = gt_safetensors_at(s->file[file], s->count);
    return GT_OK;
}

static gt_status open_folder(gt_tensor_set *s, const char *folder)
{
    s->file = calloc(MAX_FILES, sizeof *s->file);
    s->name = calloc(MAX_FILES, sizeof *s->name);
    char *index = gt_fs_join(folder, "model.safetensors.index.json"), *single = gt_fs_join(folder, "model.safetensors");
    gt_status st;
    if (!s->file || !s->name || !index || !single)
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its file list", folder);
    else if (gt_fs_exists(index))
        st = open_index(s, folder, index);
    else if (gt_fs_exists(single))
        st = open_single(s, folder);
    else
        st = GT_FAIL(GT_ERR_DATA,
                     "%s: neither model.safetensors nor model.safetensors.index.json is there: not a model's "
                     "folder, or its download is not complete",
                     folder);
    free(index);
    free(single);
    if (st == GT_OK) qsort(s->item, s->count, sizeof *s->item, by_name);
    return st;
}

gt_status gt_tensor_set_open(gt_tensor_set **out, const char *folder)
{
    gt_tensor_set *s = calloc(1, sizeof *s);
    if (!s) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a reader", folder);
    gt_status st = open_folder(s, folder);
    if (st != GT_OK)
        gt_tensor_set_close(s);
    else
        *out = s;
    return st;
}

void gt_tensor_set_close(gt_tensor_set *s)
{
    if (!s) return;
    for (int i = 0; i < s->files; i++) {
        gt_safetensors_close(s->file[i]);
        free(s->name[i]);
    }
    free(s->file);
    free(s->name);
    free(s->item);
    free(s);
}

static entry *find(const gt_tensor_set *s, const char *name)
{
    const gt_safetensor want = {.name = name};
    const entry key = {.tensor = &want};
    return bsearch(&key, s->item, s->count, sizeof *s->item, by_name);
}

const gt_safetensor *gt_tensor_set_find(const gt_tensor_set *s, const char *name)
{
    const entry *e = find(s, name);
    return e ? e->tensor : NULL;
}

const gt_safetensor *gt_tensor_set_take(gt_tensor_set *s, const char *name)
{
    entry *e = find(s, name);
    if (!e) return NULL;
    e->used = true;
    return e->tensor;
}

size_t gt_tensor_set_count(const gt_tensor_set *s)
{
    return s->count;
}
const gt_safetensor *gt_tensor_set_at(const gt_tensor_set *s, size_t i)
{
    return s->item[i].tensor;
}
bool gt_tensor_set_used(const gt_tensor_set *s, size_t i)
{
    return s->item[i].used;
}

const char *gt_tensor_set_where(const gt_tensor_set *s, const gt_safetensor *t)
{
    const entry *e = find(s, t->name);
    return e && e->tensor == t ? gt_safetensors_path(s->file[e->file]) : "?";
}
