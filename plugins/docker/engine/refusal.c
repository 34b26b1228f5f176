/* refusal.c: see refusal.h. Owns the reading of the engine's messages. They are for people and are worded otherwise
 * from release to release, so what is looked for is what 20.10 to 29 have in common; what nothing is found in is
 * BACKEND_REFUSED, in the engine's own words.
 */
#include "engine/refusal.h"
#include "common/exec_failure.h"
#include "common/failure.h"

#include <string.h>

#define CODE_NOT_FOUND "NOT_FOUND"
#define CODE_CONFLICT "CONFLICT"
#define CODE_REMOVAL "REMOVAL_IN_PROGRESS"

/* ---- the words ---- */

static size_t utf8_sequence(const unsigned char *text)
{
    unsigned char c = text[0];
    size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 4;
    if (c >= 0xf5 || (c >= 0x80 && c < 0xc2))
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates and what is beyond U+10FFFF (RFC 3629). */
    if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) || (c == 0xf0 && text[1] < 0x90) ||
        (c == 0xf4 && text[1] > 0x8f))
        return 0;
    return len;
}

/* The first characters of `text` that fit, as one line of UTF-8. */
static size_t copy_line(char *to, size_t size, const char *text)
{
    const unsigned char *from = (const unsigned char *)text;
    size_t len = 0;
    while (*from) {
        size_t sequence = utf8_sequence(from);
        if (len + (sequence ? sequence : 1) >= size)
            break;
        if (sequence > 1)
            memcpy(to + len, from, sequence);
        else if (sequence == 0)
            to[len] = '?';
        else
            to[len] = *from < 0x20 || *from == 0x7f ? ' ' : (char)*from;
        len += sequence ? sequence : 1;
        from += sequence ? sequence : 1;
    }
    while (len > 0 && to[len - 1] == ' ')
        len--;
    to[len] = '\0';
    return len;
}

/* What matters stands last in most of the long ones ("…: executable file not found in $PATH"), so that it is the
 * middle that is left out. */
static void copy_words(char *to, size_t size, const char *text)
{
    static const char gap[] = " [...] ";
    size_t len = strlen(text);
    if (len < size) {
        copy_line(to, size, text);
        return;
    }
    size_t half = (size - sizeof gap) / 2;
    size_t used = copy_line(to, half, text);
    memcpy(to + used, gap, sizeof gap);
    used += sizeof gap - 1;
    const char *tail = text + len - half;
    while (((unsigned char)*tail & 0xc0) == 0x80) /* not from the middle of a character */
        tail++;
    copy_line(to + used, size - used, tail);
}

/* ---- what they mean ---- */

static bool has(const char *message, const char *words)
{
    return strcasestr(message, words) != NULL;
}

static bool has_any(const char *message, const char *const *list)
{
    for (; *list; list++)
        if (has(message, *list))
            return true;
    return false;
}

/* From a registry too: a pull that fails says so in the same words as an answer. */
static bool is_image_missing(const char *message)
{
    static const char *const words[] = {"no such image",
                                        "image not known", /* Podman */
                                        "manifest unknown",
                                        "no matching manifest",
                                        "does not match the specified platform",
                                        "pull access denied",
                                        "repository does not exist",
                                        "name unknown",
                                        "repository name not known",
                                        "invalid reference format",
                                        NULL};
    return has_any(message, words);
}

/* The runtimes' words: runc and sysbox ("unable to start container process: exec: …"); crun; runsc. The engine
 * misses programs of its own in nearly the same ones (docker-init, docker-proxy, a runtime): not the sandbox's. */
static bool is_command_missing(const char *message)
{
    static const char *const words[] = {"executable file `", "error finding executable",
                                        "no command specified", NULL};
    static const char *const reasons[] = {"executable file not found", "no such file or directory",
                                          "permission denied",         "is a directory",
                                          "exec format error",         NULL};
    const char *process = strstr(message, "container process");
    const char *exec = process ? strstr(process, "exec: \"") : NULL;
    return (exec && has_any(exec, reasons)) || has_any(message, words);
}

/* An address that is in use is also one that an operator gave a container by `kwargs`: "Address already in use". */
static bool is_port_taken(const char *message)
{
    return has(message, "port is already allocated") ||
           (strstr(message, "address already in use") &&
            (has(message, "bind") || has(message, "listen") || has(message, "host port")));
}

