/* arena.h - one block of memory, measured first, then carved: an arena, whose pieces have names and one owner, and a
 * cursor over memory that somebody else owns.
 *
 * The same carving function runs over a measuring arena (no memory) and over a real one, so the size and the layout
 * cannot disagree and `--dry-run` prints the table by name. A push that does not fit or overflows is remembered, and
 * the caller checks once, at the end, with gt_arena_status. Not thread-safe. */
#ifndef GT_ARENA_H
#define GT_ARENA_H

#include "checked.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GT_ARENA_ALIGN = 64, GT_ARENA_NAMES = 128 };

typedef struct {
    const char *name; /* the literal given to gt_arena_push; pieces of one name are added up */
    size_t bytes;     /* with alignment */
    size_t pieces;
} gt_arena_entry;

typedef struct gt_arena {
    uint8_t *memory; /* NULL while measuring */
    size_t capacity, used;
    bool failed;
    int entry_count;
    gt_arena_entry entry[GT_ARENA_NAMES];
} gt_arena;

/* An arena that only measures: every push returns NULL and adds to used. */
void gt_arena_measure(gt_arena *a);

/* A real arena of `capacity` bytes, zeroed, pages untouched until used. Release with gt_arena_free.
 * GT_ERR_NOMEM: the system gives no such block. */
gt_status gt_arena_create(gt_arena *a, size_t capacity);

/* The next count * size bytes, 64-byte aligned; NULL while measuring, on overflow and when full (both remembered).
 * name: a string literal, "group.piece". */
void *gt_arena_push(gt_arena *a, size_t count, size_t size, const char *name);

/* GT_OK, or GT_ERR_INTERNAL naming the arena's first push that did not fit. */
gt_status gt_arena_status(const gt_arena *a);

/* Measures what carve(context, a) pushes, makes *a of that size and carves again: the pointers that carve stored the
 * second time are good. carve runs twice and must push the same both times. On failure nothing is left to free.
 * GT_ERR_NOMEM. */
gt_status gt_arena_build(gt_arena *a, void (*carve)(void *context, gt_arena *a), void *context);

/* Returns the memory; NULL and never-created (zeroed) arenas are fine. */
void gt_arena_free(gt_arena *a);

/* The same for memory that is lent for the length of a call, a worker's scratch above all: no names, no table and no
 * failure, since whoever carves has compared the measured size with what there is. One carving function takes the
 * cursor: over (gt_cursor){0} it measures, every piece is NULL and `used` is the size; over memory it carves. */
typedef struct {
    void *memory; /* NULL: only measures */
    size_t used;
} gt_cursor;

/* A cursor that carves `memory`, which is there: 64-byte aligned. */
static inline __attribute__((nonnull)) gt_cursor gt_cursor_over(void *memory)
{
    return (gt_cursor){.memory = memory};
}

/* The next count * size bytes, 64-byte aligned; NULL while measuring. */
static inline void *gt_cursor_take(gt_cursor *c, size_t count, size_t size)
{
    void *p = c->memory ? (char *)c->memory + c->used : NULL;
    c->used += gt_align_up(count * size, GT_ARENA_ALIGN);
    return p;
}

#endif
