#include "ckpt_h5.h"

#include "fs.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20, FORMAT_VERSION = 1 };

/* HDF5's errors in our words. */

static herr_t innermost(unsigned n, const H5E_error2_t *e, void *text)
{
    (void)n;
    const char *said = e->desc ? strstr(e->desc, "error message = '") : NULL; /* the system's words among addresses */
    if (said) {
        said += strlen("error message = '");
        snprintf(text, 400, "%.*s", (int)strcspn(said, "'"), said);
    } else
        snprintf(text, 400, "%s: %s", e->func_name ? e->func_name : "?", e->desc ? e->desc : "?");
    return 1; /* the first one walked upward is the cause */
}

static gt_status h5_check(bool bad, gt_status code, const char *file, const char *array, const char *call)
{
    if (!bad) return GT_OK;
    char words[400] = "no words";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, words);
    H5Eclear2(H5E_DEFAULT);
    return GT_FAIL(code, "%s: %s: %.60s failed: %s", file, array, call, words);
}

/* Inside functions with `st`, `code`, `file` and `name` in scope: on a negative return go to `done` with the words. */
#define GT_H5(call) GT_TRY_TO(st, h5_check((call) < 0, code, file, name, #call), done)
/* In clean-up: goes on, and keeps the first error. */
#define GT_H5_END(id, call)                                                                                            \
    do {                                                                                                               \
        if ((id) >= 0 && (call) < 0 && st == GT_OK) st = h5_check(true, code, file, name, #call);                      \
    } while (0)

/* Before the first call of the library in a process. Its exit handler crashes after a failed H5Fclose, so it is left
 * out: every file is closed by hand. Its lock on files would only fail where a file system has none: names are ours
 * alone. */
static gt_status h5_start(void)
{
    static bool started;
    if (started) return GT_OK;
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
    if (H5dont_atexit() < 0 || H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0)
        return GT_FAIL(GT_ERR_INTERNAL, "the HDF5 library does not start");
    started = true;
    return GT_OK;
}

/* Writing. */

/* Whole trailing dimensions first, until a chunk is full. */
static void chunk_shape(hsize_t *chunk, int dims, const hsize_t *shape, size_t size)
{
    hsize_t budget = CHUNK_BYTES / size;
    for (int d = dims; d-- > 0;) {
        chunk[d] = shape[d] < budget ? shape[d] : budget;
        if (chunk[d] < 1) chunk[d] = 1;
        budget /= chunk[d];
    }
}

static gt_status write_array(hid_t where, const char *file, const char *name, hid_t file_type, hid_t type, int dims,
                             const hsize_t *shape, const void *data)
{
    const gt_status code = GT_ERR_IO;
    gt_status st = GT_OK;
    hid_t space = -1, how = -1, set = -1;
    hsize_t chunk[GT_CKPT_DIMS];
    chunk_shape(chunk, dims, shape, H5Tget_size(file_type));
    GT_H5(space = H5Screate_simple(dims, shape, NULL));
    GT_H5(how = H5Pcreate(H5P_DATASET_CREATE));
    GT_H5(H5Pset_chunk(how, dims, chunk));
    GT_H5(H5Pset_fletcher32(how));
    GT_H5(H5Pset_fill_time(how, H5D_FILL_TIME_NEVER)); /* every element is written */
    GT_H5(H5Pset_obj_track_times(how, false));         /* the same state gives the same bytes */
    GT_H5(set = H5Dcreate2(where, name, file_type, space, H5P_DEFAULT, how, H5P_DEFAULT));
    GT_H5(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
done:
    GT_H5_END(set, H5Dclose(set));
    GT_H5_END(how, H5Pclose(how));
    GT_H5_END(space, H5Sclose(space));
    return st;
}

static gt_status write_text(hid_t where, const char *file, const char *name, const char *text)
{
    const gt_status code = GT_ERR_IO;
    gt_status st = GT_OK;
    hid_t type = -1;
    const hsize_t one = 1;
    GT_H5(type = H5Tcopy(H5T_C_S1));
    GT_H5(H5Tset_size(type, strlen(text) + 1));
    GT_H5(H5Tset_cset(type, H5T_CSET_UTF8));
    st = write_array(where, file, name, type, type, 1, &one, text);
done:
    GT_H5_END(type, H5Tclose(type));
    return st;
}

static gt_status write_attribute(hid_t where, const char *file, const char *name, hid_t file_type, hid_t type,
                                 const void *data)
{
    const gt_status code = GT_ERR_IO;
    gt_status st = GT_OK;
    hid_t space = -1, attribute = -1;
    GT_H5(space = H5Screate(H5S_SCALAR));
    GT_H5(attribute = H5Acreate2(where, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT));
    GT_H5(H5Awrite(attribute, type, data));
done:
    GT_H5_END(attribute, H5Aclose(attribute));
    GT_H5_END(space, H5Sclose(space));
    return st;
}

static gt_status write_text_attribute(hid_t where, const char *file, const char *name, const char *text)
{
    const gt_status code = GT_ERR_IO;
    gt_status st = GT_OK;
    hid_t type = -1;
    GT_H5(type = H5Tcopy(H5T_C_S1));
    GT_H5(H5Tset_size(type, strlen(text) + 1));
    st = write_attribute(where, file, name, type, type, text);
done:
    GT_H5_END(type, H5Tclose(type));
    return st;
}

/* A group whose members keep their order of creation and no times. */
static gt_status write_group(hid_t where, const char *file, const char *name, const gt_train_state *s, int which)
{
    const gt_status code = GT_ERR_IO;
    gt_status st = GT_OK;
    hid_t how = -1, group = -1;
    GT_H5(how = H5Pcreate(H5P_GROUP_CREATE));
    GT_H5(H5Pset_obj_track_times(how, false));
    GT_H5(H5Pset_link_creation_order(how, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED));
    GT_H5(group = H5Gcreate2(where, name, H5P_DEFAULT, how, H5P_DEFAULT));
    for (int i = 0; i < s->tensor_count && st == GT_OK; i++) {
        const gt_ckpt_tensor *t = &s->tensor[i];
        hsize_t shape[GT_CKPT_DIMS];
        for (int d = 0; d < t->dims; d++) shape[d] = (hsize_t)t->shape[d];
        const float *data[] = {t->value, t->m, t->v};
        st = write_array(group, file, t->name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, t->dims, shape, data[which]);
    }
done:
    GT_H5_END(group, H5Gclose(group));
    GT_H5_END(how, H5Pclose(how));
    return st;
}

static gt_status create_file(hid_t *out, const char *file)
{
    const gt_status code = GT_ERR_IO;
    const char *name = "the file";
    gt_status st = GT_OK;
    hid_t access = -1, how = -1;
    GT_H5(how = H5Pcreate(H5P_FILE_CREATE));
    GT_H5(H5Pset_obj_track_times(how, false));
    GT_H5(access = H5Pcreate(H5P_FILE_ACCESS));
    GT_H5(H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110)); /* checksummed metadata */
    GT_H5(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG));                 /* nothing left open holds the file open */
    GT_H5(*out = H5Fcreate(file, H5F_ACC_EXCL, how, access));
done:
    GT_H5_END(access, H5Pclose(access));
    GT_H5_END(how, H5Pclose(how));
    return st;
}

