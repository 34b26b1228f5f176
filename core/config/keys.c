/* config/keys.c: the table of all keys: type, bounds, default, where the value goes, and what it is for.
 *
 * Nothing else knows a key by its name but the checks between keys (check.c).
 */
#include "config/keys.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define LIST(type, member) .offset = offsetof(type, member), .length = offsetof(type, member##_len)

enum { SECONDS = 1000, MINUTES = 60 * SECONDS, HOURS = 60 * MINUTES };
enum { KIB = 1024, MIB = 1024 * KIB };
/* What execve(2) takes in one argument or variable: MAX_ARG_STRLEN. */
enum { ARGUMENT_BYTES = 128 * KIB - 1, PATH_BYTES = 4095 };

static const char *const levels[] = {"error", "warn", "info", "debug", NULL};           /* enum log_level */
static const char *const formats[] = {"text", "json", NULL};                            /* log_json */
static const char *const roles[] = {"user", "admin", NULL};                             /* config_key.admin */
static const char *const own_commands[] = {"backend", "use", "refuse", "ignore", NULL}; /* enum own_command */
static const char *const over_limits[] = {"pause_oldest", "reject", NULL};              /* enum over_limit */

static const struct key tls_keys[] = {
    {"cert", &type_text, KEY_REQUIRED, .max = PATH_BYTES, FIELD(struct config, tls_cert),
     .about = "File with the certificate and those of its issuers, in PEM. Read anew at each reload."},
    {"key", &type_text, KEY_REQUIRED, .max = PATH_BYTES, FIELD(struct config, tls_key),
     .about = "File with its private key, in PEM."},
};
static const struct section tls_section = {
    .path = "server.tls",
    .about = "HTTPS instead of plain HTTP.",
    .keys = tls_keys,
    .count = COUNT(tls_keys),
};

static const struct key server_keys[] = {
    {"listen", &type_addresses, .fallback = "127.0.0.1:3000", .most = 16, LIST(struct config, listen),
     .about = "Where clients connect: one address or a list of them, each `HOST:PORT`, `[IPV6]:PORT` or "
              "`unix:/PATH`. HOST is an IPv4 address or `localhost`; port 0 takes any free one."},
    {"tls", &type_section, .section = &tls_section, .absent = "plain HTTP"},
    {"public_url", &type_text, KEY_EMPTY, .max = 2048, FIELD(struct config, public_url),
     .accept = accept_public_url, .absent = "none: sandboxes are polled",
     .about =
         "Where sandboxes reach this server to report to it, as `http://HOST[:PORT][/PATH]` or `https://…`."},
    {"hosts", &type_texts, .max = 253, .most = 64, LIST(struct config, hosts), .accept = accept_host_pattern,
     .absent = "loopback and the host of `public_url` alone",
     .about =
         "Names, beyond loopback, that a request's `Host` may have: a host name or an IP address, without "
         "scheme and port, or `*.example.com` for all names below that one. SECURITY.md says why."},
    {"cors_origins", &type_texts, .max = 300, .most = 64, LIST(struct config, cors_origins),
     .accept = accept_origin, .absent = "none",
     .about =
         "Origins whose web pages may call this server from a browser, each exactly as a browser sends it: "
         "`https://app.example.com`, `http://localhost:5173`. There is no `*`."},
    {"max_connections", &type_integer, .fallback = "1024", .min = 1, .max = 1000000,
     FIELD(struct config, max_connections),
     .about = "Connections at once; further ones wait to be accepted, and the longest idle one makes room. A "
              "few are "
              "for loopback and unix sockets alone."},
    {"max_body", &type_size, .fallback = "1MiB", .min = KIB, .max = 256 * MIB, FIELD(struct config, max_body),
     .about = "The largest request body; a larger one is answered with 413."},
    {"header_timeout", &type_duration, .fallback = "10s", .min = 100, .max = 5 * MINUTES,
     FIELD(struct config, header_timeout_ms),
     .about = "How long a client may take to send the head of its request before it is cut off."},
    {"drain_timeout", &type_duration, .fallback = "10s", .min = 0, .max = HOURS,
     FIELD(struct config, drain_timeout_ms), .about = "How long requests in flight may go on after SIGTERM."},
};
static const struct section server_section = {
    .path = "server",
    .about = "The HTTP front end.",
    .keys = server_keys,
    .count = COUNT(server_keys),
    .check = check_server,
};

