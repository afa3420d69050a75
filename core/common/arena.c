#include "arena.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void gt_arena_measure(gt_arena *a)
{
    memset(a, 0, sizeof *a);
    a->capacity = SIZE_MAX;
}

/* Memory that begins at a large page's boundary, and the wish for large pages: walking the tables of small ones costs a
 * training step a few per cent. A system without them gives small ones. */
static void *reserve(size_t bytes)
{
    enum { LARGE = 2 << 20 };
    const size_t more = bytes < LARGE ? 0 : LARGE;
    if (bytes > SIZE_MAX - more) return NULL;
    uint8_t *p = mmap(NULL, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    if (!more) return p;
    const size_t before = -(uintptr_t)p % LARGE, page = (size_t)sysconf(_SC_PAGESIZE),
                 end = gt_align_up(before + bytes, page);
    if (before > 0) munmap(p, before);
    if (end < bytes + more) munmap(p + end, bytes + more - end);
    madvise(p + before, bytes, MADV_HUGEPAGE);
    return p + before;
}

gt_status gt_arena_create(gt_arena *a, size_t capacity)
{
    memset(a, 0, sizeof *a);
    size_t bytes = capacity ? capacity : 1;
    void *p = reserve(bytes);
    if (!p) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu bytes", capacity);
    a->memory = p;
    a->capacity = bytes;
    return GT_OK;
}

void *gt_arena_push(gt_arena *a, size_t count, size_t size, const char *name)
{
    size_t bytes, end;
    if (!gt_mul_size(count, size, &bytes) || bytes > SIZE_MAX - GT_ARENA_ALIGN ||
        !gt_add_size(a->used, gt_align_up(bytes, GT_ARENA_ALIGN), &end) || end > a->capacity) {
        a->failed = true;
        return NULL;
    }
    bytes = gt_align_up(bytes, GT_ARENA_ALIGN);
    int i = 0;
    while (i < a->entry_count && strcmp(a->entry[i].name, name) != 0) i++;
    if (i == a->entry_count && i < GT_ARENA_NAMES) a->entry[a->entry_count++] = (gt_arena_entry){name, 0, 0};
    if (i < GT_ARENA_NAMES) {
        a->entry[i].bytes += bytes;
        a->entry[i].pieces++;
    }
    void *p = a->memory ? a->memory + a->used : NULL;
    a->used = end;
    return p;
}

gt_status gt_arena_status(const gt_arena *a)
{
    if (a->failed)
        return GT_FAIL(GT_ERR_INTERNAL, "an arena of %zu bytes with %zu used is too small: plan and use disagree",
                       a->capacity, a->used);
    return GT_OK;
}

gt_status gt_arena_build(gt_arena *a, void (*carve)(void *context, gt_arena *a), void *context)
{
    gt_arena plan;
    gt_arena_measure(&plan);
    carve(context, &plan);
    memset(a, 0, sizeof *a);
    GT_TRY(gt_arena_status(&plan));
    GT_TRY(gt_arena_create(a, plan.used));
    carve(context, a);
    gt_status st = gt_arena_status(a);
    if (st != GT_OK) gt_arena_free(a);
    return st;
}

void gt_arena_free(gt_arena *a)
{
    if (a && a->memory) munmap(a->memory, a->capacity);
    if (a) memset(a, 0, sizeof *a);
}
