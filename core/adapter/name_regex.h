/* name_regex.h - regular expressions over module names, in Python's syntax, since that is what PEFT's target_modules,
 * rank_pattern and the like hold. Full matches only; time is linear in the name whatever the pattern.
 *
 * Literals . [sets] \d \D \w \W \s \S \b \B \A \Z ^ $ | ( ) (?: ) (?P<name> ) * + ? {m,n} and their lazy forms. Not
 * here, and refused by name: look-around, back-references, possessive quantifiers, inline flags. */
#ifndef GT_NAME_REGEX_H
#define GT_NAME_REGEX_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct gt_regex gt_regex;

/* GT_ERR_CONFIG: says what at which byte of the pattern is wrong or not supported. Release with gt_regex_free. */
gt_status gt_regex_compile(gt_regex **out, const char *pattern);
void gt_regex_free(gt_regex *r); /* NULL is fine */

/* Whether the whole of name matches. Takes its scratch memory from r: one thread at a time. */
bool gt_regex_full_match(gt_regex *r, const char *name);

#endif