static const struct key auth_key_keys[] = {
    {"user", &type_text, KEY_REQUIRED, .max = 128, FIELD(struct config_key, user),
     .about = "Who uses the key: the owner of the sandboxes started with it. A user may have several keys."},
    {"key", &type_api_key, KEY_SECRET, .max = 1024, FIELD(struct config_key, sha256),
     .accept = accept_api_key, .absent = "one of the three",
     .about = "The key itself; best as `\"${NAME}\"`. It is hashed and not kept."},
    {"key_file", &type_key_file, .max = PATH_BYTES, FIELD(struct config_key, sha256),
     .absent = "one of the three",
     .about =
         "File that holds the key, and at most a line break after it. Read anew at each reload; a warning "
         "is given where every user of the machine can read it."},
    {"sha256", &type_sha256, FIELD(struct config_key, sha256), .absent = "one of the three",
     .about = "SHA-256 of the key, as 64 hexadecimal digits."},
    {"role", &type_choice, .fallback = "user", .choices = roles, FIELD(struct config_key, admin),
     .about = "An `admin` sees and may act on the sandboxes of all users."},
};
static const struct section auth_key_section = {
    .path = "auth.keys[]",
    .about = "An API key of one user, with exactly one of `key`, `key_file` and `sha256`.",
    .keys = auth_key_keys,
    .count = COUNT(auth_key_keys),
    .size = sizeof(struct config_key),
    .secrets = true,
    .check = check_auth_key,
};

static const struct key auth_keys[] = {
    {"keys", &type_sections, KEY_SECRET, .section = &auth_key_section, .most = 1000,
     LIST(struct config, keys), .absent = "none",
     .about = "Without keys everybody is the one local user, and only loopback and unix addresses may be "
              "listened on."},
};
static const struct section auth_section = {
    .path = "auth",
    .about = "Who may use this server.",
    .keys = auth_keys,
    .count = COUNT(auth_keys),
};

static const struct key log_keys[] = {
    {"level", &type_choice, .fallback = "info", .choices = levels, FIELD(struct config, log_level),
     .about = "The least important lines that are written."},
    {"format", &type_choice, .fallback = "text", .choices = formats, FIELD(struct config, log_json),
     .about = "One line of text or one JSON object a fact, on stderr."},
};
static const struct section log_section = {
    .path = "log", .about = "The log.", .keys = log_keys, .count = COUNT(log_keys)};

