/* refusal.h: what the engine says when it refuses, as an error of ours. Pure: looks at texts alone.
 */
#ifndef DOCKER_REFUSAL_H
#define DOCKER_REFUSAL_H

#include <sandboxd/error.h>
#include <stdbool.h>

/* Fills `err` for an answer of `status` whose "message" is `message` (may be NULL or empty): IMAGE_NOT_FOUND,
 * COMMAND_NOT_FOUND, PORT_TAKEN, NO_SPACE, NOT_FOUND, CONFLICT, … else BACKEND_REFUSED; always with the engine's own words,
 * in one line of valid UTF-8. */
void refusal_of(struct sbx_error *err, int status, const char *message);

/* A published port is in use, by a container or by another program: another one may do. */
#define CODE_PORT_TAKEN "PORT_TAKEN"
bool refusal_is_port_taken(const struct sbx_error *err);
#define CODE_NO_SPACE "NO_SPACE" /* on the engine's disk; retryable */
/* No such container, volume or image. A network that is missing is BACKEND_REFUSED: the container that was to join
 * it is there. */
bool refusal_is_not_found(const struct sbx_error *err);
/* A conflict: somebody removes that container already. */
bool refusal_is_being_removed(const struct sbx_error *err);
/* There was no answer, or none in time: what was asked for may have happened. */
bool refusal_is_unknown(const struct sbx_error *err);

#endif
