/* base/clock.h: time and randomness. From any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum {
    CLOCK_ISO_SIZE = 28, /* "2026-01-02T03:04:05.678901Z" and the zero byte */
    BASE62_SIZE_16 = 23, /* 16 bytes in base62 (22 digits) and the zero byte */
    BASE62_SIZE_32 = 44  /* 32 bytes in base62 (43 digits) and the zero byte */
};

/* CLOCK_MONOTONIC in milliseconds and microseconds: never goes back. */
uint64_t clock_ms(void);
uint64_t clock_us(void);

/* The wall clock: microseconds since 1970-01-01 UTC. */
int64_t clock_wall_us(void);

/* ISO 8601 in UTC with microseconds and "Z". `out` has CLOCK_ISO_SIZE bytes. */
void clock_iso(int64_t wall_us, char *out);

/* Fills `bytes` from the kernel's generator (getrandom(2)). Can't fail. */
void random_fill(void *bytes, size_t len);

/* Writes `len` bytes (at most 32) as a base62 number of as many digits as the largest such number
 * needs: leading zeros are kept, so every result of a length is equally long. */
void base62_encode(const uint8_t *bytes, size_t len, char *out);

#endif
