/* credentials.c: see credentials.h. Owns a lookup until its end: the job that reads the file and finds the helper's
 * program, then the helper (docker-credential-NAME get: the registry on its stdin, a JSON object on its stdout). */
#include "images/credentials.h"

#include "common/bytes.h"
#include "images/registry_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CONFIG_MAX = 256 * 1024,
    ANSWER_MAX = 64 * 1024,
    ANSWER_PIECE = 4096,
    HELPER_S = 10,
    PROGRAM_SIZE = 4096
};

struct credentials_lookup {
    struct sbx_backend *backend;
    const struct sbx_host *host;
    char *file, *registry;
    credentials_done done; /* NULL: cancelled while the job has it, which ends it */
    void *arg;
    bool reading; /* the job has it */
    struct registry_auth auth;
    char program[PROGRAM_SIZE]; /* absolute path of the helper */
    sbx_child child;
    sbx_watch watch;
    sbx_timer timer;
    int output; /* the helper's; -1: none */
    struct bytes answer;
};

/* ---- on the pool ----------------------------------------------------------------------------- */

/* Absolute path of docker-credential-NAME in PATH; false: there is none. */
static bool find_program(char *program, size_t size, const char *name)
{
    const char *path = getenv("PATH");
    if (!path || !*path)
        path = "/usr/local/bin:/usr/bin:/bin";
    for (const char *end; *path; path = end + (*end == ':')) {
        end = path + strcspn(path, ":");
        int len = snprintf(program, size, "%.*s/docker-credential-%s", (int)(end - path), path, name);
        struct stat status;
        if (*path == '/' && len > 0 && (size_t)len < size && stat(program, &status) == 0 &&
            S_ISREG(status.st_mode) && access(program, X_OK) == 0)
            return true;
    }
    return false;
}

/* False with errno. */
static bool read_file(const char *name, struct bytes *text)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    char piece[ANSWER_PIECE];
    ssize_t len;
    while ((len = read(fd, piece, sizeof piece)) > 0 && !text->failed)
        bytes_add(text, piece, (size_t)len);
    int error = text->failed ? EFBIG : errno;
    explicit_bzero(piece, sizeof piece);
    close(fd);
    errno = error;
    return len == 0;
}

