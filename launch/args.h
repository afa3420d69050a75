/* args.h - command lines: one table of options a command, from which parsing, checking and --help all follow. */
#ifndef GT_ARGS_H
#define GT_ARGS_H

#include "status.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    GT_OPT_SWITCH, /* out: bool, set to true */
    GT_OPT_TEXT,   /* out: const char *, into argv */
    GT_OPT_INT,    /* out: int64_t, min ... max */
    GT_OPT_REAL,   /* out: double, min ... max */
    GT_OPT_CHOICE, /* out: const char *, one of choices (the static string) */
    GT_OPT_LIST    /* out: gt_arg_list; may be given many times */
} gt_option_kind;

enum { GT_ARG_LIST_MAX = 256 };

typedef struct {
    const char *item[GT_ARG_LIST_MAX]; /* into argv */
    int count;
} gt_arg_list;

typedef struct {
    const char *name;   /* "--output-dir"; NULL ends the table */
    const char *letter; /* "-o" or NULL */
    const char *value;  /* what its value is called in help, "DIR"; NULL for a switch */
    gt_option_kind kind;
    void *out;
    double min, max;
    const char *const *choices; /* NULL-ended */
    const char *help;           /* lines parted by newlines */
} gt_option;

typedef struct {
    const char *name;     /* "train" */
    const char *operands; /* "RECIPE.json", for help */
    const char *summary;  /* one line */
    const char *about;    /* more lines for its own --help, or NULL */
    int min_operands, max_operands;
} gt_command_text;

/* Parses argv[1 ... argc-1]; argv[0] is the command's name. "--name value", "--name=value"; "--" ends options; an
 * operand "-" is an operand. operand: [max_operands] filled, *count of them. *help: -h or --help was there: the
 * command's help was printed and nothing else checked; the command has nothing more to do. GT_ERR_USAGE names the
 * option, its value, what is allowed and, for an unknown one, the nearest. */
gt_status gt_args_parse(const gt_command_text *text, const gt_option *option, int argc, char **argv,
                        const char **operand, int *count, bool *help);

#endif
