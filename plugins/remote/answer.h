/* answer.h: what an answer's head and body say, in the terms of this program.
 */
#ifndef REMOTE_ANSWER_H
#define REMOTE_ANSWER_H

#include <sandboxd/json.h>
#include <stddef.h>
#include <stdint.h>

/* Of a header "Retry-After: …" (RFC 9110, section 10.2.3: seconds, or a date), how long that is from now, an hour at
 * most; 0 for what is neither, for one that is over, and for every other header. */
uint64_t answer_retry_after_ms(const char *header, int64_t now_us);

/* Parses `text`, which may be changed for it: a zero byte in a string, written \u0000 (a log has one, when the program
 * wrote one), becomes U+FFFD, since a text of the host ends at it, and it takes no such document. NULL: it is no JSON.
 * From any thread. */
sbx_json *answer_parse(const struct sbx_json_api *json, char *text, size_t len);

#endif