static const struct key backend_keys[] = {
    {"plugin", &type_text, KEY_REQUIRED, .max = PATH_BYTES, FIELD(struct config_backend, plugin),
     .accept = accept_plugin,
     .about = "The plugin: a name (`process` is `process.so` in `plugin_dir`), or the path of a file, with a "
              "slash."},
    {"max_sandboxes", &type_integer, .min = 1, .max = 100000, FIELD(struct config_backend, max_sandboxes),
     .given = offsetof(struct config_backend, max_sandboxes_given), .absent = "the plugin's own",
     .about = "How many sandboxes of one user may be STARTING or RUNNING."},
    {"over_limit", &type_choice, .fallback = "pause_oldest", .choices = over_limits,
     FIELD(struct config_backend, over_limit),
     .about = "What a start over `max_sandboxes` does, or a resume of what is PAUSED or in ERROR: pause the "
              "oldest "
              "running ones, or fail with 429."},
    {"health_check_path", &type_text, KEY_NULL, .max = 1023, FIELD(struct config_backend, health_check_path),
     .given = offsetof(struct config_backend, health_path_given), .accept = accept_health_path,
     .absent = "the plugin's own",
     .about =
         "What is asked of an agent server to see that it answers. `null`: a sandbox is RUNNING as soon as "
         "its backend says so."},
    {"health_check_body", &type_scalars, KEY_NULL, .max = 1023, .most = 16,
     FIELD(struct config_backend, health_check_body),
     .given = offsetof(struct config_backend, health_body_given),
     .absent = "the plugin's own, where `health_check_path` is",
     .about =
         "The JSON object that a good answer to a health check has to be: `{status: ok}` wants a member "
         "`status` that is the text `ok`, and allows others beside it. An agent server that answers 2xx with "
         "another body is not ready yet. `null` or `{}`: any body will do."},
    {"health_interval", &type_duration, .fallback = "5s", .min = 10, .max = HOURS,
     FIELD(struct config_backend, health_interval_ms),
     .about = "Between two health checks of a running sandbox."},
    {"startup_timeout", &type_duration, .fallback = "120s", .min = 100, .max = 24 * HOURS,
     FIELD(struct config_backend, startup_timeout_ms),
     .about =
         "How long a sandbox may take to answer its first health check, once its backend has started it, "
         "before it is in ERROR. Starting it may take as long again, counted anew while the backend gets on "
         "(an image arrives)."},
    {"options", &type_options, KEY_SECRET, .offset = offsetof(struct config_backend, options_json),
     .length = offsetof(struct config_backend, options_len), .absent = "none",
     .about = "The plugin's own, checked by the plugin: see its page."},
};
static const struct section backend_section = {
    .path = "backends.NAME",
    .about =
        "A backend: a plugin with its options, under a name of letters, digits, `-`, `_` and `.` that begins "
        "with a letter or digit and has at most 63 of them. Two backends may use one plugin.",
    .keys = backend_keys,
    .count = COUNT(backend_keys),
    .size = sizeof(struct config_backend),
    .check = check_backend,
};

static const struct key spec_build_keys[] = {
    {"base_image", &type_text, KEY_REQUIRED, .max = 511, FIELD(struct config_spec, base_image),
     .about = "The image that it is made from, pulled as any other."},
    {"extra_deps", &type_text, KEY_LINES | KEY_SECRET, .max = 8 * KIB, FIELD(struct config_spec, extra_deps),
     .absent = "none",
     .about =
         "A shell command that installs more, such as `apt-get install -y jq`. The image's history has it: "
         "put no secret there."},
    {"enable_browser", &type_boolean, .fallback = "true", FIELD(struct config_spec, enable_browser),
     .about = "Install a browser for the agent's tools."},
    {"force_rebuild", &type_boolean, .fallback = "false", FIELD(struct config_spec, force_rebuild),
     .about = "Build it anew, without the engine's cache, at the first start since the backend was opened."},
};
static const struct section spec_build_section = {
    .path = "specs[].build",
    .about =
        "The image is made by the backend from a base image, once, before its first sandbox: "
        "docs/docker-backend.md says how. `id` is then a name for clients alone. Backends that can't make "
        "images refuse it.",
    .keys = spec_build_keys,
    .count = COUNT(spec_build_keys),
};

