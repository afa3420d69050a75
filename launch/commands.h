/* commands.h - the subcommands. Each parses its own words (argv[0] is its name), does its work and returns a status;
 * main turns that into words and an exit code. */
#ifndef GT_COMMANDS_H
#define GT_COMMANDS_H

#include "args.h"
#include "status.h"

typedef struct {
    const char *name;
    const char *summary; /* one line of `gemtune --help` */
    gt_status (*run)(int argc, char **argv);
} gt_command;

gt_status gt_cmd_generate(int argc, char **argv);
gt_status gt_cmd_tokenize(int argc, char **argv);
gt_status gt_cmd_version(int argc, char **argv);

#endif
