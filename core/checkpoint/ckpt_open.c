#include "ckpt_open.h"

#include "ckpt_folder.h"
#include "ckpt_state.h"

#include "fs.h"
#include "hash.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *gt_ckpt_path(const gt_ckpt *k)
{
    return k->path;
}

const gt_train_state *gt_ckpt_state(const gt_ckpt *k)
{
    return &k->m.state;
}

int64_t gt_ckpt_finished(const gt_ckpt *k)
{
    return k->finished;
}

void gt_ckpt_close(gt_ckpt *k)
{
    if (!k) return;
    gt_manifest_free(&k->m);
    free(k->path);
    free(k->text);
    free(k->part_good);
    free(k);
}

/* Takes the text over, also when it fails. */
static gt_status from_text(gt_ckpt **out, const char *path, char *text, size_t size)
{
    gt_ckpt *k = calloc(1, sizeof *k);
    if (!k) {
        free(text);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory", path);
    }
    k->text = text;
    k->text_size = size;
    k->path = strdup(path);
    if (k->path)
        for (size_t n = strlen(k->path); n > 1 && k->path[n - 1] == '/'; n--) k->path[n - 1] = 0;
    char *where = k->path ? gt_fs_join(k->path, GT_MANIFEST_NAME) : NULL;
    gt_status st = where ? gt_manifest_parse(&k->m, text, size, where) : GT_FAIL(GT_ERR_NOMEM, "%s: no memory", path);
    free(where);
    if (st == GT_OK && !(k->part_good = calloc((size_t)k->m.part_count + 1, sizeof *k->part_good)))
        st = GT_FAIL(GT_ERR_NOMEM, "%s: no memory", path);
    if (st != GT_OK) {
        gt_ckpt_close(k);
        return st;
    }
    *out = k;
    return GT_OK;
}

gt_status gt_ckpt_open_unverified(gt_ckpt **out, const char *path)
{
    char *where = gt_fs_join(path, GT_MANIFEST_NAME), *text = NULL;
    size_t size = 0;
    if (!where) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for its name", path);
    gt_status st = gt_fs_exists(where) ? gt_fs_read(&text, &size, where, GT_MANIFEST_LIMIT)
                                       : GT_FAIL(GT_ERR_DATA, "%s: no %s in it: not a checkpoint, or not a whole one",
                                                 path, GT_MANIFEST_NAME);
    free(where);
    if (st != GT_OK) return st;
    return from_text(out, path, text, size);
}

static gt_status verify_open(int fd, const char *shown, const gt_manifest_file *f)
{
    struct stat s;
    if (fstat(fd, &s) != 0) return GT_FAIL(GT_ERR_IO, "%s: %s", shown, strerror(errno));
    if (!S_ISREG(s.st_mode)) return GT_FAIL(GT_ERR_DATA, "%s: not a regular file", shown);
    if ((uint64_t)s.st_size != f->bytes)
        return GT_FAIL(GT_ERR_DATA, "%s: damaged: %lld bytes, expected %llu", shown, (long long)s.st_size,
                       (unsigned long long)f->bytes);
    enum { BLOCK = 1 << 18 };
    char *block = malloc(BLOCK);
    if (!block) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory", shown);
    gt_sha256 h;
    gt_sha256_init(&h);
    gt_status st = GT_OK;
    for (;;) {
        ssize_t n = read(fd, block, BLOCK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) st = GT_FAIL(GT_ERR_IO, "%s: %s", shown, strerror(errno));
        if (n <= 0) break;
        gt_sha256_add(&h, block, (size_t)n);
    }
    free(block);
    uint8_t digest[32];
    char hex[65];
    gt_sha256_end(&h, digest);
    gt_hex(hex, digest);
    if (st == GT_OK && strcmp(hex, f->sha256) != 0)
        st = GT_FAIL(GT_ERR_DATA, "%s: damaged: its SHA-256 is %s, expected %s", shown, hex, f->sha256);
    return st;
}

gt_status gt_ckpt_verify(int *fd, const char *folder, const gt_manifest_file *f)
{
    char *path = gt_fs_join(folder, f->name);
    if (!path) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", folder);
    gt_status st = GT_OK;
    int d = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (d < 0) {
        const bool damaged = errno == ENOENT || errno == ELOOP;
        st = GT_FAIL(damaged ? GT_ERR_DATA : GT_ERR_IO, "%s: %s; expected a file of %llu bytes with SHA-256 %s", path,
                     strerror(errno), (unsigned long long)f->bytes, f->sha256);
    } else {
        st = verify_open(d, path, f);
        if (st != GT_OK)
            close(d);
        else
            *fd = d;
    }
    free(path);
    return st;
}

/* The folder if it is a checkpoint with that identity, else NULL. */
static gt_ckpt *with_identity(const char *out_dir, const char *name, const char *id)
{
    gt_ckpt *k = NULL;
    char *path = gt_fs_join(out_dir, name);
    if (path && gt_fs_exists(path) && gt_ckpt_open_unverified(&k, path) == GT_OK &&
        (k->m.state_file < 0 || strcmp(k->m.id, id) != 0)) {
        gt_ckpt_close(k);
        k = NULL;
    }
    free(path);
    return k;
}