/* A 404 that does not say so is about something else: a network that the container is to join, a path that
 * a proxy does not know. Taking these as "the container is gone" would lose it. */
static bool is_gone(const char *message)
{
    static const char *const words[] = {"no such container", "no such volume", NULL};
    return has_any(message, words);
}

static bool is_conflict(int status, const char *message)
{
    static const char *const words[] = {" is not paused", " is already paused", " is not running", NULL};
    return status == 409 || has_any(message, words); /* 20.10 answers some with 500 */
}

static bool is_disk_full(const char *message)
{
    static const char *const words[] = {"no space left on device", "disk quota exceeded", NULL};
    return has_any(message, words);
}

/* The same request may succeed later without anybody changing anything of it. */
static bool may_pass(int status, const char *message)
{
    static const char *const words[] = {"too many open files",   "cannot allocate memory",
                                        "toomanyrequests",       "connection refused",
                                        "connection reset",      "i/o timeout",
                                        "tls handshake timeout", "client.timeout exceeded",
                                        "no such host",          "temporary failure in name resolution",
                                        "context deadline",      NULL};
    return status == 429 || has_any(message, words);
}

static enum sbx_error_kind classify(int status, const char *message, const char **code)
{
    *code = SBX_CODE_BACKEND_REFUSED;
    if (is_port_taken(message)) {
        *code = CODE_PORT_TAKEN;
    } else if (is_disk_full(message)) {
        *code = CODE_NO_SPACE;
        return SBX_ERR_UNAVAILABLE;
    } else if (is_command_missing(message)) {
        *code = SBX_CODE_COMMAND_NOT_FOUND;
        return SBX_ERR_INVALID;
    } else if (is_image_missing(message)) {
        *code = SBX_CODE_IMAGE_NOT_FOUND;
        return SBX_ERR_NOT_FOUND;
    } else if (status == 404 && is_gone(message)) {
        *code = CODE_NOT_FOUND;
        return SBX_ERR_NOT_FOUND;
    } else if (is_conflict(status, message)) {
        *code = has(message, "already in progress") ? CODE_REMOVAL : CODE_CONFLICT;
        return SBX_ERR_CONFLICT;
    } else if (status == 502 || status == 503 || status == 504) { /* or a proxy before it */
        *code = SBX_CODE_BACKEND_UNAVAILABLE;
        return SBX_ERR_UNAVAILABLE;
    }
    return SBX_ERR_REFUSED;
}

void refusal_of(struct sbx_error *err, int status, const char *message)
{
    if (!message)
        message = "";
    const char *code;
    enum sbx_error_kind kind = classify(status, message, &code);
    failure_set(err, kind, code, "the engine answered with status %d and no reason", status);
    err->retryable = kind == SBX_ERR_UNAVAILABLE || strcmp(code, CODE_PORT_TAKEN) == 0 ||
                     strcmp(code, CODE_REMOVAL) == 0 ||
                     (kind == SBX_ERR_REFUSED && may_pass(status, message));
    char words[sizeof err->message];
    copy_words(words, sizeof words, message);
    if (*words)
        memcpy(err->message, words, sizeof words);
    const char *hint = strcmp(code, SBX_CODE_COMMAND_NOT_FOUND) == 0 ? exec_failure_hint(words) : "";
    size_t len = strlen(err->message);
    if (strlen(hint) < sizeof err->message - len)
        memcpy(err->message + len, hint, strlen(hint) + 1);
}

/* ---- asked of an error ---- */

static bool has_code(const struct sbx_error *err, const char *code)
{
    return err && strcmp(err->code, code) == 0;
}

bool refusal_is_port_taken(const struct sbx_error *err)
{
    return has_code(err, CODE_PORT_TAKEN);
}

bool refusal_is_not_found(const struct sbx_error *err)
{
    return has_code(err, CODE_NOT_FOUND) || has_code(err, SBX_CODE_IMAGE_NOT_FOUND);
}

bool refusal_is_being_removed(const struct sbx_error *err)
{
    return has_code(err, CODE_REMOVAL);
}

bool refusal_is_unknown(const struct sbx_error *err)
{
    return has_code(err, SBX_CODE_BACKEND_UNAVAILABLE) || has_code(err, SBX_CODE_BACKEND_TIMEOUT);
}
