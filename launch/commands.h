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

/* Prints the latest failure now, before main would: for commands that have more to do after a failure than return.
 * silent: another rank says it. rank < 0: not one of several. */
void gt_command_report(bool silent, int rank);

gt_status gt_cmd_generate(int argc, char **argv);
gt_status gt_cmd_score(int argc, char **argv);
gt_status gt_cmd_tokenize(int argc, char **argv);
gt_status gt_cmd_train(int argc, char **argv);
gt_status gt_cmd_version(int argc, char **argv);

#endif
