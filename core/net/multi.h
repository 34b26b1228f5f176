/* net/multi.h: curl's multi interface driven by the loop.
 *
 * Knows handles and sockets, nothing of requests and answers. Loop thread only, and never from inside
 * one of curl's callbacks. While no transfer is added nothing wakes the loop.
 */
#ifndef NET_MULTI_H
#define NET_MULTI_H

#include "base/loop.h"

#include <curl/curl.h>

struct multi;

/* `ended` is called outside curl, with the handle's CURLOPT_PRIVATE, once curl is done with a transfer;
 * the handle has been removed then and is the caller's again. */
struct multi *multi_create(struct loop *loop, void (*ended)(void *transfer, CURLcode result));
void multi_destroy(struct multi *multi); /* all handles were given back */

/* A handle with no options set, and its return. A few are kept for the next. NULL: no memory. */
CURL *multi_take_handle(struct multi *multi);
void multi_give_handle(struct multi *multi, CURL *easy);

int multi_add(struct multi *multi, CURL *easy); /* -1: no memory */
void multi_remove(struct multi *multi, CURL *easy);

#endif