static const struct key spec_keys[] = {
    {"id", &type_text, KEY_REQUIRED, .max = 512, FIELD(struct config_spec, id),
     .about = "What clients name it by; for containers, the image."},
    {"backend", &type_text, .max = 63, FIELD(struct config_spec, backend), .absent = "`default_backend`",
     .about = "The backend that makes its sandboxes."},
    {"command", &type_texts, KEY_LINES | KEY_SECRET, .max = ARGUMENT_BYTES, .most = 1000,
     LIST(struct config_spec, command), .absent = "the backend's own",
     .about = "The program and its arguments, one element each. Containers: a first element that begins with "
              "`-` has all of them appended to the image's entry point; any other replaces it."},
    {"entrypoint", &type_texts, KEY_LINES | KEY_SECRET, .max = ARGUMENT_BYTES, .most = 1000,
     LIST(struct config_spec, entrypoint), .absent = "the image's own, by the rule of `command`",
     .about = "Containers: what `command` is appended to, whatever it begins with. `[]`: no entry point. "
              "Backends that know none refuse it."},
    {"initial_env", &type_pairs, KEY_LINES | KEY_SECRET, .max = ARGUMENT_BYTES, .most = 1000,
     LIST(struct config_spec, initial_env), .absent = "none",
     .about =
         "Environment variables. A value is taken as it is written: `1`, `true` and `\"1\"` are text alike."},
    {"working_dir", &type_text, KEY_EMPTY, .max = PATH_BYTES, FIELD(struct config_spec, working_dir),
     .absent = "the backend's own", .about = "Where the program begins."},
    {"build", &type_section, .section = &spec_build_section, .absent = "the image is `id`"},
    {"own_command", &type_choice, .fallback = "backend", .choices = own_commands,
     FIELD(struct config_spec, own_command),
     .about =
         "What becomes of the `command` of a request over the runtime API. `use`: it runs. `refuse`: the "
         "request is refused. `ignore`: this spec's runs, in this spec's `working_dir`; where a variable of "
         "the request is also in `initial_env`, this spec's counts. `backend`: as `use` where the backend "
         "isolates its sandboxes or is one of `runtime_api.own_commands`, else as `refuse`."},
};
static const struct section spec_section = {
    .path = "specs[]",
    .about = "A template for sandboxes.",
    .keys = spec_keys,
    .count = COUNT(spec_keys),
    .size = sizeof(struct config_spec),
    .check = check_spec,
};

static const struct key runtime_api_keys[] = {
    {"enabled", &type_boolean, .fallback = "false", FIELD(struct config, runtime_api_enabled),
     .about = "Serve the runtime API under `/runtime-api`."},
    {"images", &type_texts, .max = 512, .most = 1000, LIST(struct config, runtime_api_images),
     .absent = "none",
     .about = "Images that may be started beyond those of `specs`; `*` stands for any text."},
    {"backend", &type_text, .max = 63, FIELD(struct config, runtime_api_backend),
     .absent = "`default_backend`", .about = "The backend that images are started on which are no spec's."},
    {"own_commands", &type_texts, .max = 63, .most = 64, LIST(struct config, own_commands), .absent = "none",
     .about =
         "Backends whose sandboxes are not isolated from this host (`process`), and on which a request may "
         "bring a `command` of its own all the same: whoever has a key then runs what they like here."},
    {"registry_prefix", &type_text, .fallback = "ghcr.io/openhands", .max = 512,
     FIELD(struct config, runtime_api_registry_prefix), .accept = accept_registry_prefix,
     .about = "What `/registry_prefix` answers: where clients that build images are to put them."},
    {"builds", &type_boolean, .fallback = "false", FIELD(struct config, runtime_api_builds),
     .about = "Whoever has a key may have images built on `backend` (`/build`), and start them. A build runs "
              "commands of the client's as root, in containers of the engine."},
    {"max_builds", &type_integer, .fallback = "2", .min = 1, .max = 16,
     FIELD(struct config, runtime_api_max_builds),
     .about = "How many images of one user may be built at once; 16 of all users."},
    {"max_build_context", &type_size, .fallback = "1GiB", .min = MIB, .max = UINT64_C(1) << 40,
     FIELD(struct config, runtime_api_max_build_context),
     .about = "The largest build context, as its request has it: base64 text. It is kept in "
              "`state_dir`/builds while its image is built."},
    {"build_timeout", &type_duration, .fallback = "25m", .min = SECONDS, .max = 24 * HOURS,
     FIELD(struct config, runtime_api_build_timeout_ms),
     .about = "How long a build may take, its push with it. OpenHands gives one up after 30 minutes."},
    {"push", &type_boolean, .fallback = "false", FIELD(struct config, runtime_api_push),
     .about = "Push each image that was built to the registry of its name, with the backend's credentials."},
};
static const struct section runtime_api_section = {.path = "runtime_api",
                                                   .about = "The runtime API, with which this server is "
                                                            "the remote runtime of others.",
                                                   .keys = runtime_api_keys,
                                                   .count = COUNT(runtime_api_keys)};

