/* checked.h - sizes that come from files are multiplied and added with overflow noticed. */
#ifndef GT_CHECKED_H
#define GT_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b, a + b; false, *out untouched, when it does not fit. */
static inline bool gt_mul_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}
static inline bool gt_add_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return false;
    *out = r;
    return true;
}

/* Whether the range [begin, begin + length) lies inside [0, total). Cannot overflow. */
static inline bool gt_range_inside(uint64_t begin, uint64_t length, uint64_t total)
{
    return begin <= total && length <= total - begin;
}

/* n rounded up to a multiple of a power of two. */
static inline size_t gt_align_up(size_t n, size_t power_of_two)
{
    return (n + power_of_two - 1) & ~(power_of_two - 1);
}

static inline size_t gt_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}
static inline size_t gt_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}
static inline int gt_min_int(int a, int b)
{
    return a < b ? a : b;
}
static inline int gt_max_int(int a, int b)
{
    return a > b ? a : b;
}

#endif
