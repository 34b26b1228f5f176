/* output.h: one container's output as a stream of bytes (GET /containers/{id}/logs, Engine API 1.41, ContainerLogs),
 * without the frames that it has where the container has no terminal.
 *
 * Asks for an inspection first where the table does not know the container, or not what is needed of it.
 */
#ifndef DOCKER_OUTPUT_H
#define DOCKER_OUTPUT_H

#include "docker.h"

enum { OUTPUT_ALL = -1 };

struct output_query {
    const char *name;    /* of the sandbox; copied */
    int64_t tail;        /* so many of the last lines; OUTPUT_ALL */
    bool follow;         /* then what comes, until the container ends */
    bool this_run;       /* nothing from before the container last ended */
    uint32_t silence_ms; /* without a byte for so long it fails; 0: never */
};

struct output_sink {
    /* One piece, borrowed. STOP: nothing more comes until output_resume(). */
    enum sbx_stream (*write)(void *arg, const char *bytes, size_t len);
    /* At the end, once, unless it was cancelled. `error` NULL: that was all. NOT_FOUND: there is no such sandbox;
     * LOGS_UNREADABLE: its log driver keeps nothing that can be read. */
    void (*done)(void *arg, const struct sbx_error *error);
};

#define CODE_LOGS_UNREADABLE "LOGS_UNREADABLE"

/* Nothing is called from inside the call. `sink` must live as long. */
struct output *output_open(struct docker *docker, const struct output_query *query,
                           const struct output_sink *sink, void *arg);
void output_resume(struct output *output);
void output_cancel(struct output *output); /* gone afterwards; also from inside write(). NULL is allowed */

#endif
