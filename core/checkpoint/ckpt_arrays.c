#include "ckpt_arrays.h"

#include "ckpt_child.h"

#include "fs.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct {
    int fd;
    const char *shown;
    const gt_h5_array *array;
    size_t count;
} reading;

static gt_status read_in_child(void *context, void *shared)
{
    const reading *r = context;
    return gt_h5_read(r->fd, r->shown, r->array, r->count, shared);
}

/* A file that is slower than 20 MB/s does not come. */
static double patience(size_t bytes)
{
    return 8 + (double)bytes / 20e6;
}

gt_status gt_ckpt_arrays_read(void **out, size_t bytes, const gt_ckpt *k, int file, const gt_h5_array *array,
                              size_t count)
{
    const gt_manifest_file *f = &k->m.file[file];
    int fd;
    GT_TRY(gt_ckpt_verify(&fd, k->path, f));
    char *shown = gt_fs_join(k->path, f->name);
    reading r = {fd, shown, array, count};
    gt_status st = shown ? gt_child_run(out, bytes, read_in_child, &r, shown, patience((size_t)f->bytes))
                         : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", k->path);
    free(shown);
    close(fd);
    return st;
}

void gt_ckpt_arrays_free(void *memory, size_t bytes)
{
    gt_child_free(memory, bytes);
}
