/* halt.h: asking a container's program to end, in the way that an operator's `stop` does. */
#ifndef DOCKER_HALT_H
#define DOCKER_HALT_H

#include "docker.h"

/* Ends the program of the container `engine_id` of the sandbox `name`, which is `frozen` or not, with the time of
 * options->stop_timeout_ms; its end is one that was asked for from now on. A container that does not run is no error.
 * Never calls `done` from inside. */
void halt_run(struct docker *docker, const char *name, const char *engine_id, bool frozen,
              void (*done)(void *arg, const struct sbx_error *err), void *arg);

#endif
