/* output.h: the bounded log of what the sandbox's program prints.
 *
 * Files log.POSITION in the control directory, where POSITION is how many bytes of output came before
 * the file's first. Two are kept, each up to half of the bound, so at least half of it is always there,
 * and a reader (logs.h in the plugin) can go on by position. A full disk loses output, never blocks.
 */
#ifndef SUPERVISOR_OUTPUT_H
#define SUPERVISOR_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

struct output {
    int pipe; /* read end, non-blocking; -1: closed */
    int dir, file;
    uint64_t start, old_start,
        position;     /* of the file, of the one before (UINT64_MAX: none), after the last */
    uint64_t segment; /* bytes a file */
};

/* Goes on where an earlier run ended. -1 with errno. The pipe is taken over. */
int output_init(struct output *output, int dir, int pipe, uint64_t log_size);
/* Moves what is in the pipe to the log, at most `max` bytes. Closes the pipe at its end. */
void output_drain(struct output *output, uint64_t max);
/* One line of the supervisor's own. */
void output_note(struct output *output, const char *text);

#endif