static void read_run(void *arg)
{
    struct credentials_lookup *lookup = arg;
    struct registry_auth *auth = &lookup->auth;
    struct bytes text = {.max = CONFIG_MAX};
    if (read_file(lookup->file, &text))
        registry_auth_from_config(auth, lookup->host->json, text.data ? text.data : "", text.len,
                                  lookup->registry);
    else if (errno != ENOENT && errno != ENOTDIR)
        snprintf(auth->problem, sizeof auth->problem, "it can't be read: %s", strerrordesc_np(errno));
    bytes_finish(&text);
    if (*auth->helper && !find_program(lookup->program, sizeof lookup->program, auth->helper)) {
        snprintf(auth->problem, sizeof auth->problem, "it names docker-credential-%s, which is not in PATH",
                 auth->helper);
        *auth->helper = '\0';
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static void lookup_free(struct credentials_lookup *lookup)
{
    registry_auth_finish(&lookup->auth);
    bytes_finish(&lookup->answer);
    free(lookup->file);
    free(lookup->registry);
    free(lookup);
}

static void finish(struct credentials_lookup *lookup)
{
    lookup->done(lookup->arg, lookup->auth.header);
    lookup_free(lookup);
}

/* ---- the helper ------------------------------------------------------------------------------ */

static void helper_close(struct credentials_lookup *lookup)
{
    const struct sbx_host *host = lookup->host;
    host->timer_cancel(lookup->backend, lookup->timer);
    host->watch_cancel(lookup->backend, lookup->watch);
    if (lookup->output >= 0)
        close(lookup->output);
    lookup->output = -1;
}

/* With what it started: it leads a session, and so a process group, of its own. */
static void helper_kill(struct credentials_lookup *lookup)
{
    pid_t pid = lookup->host->child_pid(lookup->backend, lookup->child);
    lookup->host->child_disown(lookup->backend, lookup->child);
    if (pid > 1)
        kill(-pid, SIGKILL);
    helper_close(lookup);
}

static void helper_failed(struct credentials_lookup *lookup, const char *why)
{
    lookup->host->log(lookup->backend, SBX_LOG_WARN, NULL,
                      "%s gave no credentials for %s, which is pulled from without: %s", lookup->program,
                      lookup->registry, why);
    finish(lookup);
}

/* False: it said more than it may. */
static bool helper_read(struct credentials_lookup *lookup)
{
    char piece[ANSWER_PIECE];
    ssize_t len;
    while ((len = read(lookup->output, piece, sizeof piece)) > 0 && !lookup->answer.failed)
        bytes_add(&lookup->answer, piece, (size_t)len);
    explicit_bzero(piece, sizeof piece);
    if (len == 0) { /* its end comes by itself */
        lookup->host->watch_cancel(lookup->backend, lookup->watch);
        lookup->watch = 0;
    }
    return !lookup->answer.failed;
}

static void helper_readable(int fd, uint32_t events, void *arg)
{
    (void)fd;
    (void)events;
    struct credentials_lookup *lookup = arg;
    if (helper_read(lookup))
        return;
    helper_kill(lookup);
    helper_failed(lookup, "its answer is over 64 KiB");
}

static void helper_late(void *arg)
{
    struct credentials_lookup *lookup = arg;
    lookup->timer = 0;
    helper_kill(lookup);
    helper_failed(lookup, "it did not answer within 10 s");
}

/* As the library for helpers says it (docker-credential-helpers, credentials/error.go). */
static bool has_none(const struct bytes *answer)
{
    static const char words[] = "credentials not found in native keychain";
    return answer->len >= sizeof words - 1 && memcmp(answer->data, words, sizeof words - 1) == 0;
}

static void helper_ended(sbx_child child, int code, int signal, void *arg)
{
    (void)child;
    (void)signal;
    struct credentials_lookup *lookup = arg;
    bool whole = helper_read(lookup);
    helper_close(lookup);
    if (!whole) {
        helper_failed(lookup, "its answer is over 64 KiB");
        return;
    }
    if (code != 0 && has_none(&lookup->answer)) {
        finish(lookup);
        return;
    }
    if (code != 0) {
        char why[64];
        snprintf(why, sizeof why, code > 0 ? "it ended with code %d" : "signal %d ended it",
                 code > 0 ? code : signal);
        helper_failed(lookup, why);
        return;
    }
    registry_auth_from_helper(&lookup->auth, lookup->host->json,
                              lookup->answer.data ? lookup->answer.data : "", lookup->answer.len,
                              lookup->registry);
    if (*lookup->auth.problem)
        helper_failed(lookup, lookup->auth.problem);
    else
        finish(lookup);
}

static bool helper_spawn(struct credentials_lookup *lookup, int input, int output, struct sbx_error *error)
{
    const char *const argv[] = {lookup->program, "get", NULL};
    const struct sbx_spawn spawn = {
        .size = sizeof spawn,
        .path = lookup->program,
        .argv = argv,
        .envp = (const char *const *)environ, /* what it needs is known to who configured it */
        .stdin_fd = input,
        .stdout_fd = output,
        .stderr_fd = -1,
    };
    lookup->child = lookup->host->child_spawn(lookup->backend, &spawn, helper_ended, lookup, error);
    return lookup->child != 0;
}

/* False with the reason. */
static bool helper_begin(struct credentials_lookup *lookup, struct sbx_error *error)
{
    int input[2] = {-1, -1}, output[2] = {-1, -1};
    size_t len = strlen(lookup->registry);
    /* The registry fits into the pipe, so that it can be there before the program is. */
    bool ok = pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0 &&
              fcntl(output[0], F_SETFL, O_NONBLOCK) == 0 &&
              write(input[1], lookup->registry, len) == (ssize_t)len;
    if (!ok)
        snprintf(error->message, sizeof error->message, "there is no pipe to it: %s", strerrordesc_np(errno));
    ok = ok && helper_spawn(lookup, input[0], output[1], error);
    lookup->output = output[0];
    const int others[] = {input[0], input[1], output[1]};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i] >= 0)
            close(others[i]);
    if (!ok) {
        helper_close(lookup);
        return false;
    }
    const struct sbx_host *host = lookup->host;
    lookup->watch = host->watch_start(lookup->backend, lookup->output, SBX_IO_READ, helper_readable, lookup);
    lookup->timer = host->timer_start(lookup->backend, HELPER_S * UINT64_C(1000000), helper_late, lookup);
    return true;
}

/* ---- the lookup ------------------------------------------------------------------------------ */

static void read_done(void *arg)
{
    struct credentials_lookup *lookup = arg;
    struct sbx_error error = {0};
    lookup->reading = false;
    if (!lookup->done) {
        lookup_free(lookup);
        return;
    }
    if (*lookup->auth.problem)
        lookup->host->log(lookup->backend, SBX_LOG_WARN, NULL,
                          "%s: %s; %s is pulled from without credentials", lookup->file, lookup->auth.problem,
                          lookup->registry);
    if (!*lookup->auth.helper)
        finish(lookup);
    else if (!helper_begin(lookup, &error))
        helper_failed(lookup, error.message);
}

struct credentials_lookup *credentials_find(struct sbx_backend *backend, const char *folder,
                                            const char *registry, credentials_done done, void *arg)
{
    struct credentials_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        abort();
    *lookup = (struct credentials_lookup){.backend = backend,
                                          .host = backend->host,
                                          .registry = strdup(registry),
                                          .done = done,
                                          .arg = arg,
                                          .reading = true,
                                          .output = -1,
                                          .answer = {.max = ANSWER_MAX}};
    if (!lookup->registry || asprintf(&lookup->file, "%s/config.json", folder) < 0)
        abort();
    backend->host->work(backend, read_run, read_done, lookup);
    return lookup;
}

void credentials_cancel(struct credentials_lookup *lookup)
{
    if (!lookup)
        return;
    lookup->done = NULL;
    if (lookup->reading)
        return;
    helper_kill(lookup);
    lookup_free(lookup);
}
