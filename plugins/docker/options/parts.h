/* parts.h: what options.c has in files of its own. Included by these alone.
 */
#ifndef DOCKER_OPTIONS_PARTS_H
#define DOCKER_OPTIONS_PARTS_H

#include "common/option_reader.h"
#include "options/options.h"

enum { OPTION_PATH_SIZE = 200 };

struct options_reader {
    struct option_reader base; /* first: option_complain(&reader->base, …) */
    struct options *options;
    const struct sbx_backend_config *config;
    const sbx_json *security, *kwargs; /* as they are written; NULL: not given, or no mapping */
};

/* engine.c: `host`, `tls` and where the registries' credentials are. `tls` is a mapping or NULL, and its
 * members were read. */
void options_read_engine(struct options_reader *reader, const sbx_json *tls);

/* Warns of what makes no sense with an engine on another machine. After everything that it looks at. */
void options_check_distance(struct options_reader *reader);

/* Is the engine on another machine? */
bool options_engine_is_far(const struct options *options);

/* webhook.c: where sandboxes report to. `port_given`: host_port stands in the options. Needs `host`, `network` and
 * `extra_hosts`. */
void options_read_webhook(struct options_reader *reader, bool port_given);

/* mounts.c: `mounts`; NULL: none. Needs overlay_base. */
void options_read_mounts(struct options_reader *reader, const sbx_json *value);

/* ports.c: `exposed_ports` and `port_ranges`; NULL: the defaults of the profile. */
void options_read_ports(struct options_reader *reader, const sbx_json *exposed, const sbx_json *ranges);

/* security.c: `security`; NULL: what the engine does by itself. Before kwargs. */
void options_read_security(struct options_reader *reader, const sbx_json *value);
/* Complains of what `security` and the HostConfig of `kwargs`, as the engine has it, both choose, and of wrong
 * capabilities in the latter. */
void options_check_security(struct options_reader *reader, const sbx_json *kwargs);
void security_finish(struct security *security);
/* Its members, for the table of options. */
extern const struct option_table security_table;

/* capabilities.c: a list of capabilities; what is no list, is none. The path is its own. */
struct capability_list {
    const char *path;
    const sbx_json *value;
};
/* Complains of what is no capability, and of what is there twice. */
void capabilities_check(struct options_reader *reader, const struct capability_list *list);
/* Complains of each in `list` that is in `other` too. */
void capabilities_refuse_both(struct options_reader *reader, const struct capability_list *list,
                              const struct capability_list *other);

/* The default range of port number `index` of AGENT_SERVER, VSCODE, WORKER_1 and WORKER_2 under `profile: runtime`, on a
 * kernel of that release (uname(2)): below WSL2, Windows gives the ports from 49152 on to others. */
struct port_range {
    uint16_t first, last;
};
struct port_range options_port_range(unsigned index, const char *release);

/* kwargs.c: `kwargs`. */
void options_read_kwargs(struct options_reader *reader, const sbx_json *value);
/* kwargs_rules.c: complains of values that the engine would refuse in `kwargs`, as the engine has it. */
void options_check_kwargs(struct options_reader *reader, const sbx_json *kwargs);

/* Is `text` 1 to `max` bytes of letters, digits and `others`, the first of them a letter or a digit? */
bool options_is_name(const char *text, const char *others, size_t max);

#endif
