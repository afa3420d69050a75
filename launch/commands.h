/* commands.h - the subcommands. Each parses its own words (argv[0] is its name), does its work and returns a status;
 * main turns that into words and an exit code. */
#ifndef GT_COMMANDS_H
#define GT_COMMANDS_H

#include "args.h"
#include "comm.h"
#include "status.h"

typedef struct {
    const char *name;
    const char *summary; /* one line of `gemtune --help` */
    gt_status (*run)(int argc, char **argv);
} gt_command;

/* Prints the latest failure now, before main would: for commands that have more to do after a failure than return.
 * silent: another rank says it. rank < 0: not one of several. */
void gt_command_report(bool silent, int rank);

/* The end of a command that ranks run together: reports a failure, then releases c. Ranks that agreed on the failure
 * all come here; where one failed alone the others may still wait for it, so it does not wait for them for ever: after
 * five seconds it exits, which makes the launcher end them. Returns st. */
gt_status gt_command_end(gt_comm *c, gt_status st);

gt_status gt_cmd_export(int argc, char **argv);
gt_status gt_cmd_generate(int argc, char **argv);
gt_status gt_cmd_inspect(int argc, char **argv);
gt_status gt_cmd_quantize(int argc, char **argv);
gt_status gt_cmd_score(int argc, char **argv);
gt_status gt_cmd_tokenize(int argc, char **argv);
gt_status gt_cmd_train(int argc, char **argv);
gt_status gt_cmd_version(int argc, char **argv);

#endif
