#include "status.h"

#include <stdio.h>

int main(void)
{
    fputs("gemtune " GT_VERSION "\n", stdout);
    return 0;
}
