/* config/problems.c: the list of what is wrong with a file. Owns the texts; finds nothing wrong itself. */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 1024 };

void config_problems_init(struct config_problems *problems)
{
    *problems = (struct config_problems){0};
}

void config_problems_finish(struct config_problems *problems)
{
    for (size_t i = 0; i < problems->len; i++)
        free(problems->list[i].text);
    free(problems->list);
    config_problems_init(problems);
}

/* Texts quote the file, which may hold anything that YAML can write; they go to terminals too. */
static void make_printable(char *text)
{
    for (unsigned char *s = (unsigned char *)text; *s; s++)
        if (*s < 0x20 || *s == 0x7f)
            *s = '?';
}

static void append(struct config_problems *problems, const struct config_problem *problem)
{
    enum { ROOM = CONFIG_MAX_PROBLEMS + 1 };
    if (!problems->list)
        problems->list = calloc(ROOM, sizeof *problems->list);
    char *text = strdup(problem->text);
    if (!problems->list || !text)
        abort();
    problems->list[problems->len] = *problem;
    problems->list[problems->len++].text = text;
}

void config_problem_add(struct config_problems *problems, bool warning, unsigned line, unsigned column,
                        const char *path, const char *format, ...)
{
    if (!warning)
        problems->errors++;
    if (problems->len > CONFIG_MAX_PROBLEMS)
        return;
    char text[TEXT_BYTES];
    struct config_problem problem = {.warning = warning, .line = line, .column = column, .text = text};
    if (problems->len == CONFIG_MAX_PROBLEMS) {
        snprintf(text, sizeof text, "there are more than %d problems: the others are not listed",
                 CONFIG_MAX_PROBLEMS);
        problem.line = problem.column = 0;
    } else {
        int used = *path ? snprintf(text, sizeof text, "%s: ", path) : 0;
        size_t start = used < 0 ? 0 : (size_t)used < sizeof text ? (size_t)used : sizeof text - 1;
        va_list args;
        va_start(args, format);
        vsnprintf(text + start, sizeof text - start, format, args);
        va_end(args);
        make_printable(text);
    }
    append(problems, &problem);
}

void config_note_add(struct config_problems *problems, unsigned line, unsigned column, const char *path,
                     const char *text)
{
    size_t before = problems->len;
    config_problem_add(problems, true, line, column, path, "%s", text);
    if (problems->len > before && problems->len <= CONFIG_MAX_PROBLEMS)
        problems->list[before].note = true;
}

enum log_level config_problem_level(const struct config_problem *problem)
{
    return problem->note ? LOG_INFO : problem->warning ? LOG_WARN : LOG_ERROR;
}

/* By position; what is about the file as a whole comes last, and equals stay in the order they came. */
static bool comes_after(const struct config_problem *a, const struct config_problem *b)
{
    if (a->line != b->line)
        return b->line != 0 && (a->line == 0 || a->line > b->line);
    return a->column > b->column;
}

void config_problems_sort(struct config_problems *problems)
{
    for (size_t i = 1; i < problems->len; i++) {
        struct config_problem moved = problems->list[i];
        size_t at = i;
        for (; at > 0 && comes_after(&problems->list[at - 1], &moved); at--)
            problems->list[at] = problems->list[at - 1];
        problems->list[at] = moved;
    }
}

void config_problem_format(const char *file, const struct config_problem *problem, char *out, size_t size)
{
    const char *sort = problem->note ? "note: " : problem->warning ? "warning: " : "";
    if (problem->line > 0)
        snprintf(out, size, "%s:%u:%u: %s%s", file, problem->line, problem->column, sort, problem->text);
    else
        snprintf(out, size, "%s: %s%s", file, sort, problem->text);
}
