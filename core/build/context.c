/* build/context.c: see context.h. Two buffers: one is filled while the other one is written. */
#include "build/context.h"

#include "base/buffer.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    PIECE = 256 * 1024,  /* is written at once */
    WAITING = 2 * PIECE, /* more waits: the sender is held back */
    BUFFER_MAX = 16 * PIECE,
    ROOM_LEFT = 32 << 20 /* of the disk, which is the state's: as what agents report leaves it */
};

struct context {
    struct context *next, **prev; /* its owner's */
    struct pool *pool;
    struct context_events events;
    char *path;
    int fd; /* -1: not made yet, or closed */
    struct buffer waiting;
    bool finishing; /* what waits is the last */
    bool held;      /* `ready` is owed */
    bool dropped, keep;
    bool told; /* `done` */

    /* The pool's, while `working`. */
    bool working;
    struct buffer piece;
    bool last;
    bool made;  /* the file is ours */
    int number; /* errno of what failed; 0: nothing did */
};

static void free_context(struct context *context)
{
    *context->prev = context->next;
    if (context->next)
        context->next->prev = context->prev;
    buffer_finish(&context->waiting);
    buffer_finish(&context->piece);
    free(context->path);
    free(context);
}

/* ---- on the pool ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);
        if (put < 0 && errno != EINTR)
            return errno;
        bytes += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* Beside what is to be written. */
static bool leaves_room(int fd, size_t len)
{
    struct statvfs disk;
    return fstatvfs(fd, &disk) != 0 || (uint64_t)disk.f_bavail * disk.f_frsize >= ROOM_LEFT + (uint64_t)len;
}

static void close_file(struct context *context)
{
    /* A file system may tell of a lack of room only now. */
    if (context->fd >= 0 && close(context->fd) < 0 && !context->number)
        context->number = errno;
    context->fd = -1;
}

static int make_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Its folder may have found no room when the daemon started. */
static int make_file_and_folder(char *path)
{
    int fd = make_file(path);
    char *slash = strrchr(path, '/');
    if (fd >= 0 || errno != ENOENT || !slash)
        return fd;
    *slash = '\0';
    int failed = mkdir(path, 0700);
    *slash = '/';
    return failed && errno != EEXIST ? -1 : make_file(path);
}

static void work(void *arg)
{
    struct context *context = arg;
    if (context->fd < 0)
        context->fd = make_file_and_folder(context->path);
    context->made |= context->fd >= 0;
    if (context->fd < 0)
        context->number = errno;
    else if (!leaves_room(context->fd, context->piece.len))
        context->number = ENOSPC;
    else
        context->number = write_all(context->fd, context->piece.data, context->piece.len);
    if (context->last || context->number)
        close_file(context);
    if (context->number && context->made)
        unlink(context->path);
}

static void end_file(void *arg)
{
    struct context *context = arg;
    close_file(context);
    if (!context->keep)
        unlink(context->path);
}

static void ended(void *arg)
{
    free_context(arg);
}

/* ---- on the loop ---- */

static void worked(void *arg);

static void write_next(struct context *context)
{
    struct buffer empty = context->piece;
    context->piece = context->waiting;
    context->waiting = empty;
    buffer_clear(&context->waiting);
    context->last = context->finishing;
    context->working = true;
    pool_submit(context->pool, work, worked, context);
}

static void tell(struct context *context, const struct sbx_error *err)
{
    context->told = true;
    context->events.done(context->events.arg, err);
}

static void tell_failure(struct context *context)
{
    struct sbx_error err;
    bool full = context->number == ENOSPC || context->number == EDQUOT;
    error_set(&err, full ? SBX_ERR_UNAVAILABLE : SBX_ERR_INTERNAL, full ? "NO_SPACE" : SBX_CODE_INTERNAL,
              "the build context can't be written to %s: %s", context->path,
              strerrordesc_np(context->number));
    tell(context, &err);
}

static void worked(void *arg)
{
    struct context *context = arg;
    context->working = false;
    if (context->dropped) {
        pool_submit(context->pool, end_file, ended, context);
        return;
    }
    bool last = context->last;
    buffer_clear(&context->piece);
    if (context->number) {
        tell_failure(context);
        return;
    }
    if (last) {
        tell(context, NULL);
        return;
    }
    if (context->waiting.len >= PIECE || context->finishing)
        write_next(context);
    if (context->held && context->waiting.len < WAITING) {
        context->held = false;
        context->events.ready(context->events.arg);
    }
}

struct context *context_create(struct context **all, struct pool *pool, const char *path,
                               const struct context_events *events)
{
    struct context *context = calloc(1, sizeof *context);
    if (!context)
        abort();
    *context = (struct context){.pool = pool, .events = *events, .path = strdup(path), .fd = -1};
    if (!context->path)
        abort();
    context->next = *all;
    context->prev = all;
    if (context->next)
        context->next->prev = &context->next;
    *all = context;
    context->waiting = buffer_init(BUFFER_MAX);
    context->piece = buffer_init(BUFFER_MAX);
    return context;
}

bool context_write(struct context *context, const void *bytes, size_t len)
{
    if (context->told)
        return true; /* it failed, and that was told */
    if (buffer_add(&context->waiting, bytes, len) < 0)
        abort(); /* more than was asked for, over and over */
    if (!context->working && context->waiting.len >= PIECE)
        write_next(context);
    context->held = context->waiting.len >= WAITING;
    return !context->held;
}

void context_finish(struct context *context)
{
    context->finishing = true;
    if (!context->working && !context->told)
        write_next(context);
}

void context_drop(struct context *context, bool keep)
{
    context->dropped = true;
    context->keep = keep;
    if (!context->working)
        pool_submit(context->pool, end_file, ended, context);
}

void context_free_all(struct context **all)
{
    while (*all) {
        if ((*all)->fd >= 0)
            close((*all)->fd);
        free_context(*all);
    }
}

/* ---- removal ---- */

static void remove_file(void *arg)
{
    unlink(arg);
    free(arg);
}

void context_remove(struct pool *pool, const char *path)
{
    char *copy = strdup(path);
    if (!copy)
        abort();
    pool_submit(pool, remove_file, NULL, copy);
}
