/* sandbox/command_line.c: see command_line.h. Whatever may be a secret is blanked; what is blanked too much is no harm. */
#include "sandbox/command_line.h"

#include "base/buffer.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ARGUMENT_MAX = 256 * 1024 };

static const char blank[] = "***";

#define BLANKS " \t\r\n"
#define QUOTES "\"'`"

/* ---- names ---------------------------------------------------------------------------------- */

static bool is_secret_name(const char *name, size_t len)
{
    static const char *const parts[] = {"key",        "token",  "secret", "passw", "passphrase", "auth",
                                        "credential", "cookie", "bearer", "basic", "private"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t part = strlen(parts[i]);
        for (size_t at = 0; at + part <= len; at++)
            if (strncasecmp(name + at, parts[i], part) == 0)
                return true;
    }
    return false;
}

static bool is_scheme(const char *word, size_t len)
{
    return (len == 6 && strncasecmp(word, "Bearer", 6) == 0) ||
           (len == 5 && strncasecmp(word, "Basic", 5) == 0);
}

/* ---- words ---------------------------------------------------------------------------------- */

/* The bytes before the '@' of a URL, behind its "://". 0: there are none. */
static size_t userinfo(const char *word, size_t len, size_t *at)
{
    const char *scheme = memmem(word, len, "://", 3);
    if (!scheme)
        return 0;
    const char *begin = scheme + 3, *end = word + len;
    size_t host = 0;
    while (begin + host < end && !strchr("/?#", begin[host]))
        host++;
    const char *sign = memrchr(begin, '@', host);
    *at = (size_t)(begin - word);
    return sign ? (size_t)(sign - begin) : 0;
}

/* What is known of the words so far. */
struct words {
    bool next;    /* the one that comes is a secret */
    bool goes_on; /* the last one was, and its quotes are still open: so is the next one */
    char quote;   /* the quotes that are open; 0: none */
};

static void follow_quotes(struct words *words, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (words->quote == word[i])
            words->quote = '\0';
        else if (word[i] == '\\' && words->quote != '\'')
            i++;
        else if (!words->quote && strchr(QUOTES, word[i]))
            words->quote = word[i];
}

/* The length of the name, with all before it, that a secret follows behind a "=" or ":".
 * `len`: none does. */
static size_t secret_name(const char *word, size_t len)
{
    size_t at = 0;
    while (at < len && !(strchr("=:", word[at]) && is_secret_name(word, at)))
        at++;
    return at;
}

static void add_without_userinfo(struct buffer *out, const char *word, size_t len)
{
    size_t at, user = userinfo(word, len, &at);
    if (user == 0) {
        buffer_add(out, word, len);
        return;
    }
    buffer_add(out, word, at);
    buffer_add_format(out, "%s", blank);
    buffer_add(out, word + at + user, len - at - user);
}

/* One word, without blanks. */
static void add_word(struct buffer *out, const char *word, size_t len, struct words *words)
{
    size_t quotes = 0;
    while (quotes < len && strchr(QUOTES, word[quotes]))
        quotes++;
    const char *name = word + quotes;
    size_t rest = len - quotes, name_len = secret_name(name, rest);
    bool option = rest > 0 && *name == '-', was_next = words->next && !option && !is_scheme(name, rest);
    bool secret = was_next || words->goes_on;
    words->next = false;
    if (secret) {
        buffer_add_format(out, "%s", blank);
    } else if (name_len < rest) {
        secret = name_len + 1 < rest;
        add_without_userinfo(out, word, quotes + name_len + 1);
        buffer_add_format(out, "%s", secret ? blank : "");
        words->next = !secret;
    } else {
        add_without_userinfo(out, word, len);
        words->next = is_scheme(name, rest) || (option && is_secret_name(name, rest));
    }
    follow_quotes(words, word, len);
    words->goes_on = secret && words->quote;
}

/* An argument. `*next`: the one behind it is a secret as a whole, unless it is an option. */
static void add_words(struct buffer *out, const char *text, bool *next)
{
    struct words words = {0};
    if (*next && *text != '-') {
        buffer_add_format(out, "%s", *text ? blank : "");
        *next = false;
        return;
    }
    while (*text) {
        size_t blanks = strspn(text, BLANKS), len = strcspn(text + blanks, BLANKS);
        buffer_add(out, text, blanks);
        if (len)
            add_word(out, text + blanks, len, &words);
        text += blanks + len;
    }
    *next = words.next;
}