static gt_status write_identity(hid_t h, const char *file, const char *kind, const char *id)
{
    const int64_t version = FORMAT_VERSION;
    GT_TRY(write_text_attribute(h, file, "format", kind));
    GT_TRY(write_attribute(h, file, "version", H5T_STD_I64LE, H5T_NATIVE_INT64, &version));
    return write_text_attribute(h, file, "id", id);
}

/* Closes the file whatever happened and puts it on the disk. Where even closing fails (a full disk) the library keeps
 * the descriptor for ever; cutting the file to nothing gives at least its space back. The descriptor must stay open: as
 * long as it does, the system gives its inode to no other file, which the library would take for this one. */
static gt_status finish_file(hid_t h, const char *file, gt_status st)
{
    const gt_status code = GT_ERR_IO;
    const char *name = "the file";
    int *handle = NULL, fd = -1;
    if (H5Fget_vfd_handle(h, H5P_DEFAULT, (void **)&handle) >= 0 && handle) fd = *handle;
    if (H5Fclose(h) < 0) {
        if (st == GT_OK) st = h5_check(true, code, file, name, "H5Fclose");
        if (fd >= 0 && ftruncate(fd, 0) != 0) return st;
    }
    H5Eclear2(H5E_DEFAULT);
    return st == GT_OK ? gt_fs_sync(file) : st;
}

