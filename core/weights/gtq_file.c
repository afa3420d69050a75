#include "gtq_file.h"

#include "hash.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* The fixed header (docs/gtq-format.md): magic, version, header bytes, file bytes, where the directory lies, its
 * digest. */
static gt_status check_header(const gt_map *map, uint64_t *meta_offset, uint64_t *meta_bytes)
{
    const uint8_t *h = map->data;
    if (map->size < GT_GTQ_HEADER || memcmp(h, gt_gtq_magic, sizeof gt_gtq_magic) != 0)
        return GT_FAIL(GT_ERR_DATA, "%s: not a packed base (.gtq): wrong first bytes, or cut off", map->path);
    const uint64_t version = read_u64(h + 8) & 0xffffffff, header = read_u64(h + 8) >> 32, bytes = read_u64(h + 16);
    if (version != GT_GTQ_VERSION)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: packed in format version %" PRIu64
                       "; this gemtune reads version %d: quantize the model again",
                       map->path, version, GT_GTQ_VERSION);
    if (header != GT_GTQ_HEADER)
        return GT_FAIL(GT_ERR_DATA, "%s: header of %" PRIu64 " bytes; expected %d", map->path, header, GT_GTQ_HEADER);
    if (bytes != map->size)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: has %zu bytes and was written with %" PRIu64 ": cut off or overwritten; quantize again",
                       map->path, map->size, bytes);
    *meta_offset = read_u64(h + 24);
    *meta_bytes = read_u64(h + 32);
    if (*meta_offset < GT_GTQ_DATA || *meta_bytes == 0 || *meta_bytes > GT_GTQ_MAX_META || *meta_offset > map->size ||
        *meta_bytes != map->size - *meta_offset)
        return GT_FAIL(GT_ERR_DATA,
                       "%s: its directory is said to lie at [%" PRIu64 ", + %" PRIu64 "), which is not the file's end",
                       map->path, *meta_offset, *meta_bytes);
    for (int i = 72; i < GT_GTQ_HEADER; i++)
        if (h[i] != 0) return GT_FAIL(GT_ERR_DATA, "%s: header byte %d must be 0", map->path, i);
    return GT_OK;
}

static gt_status check_directory_digest(const gt_map *map, uint64_t offset, uint64_t bytes)
{
    uint8_t digest[32];
    gt_sha256 s;
    gt_sha256_init(&s);
    gt_sha256_add(&s, map->data + offset, bytes);
    gt_sha256_end(&s, digest);
    if (memcmp(digest, map->data + 40, 32) == 0) return GT_OK;
    return GT_FAIL(GT_ERR_DATA,
                   "%s: its directory does not have the digest that its header says: damaged; quantize again",
                   map->path);
}

gt_status gt_gtq_file_open(gt_gtq_file **out, const char *path)
{
    gt_gtq_file *f = calloc(1, sizeof *f);
    if (!f) return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for a packed base", path);
    uint64_t offset = 0, bytes = 0;
    gt_status st = gt_map_open(&f->map, path);
    if (st == GT_OK) st = check_header(&f->map, &offset, &bytes);
    if (st == GT_OK) st = check_directory_digest(&f->map, offset, bytes);
    if (st == GT_OK) st = gt_gtq_meta_parse(&f->meta, (const char *)f->map.data + offset, bytes, offset, path);
    if (st != GT_OK) {
        gt_gtq_file_close(f);
        return st;
    }
    *out = f;
    return GT_OK;
}

void gt_gtq_file_close(void *file)
{
    gt_gtq_file *f = file;
    if (!f) return;
    gt_gtq_meta_free(&f->meta);
    gt_map_close(&f->map);
    free(f);
}

static const void *at(const gt_gtq_file *f, const gt_gtq_section *s)
{
    return s->bytes ? f->map.data + s->offset : NULL;
}

void gt_gtq_matrix(gt_matrix *out, const gt_gtq_file *f, const gt_gtq_tensor *t)
{
    *out = (gt_matrix){.data = at(f, &t->data),
                       .dtype = t->dtype,
                       .rows = t->rows,
                       .cols = t->cols,
                       .block = t->block,
                       .code = at(f, &t->code),
                       .absmax = at(f, &t->absmax),
                       .absmax8 = at(f, &t->absmax8),
                       .absmax2 = at(f, &t->absmax2),
                       .code2 = at(f, &t->code2),
                       .block2 = t->block2,
                       .offset = t->offset,
                       .round_to = t->round_to};
}
