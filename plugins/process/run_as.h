/* run_as.h: the user that `run_as` names: its ids, groups, name and home.
 *
 * Where names come from a directory service (LDAP, SSSD) a look-up may take seconds. Only run_as_find() asks one, so it
 * belongs on the pool; run_as_check() asks nothing but this machine.
 */
#ifndef PROCESS_RUN_AS_H
#define PROCESS_RUN_AS_H

#include "options.h"

/* Takes "user" or "user:group" apart. False: it is neither. */
bool run_as_parse(struct options *options, const char *text);

/* Finds the user and the group, here or in a directory service. Blocks. -1 with `err`. */
int run_as_find(struct options *options, struct sbx_error *err);

enum run_as_known { RUN_AS_KNOWN, RUN_AS_WRONG, RUN_AS_ELSEWHERE };
/* The same as far as that can be told at once. RUN_AS_ELSEWHERE: it is none of this machine's own, and a directory
 * service may know it. Otherwise `err` says what is wrong. */
enum run_as_known run_as_check(struct options *options, struct sbx_error *err);

#endif
