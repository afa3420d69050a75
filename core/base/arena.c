#include "arena.h"

#include "checked.h"

#include <string.h>
#include <sys/mman.h>

void gt_arena_measure(gt_arena *a)
{
    memset(a, 0, sizeof *a);
    a->capacity = SIZE_MAX;
}

gt_status gt_arena_create(gt_arena *a, size_t capacity)
{
    memset(a, 0, sizeof *a);
    size_t bytes = capacity ? capacity : 1;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return GT_FAIL(GT_ERR_NOMEM, "no memory for %zu bytes", capacity);
    a->base = p;
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
    void *p = a->base ? a->base + a->used : NULL;
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

void gt_arena_free(gt_arena *a)
{
    if (a && a->base) munmap(a->base, a->capacity);
    if (a) memset(a, 0, sizeof *a);
}