bool gt_ckpt_seems_there(const char *out_dir, const char *name, const char *id)
{
    gt_ckpt *k = with_identity(out_dir, name, id);
    char *file = k ? gt_fs_join(k->path, GT_CKPT_STATE_NAME) : NULL;
    struct stat info;
    const bool seems = file && stat(file, &info) == 0 && (uint64_t)info.st_size == k->m.file[k->m.state_file].bytes;
    free(file);
    gt_ckpt_close(k);
    return seems;
}

bool gt_ckpt_is_there(const char *out_dir, const char *name, const char *id, const gt_train_state *s)
{
    gt_ckpt *k = with_identity(out_dir, name, id);
    int fd;
    const bool is =
        k && gt_ckpt_state_told(&k->m.state, s) && gt_ckpt_verify(&fd, k->path, &k->m.file[k->m.state_file]) == GT_OK;
    if (is) close(fd);
    gt_ckpt_close(k);
    return is;
}

/* The state must be whole; a part that is not is as good as missing: its micro-batches are computed again. */
static gt_status verify_files(gt_ckpt *k)
{
    int fd = -1;
    if (k->m.state_file < 0)
        return GT_FAIL(GT_ERR_DATA, "%s: holds no %s; a window's part is not a checkpoint", k->path,
                       GT_CKPT_STATE_NAME);
    GT_TRY(gt_ckpt_verify(&fd, k->path, &k->m.file[k->m.state_file]));
    close(fd);
    for (int i = 0; i < k->m.part_count; i++) {
        if (gt_ckpt_verify(&fd, k->path, &k->m.file[k->m.part[i].file]) == GT_OK) {
            close(fd);
            k->part_good[i] = true;
            k->finished += k->m.part[i].count;
        } else
            gt_log(GT_WARN, "ckpt", "%s; its micro-batches will be computed again", gt_error_last()->message);
    }
    return GT_OK;
}

gt_status gt_ckpt_open(gt_ckpt **out, const char *path)
{
    gt_ckpt *k = NULL;
    GT_TRY(gt_ckpt_open_unverified(&k, path));
    gt_status st = verify_files(k);
    if (st != GT_OK) {
        gt_ckpt_close(k);
        return st;
    }
    *out = k;
    return GT_OK;
}

gt_status gt_ckpt_find(gt_ckpt **out, const char *out_dir)
{
    gt_ckpt_entry *all = NULL;
    size_t n = 0;
    gt_error newest = {0}; /* why the newest of those refused was refused */
    *out = NULL;
    if (!gt_fs_exists(out_dir)) return GT_OK;
    GT_TRY(gt_ckpt_list(&all, &n, out_dir));
    gt_status st = GT_OK;
    for (size_t i = 0; i < n && !*out && st == GT_OK; i++) {
        if (all[i].is_window) continue;
        char *path = gt_fs_join(out_dir, all[i].name);
        st = path ? gt_ckpt_open(out, path) : GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a name", out_dir);
        if (st == GT_ERR_DATA || st == GT_ERR_IO) {
            if (newest.code == GT_OK) newest = *gt_error_last();
            gt_log(GT_WARN, "ckpt", "checkpoint refused: %s", gt_error_last()->message);
            st = GT_OK;
        }
        free(path);
    }
    free(all);
    if (st == GT_OK && !*out && newest.code != GT_OK)
        st = GT_FAIL(
            newest.code,
            "%s: none of its checkpoints can be used, the newest: %.600s; bring it back, or start over in another "
            "folder",
            out_dir, newest.message);
    return st;
}

/* Rank 0's checkpoint becomes everyone's: path and manifest text, parsed by each. */
static gt_status share(gt_comm *c, gt_ckpt **k)
{
    const gt_ckpt *own = c->rank == 0 ? *k : NULL;
    int64_t sizes[3] = {0, 0, 0};
    if (own) {
        sizes[0] = (int64_t)strlen(own->path) + 1;
        sizes[1] = (int64_t)own->text_size;
        sizes[2] = 1;
    }
    GT_TRY(gt_comm_broadcast(c, sizes, sizeof sizes, 0));
    if (!sizes[2]) return GT_OK;
    char *path = own ? own->path : malloc((size_t)sizes[0]);
    char *text = own ? own->text : malloc((size_t)sizes[1] + 1);
    gt_status st = gt_comm_agree(c, path && text ? GT_OK : GT_FAIL(GT_ERR_NOMEM, "no memory for a manifest"));
    if (st == GT_OK) st = gt_comm_broadcast(c, path, (size_t)sizes[0], 0);
    if (st == GT_OK) st = gt_comm_broadcast(c, text, (size_t)sizes[1], 0);
    gt_status mine = st;
    if (!own) {
        if (st == GT_OK) {
            text[sizes[1]] = 0;
            mine = from_text(k, path, text, (size_t)sizes[1]);
        } else
            free(text);
        free(path);
    }
    if (st != GT_OK) return st;
    GT_TRY(gt_comm_agree(c, mine));
    return gt_comm_broadcast(c, &(*k)->finished, sizeof(*k)->finished, 0);
}

gt_status gt_ckpt_open_all(gt_comm *c, gt_ckpt **out, const char *out_dir, const char *path)
{
    gt_ckpt *k = NULL;
    gt_status mine = c->rank != 0 ? GT_OK : path ? gt_ckpt_open(&k, path) : gt_ckpt_find(&k, out_dir);
    gt_status st = gt_comm_agree(c, mine);
    if (st == GT_OK && c->size > 1) st = share(c, &k);
    if (st != GT_OK) {
        gt_ckpt_close(k);
        return st;
    }
    *out = k;
    return GT_OK;
}