gt_status gt_h5_write_state(const char *path, const gt_train_state *s, const char *id, const char *about)
{
    GT_TRY(h5_start());
    hid_t h = -1;
    GT_TRY(create_file(&h, path));
    gt_status st = write_identity(h, path, "gemtune state", id);
    if (st == GT_OK) st = write_attribute(h, path, "step", H5T_STD_I64LE, H5T_NATIVE_INT64, &s->step);
    if (st == GT_OK) st = write_text(h, path, "state", about);
    if (st == GT_OK) st = write_group(h, path, "adapter", s, 0);
    if (st == GT_OK) st = write_group(h, path, "moment1", s, 1);
    if (st == GT_OK) st = write_group(h, path, "moment2", s, 2);
    return finish_file(h, path, st);
}

gt_status gt_h5_write_part(const char *path, const gt_ckpt_part *p, const char *id, const char *about)
{
    GT_TRY(h5_start());
    int64_t *finished = calloc((size_t)p->micro_batches + 1, sizeof *finished);
    if (!finished) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a list of micro-batches", path);
    hsize_t count = 0;
    for (int64_t i = 0; i < p->micro_batches; i++)
        if (p->finished[i]) finished[count++] = i;
    hid_t h = -1;
    gt_status st = create_file(&h, path);
    if (st != GT_OK) {
        free(finished);
        return st;
    }
    const hsize_t n = p->n, numbers = (hsize_t)p->numbers;
    st = write_identity(h, path, "gemtune part", id);
    if (st == GT_OK) st = write_text(h, path, "part", about);
    if (st == GT_OK) st = write_array(h, path, "sum", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &n, p->sum);
    if (st == GT_OK && numbers)
        st = write_array(h, path, "numbers", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &numbers, p->sum + p->n);
    if (st == GT_OK && count)
        st = write_array(h, path, "finished", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &count, finished);
    free(finished);
    return finish_file(h, path, st);
}

/* Reading. */

static gt_status check_array(hid_t set, const char *file, const char *name, const gt_h5_array *a)
{
    const gt_status code = GT_ERR_DATA;
    gt_status st = GT_OK;
    hid_t type = -1, space = -1;
    hsize_t shape[GT_CKPT_DIMS];
    GT_H5(type = H5Dget_type(set));
    GT_H5(space = H5Dget_space(set));
    if (H5Tequal(type, a->is_i64 ? H5T_STD_I64LE : H5T_IEEE_F32LE) <= 0)
        st = GT_FAIL(GT_ERR_DATA, "%s: %s: another type; expected %s", file, name, a->is_i64 ? "i64" : "f32");
    else if (H5Sget_simple_extent_ndims(space) != a->dims || H5Sget_simple_extent_dims(space, shape, NULL) != a->dims)
        st = GT_FAIL(GT_ERR_DATA, "%s: %s: not an array of %d dimensions", file, name, a->dims);
    for (int d = 0; d < a->dims && st == GT_OK; d++)
        if (shape[d] != (hsize_t)a->shape[d])
            st = GT_FAIL(GT_ERR_DATA, "%s: %s: dimension %d is %llu; expected %lld", file, name, d,
                         (unsigned long long)shape[d], (long long)a->shape[d]);
done:
    GT_H5_END(type, H5Tclose(type));
    GT_H5_END(space, H5Sclose(space));
    return st;
}

static gt_status read_array(hid_t where, const char *file, const gt_h5_array *a, void *to)
{
    const gt_status code = GT_ERR_DATA;
    const char *name = a->name;
    gt_status st = GT_OK;
    hid_t group = -1, set = -1;
    if (a->group) GT_H5(group = H5Gopen2(where, a->group, H5P_DEFAULT));
    GT_H5(set = H5Dopen2(group >= 0 ? group : where, name, H5P_DEFAULT));
    GT_TRY_TO(st, check_array(set, file, name, a), done);
    GT_H5(H5Dread(set, a->is_i64 ? H5T_NATIVE_INT64 : H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, to));
done:
    GT_H5_END(set, H5Dclose(set));
    GT_H5_END(group, H5Gclose(group));
    return st;
}

gt_status gt_h5_read(int fd, const char *shown, const gt_h5_array *array, size_t count, void *memory)
{
    GT_TRY(h5_start());
    const gt_status code = GT_ERR_DATA;
    const char *file = shown, *name = "the file";
    gt_status st = GT_OK;
    hid_t h = -1;
    char path[64]; /* the verified file itself, whatever its name stands for by now */
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    GT_H5(h = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT));
    for (size_t i = 0; i < count && st == GT_OK; i++)
        st = read_array(h, shown, &array[i], (char *)memory + array[i].offset);
done:
    GT_H5_END(h, H5Fclose(h));
    return st;
}
