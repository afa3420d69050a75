#include "standard_output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static gt_status failed(void)
{
    return GT_FAIL(GT_ERR_IO, "standard output: %s", strerror(errno ? errno : EIO));
}

gt_status gt_standard_output_write(const char *bytes, size_t size)
{
    return fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0 ? GT_OK : failed();
}

gt_status gt_standard_output_flush(void)
{
    return fflush(stdout) == 0 && !ferror(stdout) ? GT_OK : failed();
}