static const struct key callback_keys[] = {
    {"url", &type_text, KEY_REQUIRED | KEY_SECRET, .max = 2048, FIELD(struct config_callback, url),
     .accept = accept_url,
     .about = "An `http://` or `https://` URL that new events are POSTed to. Each may be there once."},
    {"secret", &type_text, KEY_SECRET, .max = 1024, FIELD(struct config_callback, secret),
     .absent = "not signed", .about = "What the messages are signed with (HMAC-SHA256)."},
};
static const struct section callback_section = {
    .path = "events.callbacks[]",
    .about = "Who is told of each event that agents reported; docs/operations.md says how.",
    .keys = callback_keys,
    .count = COUNT(callback_keys),
    .size = sizeof(struct config_callback),
    .secrets = true,
};

static const struct key events_keys[] = {
    {"retention", &type_duration, .fallback = "7d", .min = MINUTES, .max = UINT64_C(3650) * 24 * HOURS,
     FIELD(struct config, events_retention_ms), .about = "How long events are kept."},
    {"max_per_sandbox", &type_size, .fallback = "1GiB", .min = 1 << 20, .max = UINT64_C(1) << 50,
     FIELD(struct config, events_max_per_sandbox),
     .about = "How much is kept of what one sandbox reports: its JSON, and 256 bytes for each event and "
              "conversation. What would be more is refused, until `retention` has made room."},
    {"polling_interval", &type_duration, .fallback = "15s", .min = 100, .max = 24 * HOURS,
     FIELD(struct config, events_polling_interval_ms),
     .about = "Where `server.public_url` is not set, so that agent servers can't report: how often they are "
              "asked."},
    {"callbacks", &type_sections, KEY_SECRET, .section = &callback_section, .most = 16,
     LIST(struct config, callbacks), .absent = "none"},
};
static const struct section events_section = {
    .path = "events",
    .about = "What agent servers report.",
    .keys = events_keys,
    .count = COUNT(events_keys),
};

static const struct key secret_keys[] = {
    {"name", &type_text, KEY_REQUIRED, .max = 127, FIELD(struct config_secret, name),
     .accept = accept_secret_name,
     .about = "What agents ask for it by; the SDK makes it a variable of that name in their commands."},
    {"value", &type_text, KEY_SECRET | KEY_LINES, .max = 64 * KIB, FIELD(struct config_secret, value),
     .absent = "one of the two", .about = "The secret itself; best as `\"${NAME}\"`, from the environment."},
    {"value_file", &type_secret_file, .max = PATH_BYTES, FIELD(struct config_secret, value),
     .absent = "one of the two",
     .about = "File that holds it, at most 64 KiB of UTF-8. The line break behind a single line does not "
              "count. Read "
              "anew at each reload; a warning is given where every user of the machine can read it."},
    {"description", &type_text, .max = 1024, FIELD(struct config_secret, description), .absent = "none",
     .about = "What it is for. Agents are told."},
    {"users", &type_texts, .max = 128, .most = 1000, LIST(struct config_secret, users), .absent = "all",
     .about = "Whose sandboxes may read it."},
    {"specs", &type_texts, .max = 512, .most = 1000, LIST(struct config_secret, specs), .absent = "all",
     .about =
         "Sandboxes of which specs (or images, over the runtime API) may read it; `*` stands for any text."},
};
static const struct section secret_section = {
    .path = "secrets[]",
    .about = "A secret that sandboxes may read while they run, each with its own session key and no other: "
             "`/api/v1/sandboxes/{id}/settings/secrets`. Of several with one name the first that is for the "
             "sandbox counts. Each read is in the log, without the value.",
    .keys = secret_keys,
    .count = COUNT(secret_keys),
    .size = sizeof(struct config_secret),
    .secrets = true,
    .check = check_secret,
};

