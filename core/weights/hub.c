#include "hub.h"

#include "fs.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ORG/NAME or NAME of letters, digits, '.', '_' and '-', as the hub allows: "--" and ".." are not part of an id. */
bool gt_hub_is_id(const char *s)
{
    int slashes = 0;
    if (strlen(s) > 96 || strstr(s, "--") || strstr(s, "..") || !isalnum((unsigned char)s[0])) return false;
    for (const char *p = s; *p; p++) {
        if (*p == '/') {
            slashes++;
            if (!isalnum((unsigned char)p[1]) && p[1] != '_') return false;
        } else if (!isalnum((unsigned char)*p) && !strchr("._-", *p)) {
            return false;
        }
    }
    return slashes <= 1;
}

static char *from_environment(const char *name, const char *below)
{
    const char *v = getenv(name);
    if (!v || !*v) return NULL;
    return below ? gt_fs_join(v, below) : strdup(v);
}

static char *cache_folder(void)
{
    char *p = from_environment("HF_HUB_CACHE", NULL);
    if (!p) p = from_environment("HUGGINGFACE_HUB_CACHE", NULL);
    if (!p) p = from_environment("HF_HOME", "hub");
    if (!p) p = from_environment("XDG_CACHE_HOME", "huggingface/hub");
    if (!p) p = from_environment("HOME", ".cache/huggingface/hub");
    return p;
}

/* models--ORG--NAME below the cache; NULL without memory. */
static char *repository(const char *cache, const char *id)
{
    char name[256];
    int n = snprintf(name, sizeof name, "models--");
    for (const char *p = id; *p && n < 250; p++)
        if (*p == '/') {
            name[n++] = '-';
            name[n++] = '-';
        } else {
            name[n++] = *p;
        }
    name[n] = 0;
    return gt_fs_join(cache, name);
}

/* The folder that refs/main points to; NULL if there is none. */
static char *snapshot(const char *repo)
{
    char *ref = gt_fs_join(repo, "refs/main"), *text = NULL, *folders = gt_fs_join(repo, "snapshots"), *out = NULL;
    size_t size = 0;
    if (ref && folders && gt_fs_read(&text, &size, ref, 255) == GT_OK) {
        while (size > 0 && isspace((unsigned char)text[size - 1])) text[--size] = 0;
        if (gt_fs_safe_name(text)) out = gt_fs_join(folders, text);
        if (out && !gt_fs_is_dir(out)) {
            free(out);
            out = NULL;
        }
    }
    free(ref);
    free(text);
    free(folders);
    return out;
}

static gt_status resolve_id(char **path, const char *id)
{
    char *cache = cache_folder(), *repo = cache ? repository(cache, id) : NULL;
    char *found = repo ? snapshot(repo) : NULL;
    gt_status st = GT_OK;
    if (found)
        *path = found;
    else
        st = GT_FAIL(GT_ERR_DATA,
                     "%s: no such file or folder, and no such model in the Hugging Face cache (%s); to get it: "
                     "hf download %s",
                     id, cache ? cache : "HOME is not set", id);
    free(cache);
    free(repo);
    return st;
}

gt_status gt_model_resolve(char **path, bool *folder, const char *model)
{
    if (!*model) return GT_FAIL(GT_ERR_DATA, "the model's name is empty");
    if (!gt_fs_exists(model)) {
        if (!gt_hub_is_id(model))
            return GT_FAIL(GT_ERR_IO,
                           "%s: no such file or folder (and not the id of a model on the hub: those look like "
                           "google/gemma-3-270m)",
                           model);
        GT_TRY(resolve_id(path, model));
        *folder = true;
        return GT_OK;
    }
    char *copy = strdup(model);
    if (!copy) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its path", model);
    *path = copy;
    *folder = gt_fs_is_dir(model);
    return GT_OK;
}

gt_model_kind gt_model_file_kind(const char *path)
{
    char magic[4] = "";
    FILE *f = fopen(path, "rb");
    if (f) {
        if (fread(magic, 1, sizeof magic, f) != sizeof magic) magic[0] = 0;
        fclose(f);
    }
    if (memcmp(magic, "GGUF", 4) == 0) return GT_MODEL_GGUF;
    if (memcmp(magic, "\x89GTQ", 4) == 0) return GT_MODEL_GTQ;
    if (gt_ends_with(path, ".gguf")) return GT_MODEL_GGUF;
    return gt_ends_with(path, ".gtq") ? GT_MODEL_GTQ : GT_MODEL_OTHER;
}

char *gt_hub_id_of(const char *path)
{
    static const char mark_text[] = "models--";
    const char *at = NULL;
    for (const char *p = path; (p = strstr(p, mark_text)) != NULL; p += strlen(mark_text))
        if (p == path || p[-1] == '/') at = p + strlen(mark_text);
    if (!at) return NULL;
    const char *end = strchr(at, '/');
    if (!end || strncmp(end, "/snapshots/", 11) != 0) return NULL;
    char *id = strndup(at, (size_t)(end - at)), *mark = id ? strstr(id, "--") : NULL;
    if (mark) {
        *mark = '/';
        memmove(mark + 1, mark + 2, strlen(mark + 2) + 1);
    }
    return id;
}
