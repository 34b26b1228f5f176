/* options.h: the backend's `options:`, checked and in the units that the rest works with.
 *
 * One table says each option's name, type and bounds; docs/process-backend.md says the same to operators.
 */
#ifndef PROCESS_OPTIONS_H
#define PROCESS_OPTIONS_H

#include <sandboxd/backend.h>
#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_NAMES_MAX = 64, OPTIONS_GROUPS_MAX = 256, OPTIONS_PORTS = 10000 };

struct options {
    char *base_working_dir;
    uint64_t base_port;
    char *python_executable;
    char *agent_server_module;
    enum sbx_on_shutdown on_shutdown;
    uint64_t stop_timeout_ms;
    uint64_t log_size;
    uint64_t memory, pids, files; /* 0: no limit */
    uint64_t cpu_milli;           /* thousandths of a processor; 0: no limit */
    bool run_as;                  /* the two that follow are set */
    char *run_as_user;
    char *run_as_group; /* NULL: the user's own */
    /* Set by run_as_find(). */
    char *user_name; /* NULL: the user is a number without a name */
    char *user_home;
    uint32_t uid, gid;
    uint32_t groups[OPTIONS_GROUPS_MAX];
    uint32_t groups_len;
    char *shared_dirs[OPTIONS_NAMES_MAX]; /* absolute */
    uint32_t shared_dirs_len;
    char *pass_env[OPTIONS_NAMES_MAX];
    uint32_t pass_env_len;
};

/* Fills `options`. Each thing wrong is told through `check`, all of them; with a NULL `check` the first is
 * left in `err` (may be NULL otherwise). -1 when there was one; options_finish() is due either way. */
int options_parse(struct options *options, const struct sbx_host *host, struct sbx_check *check,
                  const struct sbx_backend_config *config, struct sbx_error *err);
void options_finish(struct options *options);

#endif