static const struct key llm_keys[] = {
    {"model", &type_text, KEY_REQUIRED, .max = 512, FIELD(struct config_llm, model),
     .about = "Its name, as LiteLLM has it: `anthropic/claude-sonnet-4-5`."},
    {"api_key", &type_text, KEY_SECRET, .max = 4096, FIELD(struct config_llm, api_key), .absent = "none",
     .about = "The key for it; best as `\"${NAME}\"`, from the environment."},
    {"api_key_file", &type_secret_file, .max = PATH_BYTES, FIELD(struct config_llm, api_key),
     .absent = "none", .about = "File that holds the key, as `secrets[].value_file`."},
    {"base_url", &type_text, .max = 2048, FIELD(struct config_llm, base_url), .accept = accept_url,
     .absent = "the model's own", .about = "Where it is served."},
    {"profile", &type_text, .max = 128, FIELD(struct config_llm, profile), .absent = "the user's own model",
     .about = "The name that a client asks for it by: `get_llm(profile_name=…)`."},
    {"users", &type_texts, .max = 128, .most = 1000, LIST(struct config_llm, users), .absent = "all",
     .about = "Whose model it is."},
};
static const struct section llm_section = {
    .path = "llms[]",
    .about = "A model that users' agents may use: `GET /api/v1/users/me` tells the SDK's `get_llm()`. Of "
             "several the "
             "first that is for the user counts. Its key is shown only to who has the user's API key and the "
             "session key of a running sandbox of theirs.",
    .keys = llm_keys,
    .count = COUNT(llm_keys),
    .size = sizeof(struct config_llm),
    .secrets = true,
    .check = check_llm,
};

static const struct key top_keys[] = {
    {"server", &type_section, .section = &server_section},
    {"auth", &type_section, .section = &auth_section},
    {"state_dir", &type_text, .fallback = "/var/lib/sandboxd", .max = 4000, FIELD(struct config, state_dir),
     .accept = accept_absolute,
     .about = "Folder for what must survive a restart, as an absolute path. A reload can't change it."},
    {"plugin_dir", &type_text, KEY_EMPTY, .max = PATH_BYTES, FIELD(struct config, plugin_dir),
     .absent = "where the build installed them", .about = "Folder with the plugins."},
    {"log", &type_section, .section = &log_section},
    {"backends", &type_named_sections, KEY_REQUIRED, .section = &backend_section, .most = 64,
     LIST(struct config, backends)},
    {"default_backend", &type_text, .max = 63, FIELD(struct config, default_backend),
     .absent = "the only backend",
     .about = "For specs that name none. Must be given where there are several."},
    {"specs", &type_sections, .section = &spec_section, .most = 1000, LIST(struct config, specs),
     .absent = "the backend's built-in one",
     .about = "The first is the default. Each `id` may be there once."},
    {"runtime_api", &type_section, .section = &runtime_api_section},
    {"events", &type_section, .section = &events_section},
    {"secrets", &type_sections, KEY_SECRET, .section = &secret_section, .most = 256,
     LIST(struct config, secrets), .absent = "none"},
    {"llms", &type_sections, KEY_SECRET, .section = &llm_section, .most = 256, LIST(struct config, llms),
     .absent = "none"},
};
const struct section config_section = {
    .path = "",
    .about = "",
    .keys = top_keys,
    .count = COUNT(top_keys),
    .size = sizeof(struct config),
    .check = check_config,
};
