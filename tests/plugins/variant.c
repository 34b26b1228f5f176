/* variant.c: the smallest plugin there can be, and by its VARIANT one that the loader must refuse.
 *
 * Its sandboxes are never there. VARIANT_VERSION is what it gives as its version, so that two builds differ. */
#include <sandboxd/backend.h>

#define WRONG_MAGIC 1
#define WRONG_MAJOR 2
#define NEWER_HOST 3
#define NO_LIST 4
#define NO_STREAM_READY 5
#define NO_SYMBOL 6
#define TOO_SMALL 7
#define LONG_NAME 8
#define NO_OPS 9
#define FUNCTION 10
#define UNDEFINED 11
#define BAD_SPEC 12
#define BAD_HEALTH_PATH 13
#define CHANGES_ITSELF 14
#define SHORT_OPS 15

#ifndef VARIANT
#define VARIANT 0
#endif
#ifndef VARIANT_VERSION
#define VARIANT_VERSION "1"
#endif

static int validate(const struct sbx_host *host, struct sbx_check *check,
                    const struct sbx_backend_config *config)
{
    (void)config;
    (void)host;
    (void)check;
    return 0;
}

#if VARIANT == UNDEFINED
void nobody_defines_this(void);
#endif

static void open_backend(struct sbx_backend *backend, const struct sbx_backend_config *config, sbx_op op)
{
    (void)config;
#if VARIANT == UNDEFINED
    nobody_defines_this();
#endif
    backend->host->complete(backend, op, NULL);
}

static void quiesce(struct sbx_backend *backend)
{
    (void)backend;
}

static void start(struct sbx_backend *backend, const struct sbx_start *start, sbx_op op)
{
    (void)start;
    static const struct sbx_error error = {
        .kind = SBX_ERR_REFUSED, .code = SBX_CODE_START_FAILED, .message = "There is nothing here."};
    backend->host->complete(backend, op, &error);
}

static void act(struct sbx_backend *backend, const char *sandbox_id, sbx_op op)
{
    (void)sandbox_id;
    backend->host->complete(backend, op, NULL);
}

#if VARIANT != NO_LIST
static void list(struct sbx_backend *backend, sbx_op op)
{
    backend->host->complete(backend, op, NULL);
}
#endif

#if VARIANT == NO_STREAM_READY
static void logs(struct sbx_backend *backend, const struct sbx_logs *logs, sbx_op op)
{
    (void)logs;
    backend->host->complete(backend, op, NULL);
}
#endif

#if VARIANT == SHORT_OPS
#define OPS_SIZE 4
#else
#define OPS_SIZE sizeof ops
#endif
__attribute__((unused)) static const struct sbx_backend_ops ops = {
    .size = OPS_SIZE,
    .validate = validate,
    .open = open_backend,
    .quiesce = quiesce,
    .close = quiesce,
    .start = start,
    .pause = act,
    .resume = act,
    .remove = act,
#if VARIANT != NO_LIST
    .list = list,
#endif
#if VARIANT == NO_STREAM_READY
    .logs = logs,
#endif
};

#if VARIANT == FUNCTION
/* The header's declaration is for a name that no code uses: another one takes its place in the file. */
int not_data(void) __asm__(SBX_PLUGIN_SYMBOL);
SBX_EXPORT int not_data(void)
{
    return ops.size != 0;
}
#elif VARIANT == NO_SYMBOL
SBX_EXPORT extern const struct sbx_plugin another_name;
#define PLUGIN another_name
#elif VARIANT == TOO_SMALL
extern SBX_EXPORT const uint64_t too_small __asm__(SBX_PLUGIN_SYMBOL);
const uint64_t too_small = SBX_PLUGIN_MAGIC;
SBX_EXPORT const struct sbx_backend_ops *variant_ops(void);
const struct sbx_backend_ops *variant_ops(void)
{
    return &ops;
}
#elif VARIANT == CHANGES_ITSELF
extern SBX_EXPORT struct sbx_plugin changes __asm__(SBX_PLUGIN_SYMBOL);
#define PLUGIN changes
#else
#define PLUGIN sandboxd_plugin
#endif

#ifdef PLUGIN
#if VARIANT != CHANGES_ITSELF
const
#endif
    struct sbx_plugin PLUGIN = {
#if VARIANT == WRONG_MAGIC
        .magic = 1,
#else
    .magic = SBX_PLUGIN_MAGIC,
#endif
        .size = sizeof(struct sbx_plugin),
        .abi_major = SBX_ABI_MAJOR + (VARIANT == WRONG_MAJOR),
        .abi_minor = SBX_ABI_MINOR,
        .min_host_minor = VARIANT == NEWER_HOST ? SBX_ABI_MINOR + 1 : 0,
#if VARIANT == LONG_NAME
        .name = {'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n',
                 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n', 'n'},
#else
    .name = "variant",
#endif
        .version = VARIANT_VERSION,
#if VARIANT == BAD_HEALTH_PATH
        .health_check_path = "alive",
#endif
#if VARIANT != NO_OPS
        .ops = &ops,
#endif
#if VARIANT == BAD_SPEC
        .default_spec_json = "[]",
#endif
};
#endif

#if VARIANT == CHANGES_ITSELF
__attribute__((constructor)) static void change(void)
{
    *(volatile char *)changes.version = '?'; /* so that no compiler does it beforehand */
}
#endif
