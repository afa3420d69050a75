/* memory_use.h - what this process holds of the machine's memory, as Linux counts it. */
#ifndef GT_MEMORY_USE_H
#define GT_MEMORY_USE_H

#include <stddef.h>

typedef struct {
    size_t rss; /* bytes resident, shared pages counted whole */
    size_t pss; /* the same, a page shared by n processes counted as 1/n; 0 where the kernel does not tell */
} gt_memory_use;

/* Reads /proc/self. Walks the page tables (milliseconds for a large mapping): not for every step. */
gt_memory_use gt_memory_use_now(void);

#endif
