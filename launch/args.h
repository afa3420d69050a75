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
    const char *const *choices; /* of a choice: its words, NULL-ended; or NULL, and ... */
    const char *key;            /* ... the words that this key of the recipe takes */
    const char *missing;        /* of a text or a choice that must be given: "-o DIR is missing"; NULL: it need not */
    const char *help;           /* lines parted by newlines */
} gt_option;

/* How an entry of a table begins; the rest follows by name: {GT_OPTION_TEXT("--rows", "FILE", &rows), .help = "..."}.
 * A pointer of another type than the kind's does not compile. */
#define GT_OPTION(word, what, its_kind, at, type)                                                                      \
    .name = word, .value = what, .kind = its_kind, .out = (1 ? (at) : (type *)0)
#define GT_OPTION_SWITCH(word, at) GT_OPTION(word, NULL, GT_OPT_SWITCH, at, bool)
#define GT_OPTION_TEXT(word, what, at) GT_OPTION(word, what, GT_OPT_TEXT, at, const char *)
#define GT_OPTION_CHOICE(word, what, at) GT_OPTION(word, what, GT_OPT_CHOICE, at, const char *)
#define GT_OPTION_LIST(word, what, at) GT_OPTION(word, what, GT_OPT_LIST, at, gt_arg_list)
#define GT_OPTION_INT(word, what, at, least, most)                                                                     \
    GT_OPTION(word, what, GT_OPT_INT, at, int64_t), .min = least, .max = most
#define GT_OPTION_REAL(word, what, at, least, most)                                                                    \
    GT_OPTION(word, what, GT_OPT_REAL, at, double), .min = least, .max = most

typedef struct {
    const char *name;     /* "train" */
    const char *operands; /* "RECIPE.json", for help */
    const char *summary;  /* one line */
    const char *about;    /* more lines for its own --help, or NULL */
    int min_operands, max_operands;
} gt_command_text;

/* Parses argv[1 ... argc-1]; argv[0] is the command's name. "--name value", "--name=value"; "--" ends options; an
 * operand "-" is an operand. operand: [max_operands] filled, *count of them (NULL where min and max agree). *help: -h
 * or --help was there: the command's help was printed and nothing else checked; the command has nothing more to do.
 * GT_ERR_USAGE names the option, its value, what is allowed and, for an unknown one, the nearest; or what is
 * missing. */
gt_status gt_args_parse(const gt_command_text *text, const gt_option *option, int argc, char **argv,
                        const char **operand, int *count, bool *help);

#endif
