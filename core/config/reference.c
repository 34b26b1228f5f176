/* config/reference.c: prints docs/configuration.md from the table of keys. A program of the build, not of the
 * daemon; a test fails when the page is not what this prints. */
#include "config/keys.h"
#include "config/scalar.h"

#include <stdio.h>
#include <string.h>

static const char introduction[] =
    "# The configuration file\n"
    "\n"
    "Written by `core/config/reference.c` from the table in `core/config/keys.c`; don't edit it by hand.\n"
    "\n"
    "`sandboxd` reads one YAML file: `/etc/sandboxd/sandboxd.yaml`, or `--config FILE`. The least that it "
    "needs is\n"
    "a backend:\n"
    "\n"
    "```yaml\n"
    "backends:\n"
    "  local:\n"
    "    plugin: process\n"
    "```\n"
    "\n"
    "`sandboxd --check --config FILE` tells everything that is wrong with a file, and exits with 0 or 1. "
    "Of a\n"
    "file that is not valid YAML it tells the first such place alone. SIGHUP has a running daemon read its "
    "file\n"
    "anew: if anything in it is wrong, the log says what, and nothing changes.\n"
    "An error names file, line, column and the path of the key:\n"
    "\n"
    "    sandboxd.yaml:14:7: backends.local.max_sandboxes: must be at least 1, got 0\n"
    "\n"
    "## What all keys have in common\n"
    "\n"
    "- **Unknown keys, duplicate keys and wrong types are errors.** A key without a value (or with `null`) "
    "counts\n"
    "  as left out, except where its row says what `null` means.\n"
    "- **Durations** are a whole number and a unit: `500ms`, `5s`, `2m`, `1h`, `7d`; a bare number is "
    "seconds.\n"
    "  There are no fractions and no sums: `1500ms`, not `1.5s`; `90m`, not `1h30m`.\n"
    "- **Sizes** are a whole number and a unit: `64KiB`, `1MiB`, `2GiB`; a bare number is bytes.\n"
    "- **Numbers and booleans** stand without quotes: `1024`, `true`. `yes` and `on` are text, as in YAML "
    "1.2.\n"
    "- **Text** may stand with or without quotes, and is taken as written: `user: 0123` is the text `0123`. "
    "What\n"
    "  begins with or contains `{`, `[`, `: `, ` #`, `&`, `*`, `!`, `%` or `@` is best quoted: `[agent, "
    "--port, \"{port}\"]`.\n"
    "- **`${NAME}`** in a value is the environment variable NAME of the daemon; it is an error when that is "
    "not set.\n"
    "  `$$` is a dollar, and any other `$` an error. What comes in is never read as YAML. Between `{` and "
    "`}` a\n"
    "  `${NAME}` needs quotes. It works in values, not in keys, and in numbers and booleans with or without "
    "quotes.\n"
    "- **Relative paths** count from the folder in which the daemon was started.\n"
    "- **Secrets** (keys, `secret`, `options`, whatever came through `${NAME}`) are never shown in a "
    "message.\n"
    "- One document, at most 1 MiB of UTF-8 text, at most 20,000 values nested at most 32 deep; no anchors, "
    "aliases\n"
    "  or tags.\n"
    "\n"
    "A plugin's `options` reach it as JSON. There a plain `5`, `0x1f`, `1.5`, `true` or `null` is a number, "
    "a\n"
    "boolean or null by the core schema of YAML 1.2, and everything in quotes is text. The same holds for "
    "what\n"
    "`${NAME}` became: `port: ${PORT}` is a number where PORT is one, `key: \"${KEY}\"` is text whatever KEY "
    "is.\n"
    "\n"
    "## Top level\n"
    "\n";

static void print_cell(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\%c" : "%c", *text);
}

static void print_type(const struct key *key)
{
    char least[SCALAR_TEXT_SIZE], most[SCALAR_TEXT_SIZE];
    printf("%s", key->type->name);
    if (key->type->print) {
        key->type->print(key->min, least);
        key->type->print(key->max, most);
        printf(", %s to %s", least, most);
    }
    for (size_t i = 0; key->choices && key->choices[i]; i++)
        printf("%s `%s`", i > 0 ? "," : "", key->choices[i]);
    if (key->most > 0)
        printf(", at most %zu", key->most);
}

static void print_default(const struct key *key)
{
    if (key->fallback)
        printf("`%s`", key->fallback);
    else if (key->flags & KEY_REQUIRED)
        printf("**required**");
    else
        printf("%s", key->absent ? key->absent : "");
}

static void print_keys(const struct section *section)
{
    printf("| key | value | default | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < section->count; i++) {
        const struct key *key = &section->keys[i];
        printf("| `%s` | ", key->name);
        print_type(key);
        printf(" | ");
        print_default(key);
        printf(" | ");
        print_cell(key->about ? key->about : "");
        if (key->section)
            printf("%sSee `%s`.", key->about ? " " : "", key->section->path);
        printf(" |\n");
    }
}

static void print_nested(const struct section *section)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct section *nested = section->keys[i].section;
        if (!nested)
            continue;
        printf("\n## `%s`\n\n%s\n\n", nested->path, nested->about);
        print_keys(nested);
        print_nested(nested);
    }
}

int main(void)
{
    printf("%s", introduction);
    print_keys(&config_section);
    print_nested(&config_section);
    return fflush(stdout) == 0 ? 0 : 1;
}
