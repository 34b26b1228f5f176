/* record.h: what has to be known of a sandbox after the daemon was killed, as a JSON file in its control
 * directory.
 *
 * A record belongs to one job at a time, on whichever thread that runs. It holds the session key: the
 * file is 0600 and its text goes nowhere else.
 */
#ifndef PROCESS_RECORD_H
#define PROCESS_RECORD_H

#include "sandbox_limits.h"

#include <sandboxd/backend.h>
#include <stdint.h>

struct record {
    const struct sbx_json_api *json;
    sbx_json *document; /* NULL: none */
};

/* What a sandbox is started from; the port and the like come with record_set_run(). -1 with `err`. */
int record_new(struct record *record, const struct sbx_json_api *json, const struct sbx_start *start,
               const char *base, struct sbx_error *err);
/* -1 with errno; EBADMSG: the file is none of ours. */
int record_read(struct record *record, const struct sbx_json_api *json, int control_dir);
/* Replaces the file, whole or not at all; not yet safe from a loss of power. -1 with errno. */
int record_write(const struct record *record, int control_dir);
/* Waits until the record, and that there is such a directory in `state_dir`, is on the disk. */
int record_sync(int state_dir, int control_dir);
void record_finish(struct record *record);

/* One run of the program: its port, how often it was started on account of a taken port, its groups. */
void record_set_run(struct record *record, uint64_t incarnation, uint16_t port, uint32_t attempt,
                    const struct limits_groups *groups);
void record_groups(const struct record *record, struct limits_groups *groups);

/* To which control directory that run belongs: see owner.h. */
#define RECORD_OWNER "owner_mark"
#define RECORD_OWNER_PATH "owner_path"
void record_set_owner(struct record *record, const char *mark, const char *path);

/* Members. Texts are borrowed; NULL where there is none. */
const char *record_text(const struct record *record, const char *name);
int64_t record_integer(const struct record *record, const char *name);
const sbx_json *record_spec(const struct record *record);

#endif
