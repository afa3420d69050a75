/* commands.h - the subcommands. Each parses its own words (argv[0] is its name), does its work and returns a status;
 * main turns that into words and an exit code. Who runs as one of several ranks ends by ranks.h. What each does: the
 * summary in its file. */
#ifndef GT_COMMANDS_H
#define GT_COMMANDS_H

#include "status.h"

gt_status gt_cmd_export(int argc, char **argv);
gt_status gt_cmd_generate(int argc, char **argv);
gt_status gt_cmd_inspect(int argc, char **argv);
gt_status gt_cmd_quantize(int argc, char **argv);
gt_status gt_cmd_score(int argc, char **argv);
gt_status gt_cmd_tokenize(int argc, char **argv);
gt_status gt_cmd_train(int argc, char **argv);
gt_status gt_cmd_version(int argc, char **argv);

#endif
