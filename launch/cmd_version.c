/* cmd_version.c - gemtune version: what this binary is. */
#include "commands.h"

#include "args.h"

#include <stdio.h>

static const gt_command_text text = {
    .name = "version", .operands = "", .summary = "Prints the version, and what this binary was built with."};

gt_status gt_cmd_version(int argc, char **argv)
{
    static const gt_option options[] = {{.name = NULL}};
    bool help;
    GT_TRY(gt_args_parse(&text, options, argc, argv, NULL, NULL, &help));
    if (help) return GT_OK;
    printf("gemtune " GT_VERSION "\ncompiler " __VERSION__ "\n");
    return GT_OK;
}
