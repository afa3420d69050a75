#include "backends.h"

#include "table_cpu.h"
#include "table_ref.h"

void gt_backends_offer(void)
{
    gt_kernels_offer(&gt_backend_ref);
    gt_kernels_offer(&gt_backend_cpu);
}
