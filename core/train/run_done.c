#include "run_lock.h"

#include "fs.h"
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MARKER_LIMIT = 65536 };

gt_status gt_run_done_write(const char *folder, int64_t steps)
{
    char text[128];
    int n = snprintf(text, sizeof text, "{\"done\": true, \"steps\": %lld}\n", (long long)steps);
    char *path = gt_fs_join(folder, "done.json");
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = gt_fs_write(path, text, (size_t)n);
    free(path);
    return st;
}

static gt_status parse_marker(int64_t *steps, const char *text, size_t size, const char *path)
{
    gt_json_doc *doc = NULL;
    GT_TRY(gt_json_parse(&doc, text, size, path));
    const gt_json *done = gt_json_get(gt_json_root(doc), "done"), *n = gt_json_get(gt_json_root(doc), "steps");
    gt_status st = GT_OK;
    if (!done || done->type != GT_JSON_TRUE || !n || !n->is_integer || n->integer < 0)
        st = GT_FAIL(GT_ERR_DATA, "%s: not a marker of a finished run; remove it if the run is not finished", path);
    else
        *steps = n->integer;
    gt_json_free(doc);
    return st;
}

gt_status gt_run_done_read(const char *folder, int64_t *steps)
{
    char *path = gt_fs_join(folder, "done.json"), *text = NULL;
    size_t size = 0;
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = GT_OK;
    if (!gt_fs_exists(path))
        *steps = -1;
    else {
        st = gt_fs_read(&text, &size, path, MARKER_LIMIT);
        if (st == GT_OK) st = parse_marker(steps, text, size, path);
    }
    free(text);
    free(path);
    return st;
}

gt_status gt_run_done_clear(const char *folder)
{
    char *path = gt_fs_join(folder, "done.json");
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = GT_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        st = GT_FAIL(GT_ERR_IO, "%s: cannot be removed: %s", path, strerror(errno));
    if (st == GT_OK) st = gt_fs_sync(folder);
    free(path);
    return st;
}
