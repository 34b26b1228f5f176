/* raw_http.h: HTTP calls of the floors, as plain as they can be: one after the other on a kept connection, each with its
 * answer whole in a buffer of the caller's. */
#ifndef BENCH_RAW_HTTP_H
#define BENCH_RAW_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t raw_now_us(void); /* of a clock that nobody sets */

bool raw_send(int fd, const char *bytes, size_t len);

/* A connection to 127.0.0.1, or -1. */
int raw_connect(uint16_t port);

/* The whole answer, its head too, is in `reply`, as a text. False when it is no 2xx, which is told on stderr, or has no
 * Content-Length, or more than fits. */
bool raw_call(int fd, const char *method, const char *path, const char *body, char *reply, size_t size);

/* Of `count` > 0 numbers, which it puts in order. */
int64_t raw_median(int64_t *numbers, size_t count);

#endif
