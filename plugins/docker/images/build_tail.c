/* build_tail.c: see build_tail.h. The engine's builder begins each step with "Step N/M : INSTRUCTION". */
#include "images/build_tail.h"

#include <stdbool.h>
#include <string.h>

/* Of the line that begins at `at`; its end is in `text`, or not here yet. */
static void take_step(struct build_tail *tail, const char *at, const char *end)
{
    static const char mark[] = "Step ";
    size_t len = (size_t)(end - at);
    if (len < sizeof mark || memcmp(at, mark, sizeof mark - 1) != 0 || at[5] < '1' || at[5] > '9')
        return;
    if (len >= sizeof tail->step)
        len = sizeof tail->step - 1;
    while (len > 0 && ((unsigned char)at[len] & 0xc0) == 0x80 && len == sizeof tail->step - 1)
        len--; /* not in the middle of a character */
    memcpy(tail->step, at, len);
    tail->step[len] = '\0';
    for (char *c = tail->step; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
}

void build_tail_add(struct build_tail *tail, const char *text, size_t len)
{
    for (const char *at = text, *end = text + len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        take_step(tail, at, stop ? stop : end);
        at = stop ? stop + 1 : end;
    }
    if (len > sizeof tail->text) {
        text += len - sizeof tail->text;
        len = sizeof tail->text;
    }
    size_t over = tail->len + len > sizeof tail->text ? tail->len + len - sizeof tail->text : 0;
    memmove(tail->text, tail->text + over, tail->len - over);
    tail->len -= over;
    memcpy(tail->text + tail->len, text, len);
    tail->len += len;
}

void build_tail_line(const struct build_tail *tail, char *line, size_t size)
{
    static const char between[] = " | ";
    size_t begin = tail->len, room = size - 1, out = 0;
    while (begin > 0 && room > 0) { /* a line break may become three bytes */
        size_t need = tail->text[begin - 1] == '\n' || tail->text[begin - 1] == '\r' ? sizeof between - 1 : 1;
        if (need > room)
            break;
        room -= need;
        begin--;
    }
    while (begin > 0 && begin < tail->len && ((unsigned char)tail->text[begin] & 0xc0) == 0x80)
        begin++;
    bool broken = false;
    for (size_t i = begin; i < tail->len; i++) {
        unsigned char c = (unsigned char)tail->text[i];
        if (c == '\n' || c == '\r') {
            broken = out > 0;
            continue;
        }
        if (c == 0x1b && i + 1 < tail->len && tail->text[i + 1] == '[') { /* a colour (ECMA-48, SGR) */
            size_t end = i + 2;
            while (end < tail->len && strchr("0123456789;", tail->text[end]) && tail->text[end] != '\0')
                end++;
            if (end < tail->len && tail->text[end] == 'm') {
                i = end;
                continue;
            }
        }
        if (broken) {
            memcpy(line + out, between, sizeof between - 1);
            out += sizeof between - 1;
            broken = false;
        }
        line[out++] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    line[out] = '\0';
}
