/* mirror/page.h: one page of what an agent server answers to a search: {"items": […], "next_page_id": null or text}.
 *
 * Taken apart, and not more: what the items say is the intake's business (split.h). The text may be anything. */
#ifndef MIRROR_PAGE_H
#define MIRROR_PAGE_H

#include "mirror/json_walk.h"

#include <stdint.h>

enum {
    PAGE_ID_SIZE = 256, /* the longest next_page_id and the zero byte */
    PAGE_ITEMS = 1000   /* no agent server gives more than 100 */
};

struct page {
    char *text; /* owned; ends in a zero byte that does not count */
    size_t len;
    struct walk_span *items; /* objects; owned */
    size_t count;
    uint64_t last;           /* a hash of the last of them; 0: there is none */
    size_t strange;          /* items that are no objects, or not wanted: left out */
    char next[PAGE_ID_SIZE]; /* "": this was the last */
    char why[160];           /* why it is no page; "": it is one */
};

/* Copies the text. -1: no memory for it. */
int page_init(struct page *page, const void *text, size_t len);
/* Takes it apart, on any thread. */
void page_read(struct page *page);
/* Leaves out the items that are not `wanted`, on any thread. */
void page_keep(struct page *page, bool (*wanted)(const char *json));
/* The items as an array, to be freed. NULL: no memory. */
char *page_array(const struct page *page, size_t *len);
void page_finish(struct page *page); /* also of one that is all zero */

/* Not 0. */
uint64_t page_hash(const char *text, size_t len);

#endif
