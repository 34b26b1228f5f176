/* logfile.h: reading the log that a supervisor writes (supervisor/output.h says how). All of it blocks.
 *
 * A place in the log is a position: how many bytes of output came before it.
 */
#ifndef PROCESS_LOGFILE_H
#define PROCESS_LOGFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Where the newest `lines` lines begin, looking back over at most `max_bytes`. 0 lines: the end. */
uint64_t logfile_tail(int control_dir, uint32_t lines, uint64_t max_bytes);

/* Reads what is at `*position` and moves it on; what is no longer kept is passed over. 0: nothing yet. */
size_t logfile_read(int control_dir, uint64_t *position, char *bytes, size_t size);

/* The last lines, as many as fit, as a text without zero bytes. Lines of the host's health checks are left out, and
 * where there are such, more is read; at most 256 KiB. `public` NULL: none is. */
struct sbx_backend;
void logfile_last(int control_dir, struct sbx_backend *public, char *text, size_t size);

#endif
