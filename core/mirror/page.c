/* mirror/page.c: see page.h. */
#include "mirror/page.h"

#include "base/buffer.h"
#include "plugin/json_syntax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a: who makes two of its own alike hides its own events from itself. */
uint64_t page_hash(const char *text, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash ? hash : 1;
}

int page_init(struct page *page, const void *text, size_t len)
{
    *page = (struct page){.text = malloc(len + 1), .len = len};
    if (!page->text)
        return -1;
    if (len)
        memcpy(page->text, text, len);
    page->text[len] = '\0';
    return 0;
}

static void refuse(struct page *page, const char *why)
{
    snprintf(page->why, sizeof page->why, "%s", why);
}

static void read_items(struct page *page, const char *array)
{
    page->items = calloc(PAGE_ITEMS, sizeof *page->items);
    if (!page->items)
        abort();
    for (const char *at = walk_blanks(array + 1); *at != ']'; at = walk_comma(at)) {
        const char *begin = at;
        at = walk_value(at);
        if (*begin != '{') {
            page->strange++;
            continue;
        }
        if (page->count == PAGE_ITEMS) {
            refuse(page, "it has more than 1000 items on one page");
            return;
        }
        page->items[page->count++] = (struct walk_span){begin, (size_t)(at - begin)};
    }
    const struct walk_span *last = page->count ? &page->items[page->count - 1] : NULL;
    page->last = last ? page_hash(last->at, last->len) : 0;
}

void page_read(struct page *page)
{
    static const char *const names[] = {"items", "next_page_id"};
    struct walk_span values[2];
    const char *why, *text = walk_blanks(page->text);
    size_t at;
    if (!json_syntax_only(page->text, page->len, &why, &at)) {
        snprintf(page->why, sizeof page->why, "it is not JSON: %s (byte %zu)", why, at);
        return;
    }
    if (*text != '{') {
        refuse(page, "it is no object with items and next_page_id");
        return;
    }
    walk_members(text, names, values, 2);
    if (!values[0].at || *values[0].at != '[')
        refuse(page, "its items are no array");
    else if (!walk_is_null(&values[1]) && !walk_text(&values[1], page->next, sizeof page->next))
        refuse(page, "its next_page_id is neither null nor a text of 1 to 255 bytes");
    else
        read_items(page, values[0].at);
}

void page_keep(struct page *page, bool (*wanted)(const char *json))
{
    size_t kept = 0;
    for (size_t i = 0; i < page->count; i++)
        if (wanted(page->items[i].at))
            page->items[kept++] = page->items[i];
    page->strange += page->count - kept;
    page->count = kept;
}

char *page_array(const struct page *page, size_t *len)
{
    struct buffer array = buffer_init(page->len + 3);
    buffer_add_text(&array, "[");
    for (size_t i = 0; i < page->count; i++) {
        if (i > 0)
            buffer_add_text(&array, ",");
        buffer_add(&array, page->items[i].at, page->items[i].len);
    }
    buffer_add_text(&array, "]");
    *len = array.len;
    char *text = buffer_take(&array);
    buffer_finish(&array);
    return text;
}

void page_finish(struct page *page)
{
    free(page->text);
    free(page->items);
    *page = (struct page){0};
}