/* ---- values that are known ------------------------------------------------------------------ */

static void remove_value(struct buffer *text, const char *value)
{
    size_t len = value ? strlen(value) : 0;
    if (len < COMMAND_LINE_SECRET_MIN || !strstr(buffer_text(text), value))
        return;
    struct buffer without = buffer_init(ARGUMENT_MAX);
    const char *at = buffer_text(text);
    for (const char *found; (found = strstr(at, value)); at = found + len) {
        buffer_add(&without, at, (size_t)(found - at));
        buffer_add_format(&without, "%s", blank);
    }
    buffer_add_format(&without, "%s", at);
    buffer_finish(text);
    *text = without;
}

static void remove_values(struct buffer *text, struct json_object *env, const char *session_key)
{
    remove_value(text, session_key);
    if (!json_object_is_type(env, json_type_object))
        return;
    json_object_object_foreach(env, name, value)
    {
        (void)name;
        if (json_object_is_type(value, json_type_string))
            remove_value(text, json_object_get_string(value));
    }
}

/* ---- the line ------------------------------------------------------------------------------- */

static void add_quoted(struct buffer *line, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./:=,+@%{}*";
    if (*text && text[strspn(text, plain)] == '\0') {
        buffer_add_format(line, "%s", text);
        return;
    }
    buffer_add(line, "'", 1);
    for (; *text; text++)
        if (*text == '\'')
            buffer_add(line, "'\\''", 4);
        else
            buffer_add(line, text, 1);
    buffer_add(line, "'", 1);
}

static bool add_arguments(struct buffer *line, struct json_object *list, struct json_object *env,
                          const char *session_key, bool *next)
{
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        struct buffer known = buffer_init(ARGUMENT_MAX), shown = buffer_init(ARGUMENT_MAX);
        const char *text = json_object_get_string(json_object_array_get_idx(list, i));
        buffer_add_format(&known, "%s", text ? text : "");
        remove_values(&known, env, session_key);
        add_words(&shown, buffer_text(&known), next);
        buffer_add_format(line, "%s", line->len ? " " : "");
        add_quoted(line, known.failed || shown.failed ? blank : buffer_text(&shown));
        buffer_finish(&known);
        buffer_finish(&shown);
    }
    return count > 0;
}

/* At a character's beginning. */
static void cut(const struct buffer *line, char out[COMMAND_LINE_SIZE])
{
    static const char more[] = "…";
    size_t len = line->len, most = COMMAND_LINE_SIZE - sizeof more;
    if (line->failed) {
        memcpy(out, blank, sizeof blank);
        return;
    }
    bool is_cut = len >= COMMAND_LINE_SIZE;
    if (is_cut)
        for (len = most; len > 0 && ((unsigned char)line->data[len] & 0xc0) == 0x80;)
            len--;
    if (len > 0)
        memcpy(out, line->data, len);
    memcpy(out + len, is_cut ? more : "", is_cut ? sizeof more : 1);
}

bool command_line_of(const char *spec_json, size_t spec_len, const char *session_key,
                     char out[COMMAND_LINE_SIZE])
{
    struct json_tokener *tokener = json_tokener_new();
    if (!tokener)
        abort();
    struct json_object *spec = json_tokener_parse_ex(tokener, spec_json, (int)spec_len);
    struct json_object *entry = NULL, *command = NULL, *env = NULL;
    struct buffer line = buffer_init(4 * ARGUMENT_MAX);
    bool next = false;
    json_object_object_get_ex(spec, "entrypoint", &entry);
    json_object_object_get_ex(spec, "command", &command);
    json_object_object_get_ex(spec, "initial_env", &env);
    bool there = add_arguments(&line, entry, env, session_key, &next);
    there |= add_arguments(&line, command, env, session_key, &next);
    cut(&line, out);
    buffer_finish(&line);
    json_object_put(spec);
    json_tokener_free(tokener);
    return there;
}
