/* test_pull.c: the pure parts of a pull: an image's name, what the engine says while it pulls, why it failed, and a
 * registry's credentials. */
#include "engine/refusal.h"
#include "images/image_name.h"
#include "images/pull_failure.h"
#include "images/pull_progress.h"
#include "images/registry_auth.h"
#include "plugin/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- names ----------------------------------------------------------------------------------- */

static void a_name_is_taken_apart_as_the_docker_client_does(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {"alpine", "alpine", "latest", "docker.io"},
        {"alpine:3.20", "alpine", "3.20", "docker.io"},
        {"team/app", "team/app", "latest", "docker.io"},
        {"docker.io/library/alpine:3", "docker.io/library/alpine", "3", "docker.io"},
        {"index.docker.io/team/app", "index.docker.io/team/app", "latest", "docker.io"},
        {"ghcr.io/openhands/agent-server:latest-python", "ghcr.io/openhands/agent-server", "latest-python",
         "ghcr.io"},
        {"127.0.0.1:5000/app", "127.0.0.1:5000/app", "latest", "127.0.0.1:5000"},
        {"host:5000/team/app:v1", "host:5000/team/app", "v1", "host:5000"},
        {"localhost/app", "localhost/app", "latest", "localhost"},
        {"[::1]:5000/app:v1", "[::1]:5000/app", "v1", "[::1]:5000"},
        {"Local/app", "Local/app", "latest", "Local"},
        {"app@" DIGEST, "app", DIGEST, "docker.io"},
        {"host:5000/app@" DIGEST, "host:5000/app", DIGEST, "host:5000"},
        {"app:v1@" DIGEST, "app", DIGEST, "docker.io"}, /* the digest says more */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_name name;
        assert_true(image_name_parse(&name, cases[i][0]));
        assert_string_equal(name.name, cases[i][1]);
        assert_string_equal(name.tag, cases[i][2]);
        assert_string_equal(name.registry, cases[i][3]);
        bool hub = strcmp(cases[i][3], "docker.io") == 0;
        assert_string_equal(image_name_registry_key(&name), hub ? IMAGE_HUB_KEY : cases[i][3]);
    }
}

static void what_no_registry_can_have_is_no_name(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "", ":", ":tag", "@" DIGEST, "app:", "app@", "a b", "app\n", DIGEST, &DIGEST[7]};
    struct image_name name;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_false(image_name_parse(&name, cases[i]));
    char text[IMAGE_NAME_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(image_name_parse(&name, text));
    text[IMAGE_NAME_MAX] = '\0';
    assert_true(image_name_parse(&name, text));
}

/* ---- progress -------------------------------------------------------------------------------- */

static struct pull_progress progress;

static void begin(void)
{
    pull_progress_finish(&progress);
    pull_progress_init(&progress, json_table());
}

static void feed(const char *text)
{
    assert_true(pull_progress_feed(&progress, text, strlen(text)));
}

static void assert_text(const char *expected)
{
    char text[96];
    pull_progress_text(&progress, text, sizeof text);
    assert_string_equal(text, expected);
}

/* From Docker 20.10, without some of its lines. */
static const char *const lines[] = {
    "{\"status\":\"Pulling from pull-team/lay\",\"id\":\"v1\"}\r\n",
    "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"4acb57b4434c\"}\r\n",
    "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"3f35b7cfb029\"}\r\n",
    "{\"status\":\"Already exists\",\"progressDetail\":{},\"id\":\"8620bd47f2e5\"}\r\n",
    "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":36445,\"total\":3001130},\"progress\":\"["
    "\\u003e     ]  "
    "36.45kB/3.001MB\",\"id\":\"3f35b7cfb029\"}\r\n",
    "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":2097152,\"total\":3001130},\"id\":"
    "\"3f35b7cfb029\"}\r\n",
    "{\"status\":\"Verifying Checksum\",\"progressDetail\":{},\"id\":\"3f35b7cfb029\"}\r\n",
    "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"4acb57b4434c\"}\r\n",
    "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":418800,\"total\":418800},\"id\":"
    "\"4acb57b4434c\"}\r\n",
    "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"4acb57b4434c\"}\r\n",
    "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"3f35b7cfb029\"}\r\n",
    "{\"status\":\"Digest: sha256:007f814ddd33\"}\r\n",
    "{\"status\":\"Status: Downloaded newer image for 127.0.0.1:5057/pull-team/lay:v1\"}\r\n",
};

static void lines_become_sums(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        ": 0 of 1 layers",
                                        ": 0 of 2 layers",
                                        ": 1 of 3 layers",
                                        ": 1 of 3 layers, 35 of 2931 KiB",
                                        ": 1 of 3 layers, 2048 of 2931 KiB",
                                        ": 1 of 3 layers, 2930 of 2931 KiB",
                                        ": 1 of 3 layers, 2930 of 2931 KiB",
                                        ": 1 of 3 layers, 3339 of 3340 KiB",
                                        ": 2 of 3 layers, 3339 of 3340 KiB",
                                        ": 3 of 3 layers, 3339 of 3340 KiB",
                                        ": 3 of 3 layers, 3339 of 3340 KiB",
                                        ": 3 of 3 layers, 3339 of 3340 KiB"};
    begin();
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_false(progress.succeeded);
        feed(lines[i]);
        assert_text(texts[i]);
    }
    assert_true(progress.succeeded && !progress.failed);
    struct pull_sums sums = pull_progress_sums(&progress);
    assert_int_equal(sums.bytes, 3001130 + 418800);
    assert_int_equal(sums.bytes_done, sums.bytes);
}

static void it_does_not_matter_where_a_piece_ends(void **state)
{
    (void)state;
    char all[4096] = "";
    size_t len = 0;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        len += (size_t)snprintf(all + len, sizeof all - len, "%s", lines[i]);
    len -= 2; /* nor whether there is a line break at the end */
    for (size_t cut = 0; cut <= len; cut++) {
        begin();
        assert_true(pull_progress_feed(&progress, all, cut));
        assert_true(pull_progress_feed(&progress, all + cut, len - cut));
        pull_progress_end(&progress);
        assert_true(progress.succeeded);
        assert_text(": 3 of 3 layers, 3339 of 3340 KiB");
    }
}

static void only_what_is_new_is_a_step(void **state)
{
    (void)state;
    begin();
    feed(lines[1]);
    feed(lines[4]);
    feed(lines[5]);
    uint64_t steps = progress.steps;
    assert_true(steps >= 3);
    feed("{\"status\":\"Retrying in 5 seconds\",\"progressDetail\":{},\"id\":\"3f35b7cfb029\"}\n");
    feed(lines[1]);
    feed(lines[4]); /* from the beginning: what was there before */
    feed(lines[5]);
    feed("\n\nno JSON\n[1]\n{}\nnull\n");
    assert_int_equal(progress.steps, steps);
    feed("{\"status\":\"Downloading\",\"progressDetail\":{\"current\":2097153,\"total\":3001130},"
         "\"id\":\"3f35b7cfb029\"}\n");
    assert_int_equal(progress.steps, steps + 1);
}

static void an_error_inside_counts_more_than_success(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"errorDetail\":{\"code\":401,\"message\":\"in detail\"},\"error\":\"in short\"}\n", "in detail"},
        {"{\"error\":\"in short\"}\n", "in short"},
        {"{\"errorDetail\":{\"code\":1},\"error\":\"in short\"}\n", "in short"},
        {"{\"errorDetail\":{\"message\":\"two\\r\\nlines\"}}\n", "two  lines"},
        {"{\"error\":7}\n", "it did not say why"},
        {"{\"errorDetail\":[]}\n", "it did not say why"},
        {"{\"error\":\"first\"}\n{\"error\":\"second\"}\n", "first"},
        {"{\"error\":\"no line break at the end\"}", "no line break at the end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        feed("{\"status\":\"Status: Downloaded newer image for x\"}\n");
        feed(cases[i][0]);
        pull_progress_end(&progress);
        assert_true(progress.failed);
        assert_string_equal(progress.words, cases[i][1]);
    }
    begin();
    feed("{\"status\":\"Status: Image is up to date for x\",\"error\":null}\n");
    assert_true(progress.succeeded && !progress.failed);
}

static void long_words_end_with_a_whole_character(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 2; shift++) {
        char text[2 * PULL_WORDS_SIZE];
        size_t len = (size_t)snprintf(text, sizeof text, "{\"error\":\"%s", shift ? "x" : "");
        while (len + 8 < sizeof text)
            len += (size_t)snprintf(text + len, sizeof text - len, "é");
        snprintf(text + len, sizeof text - len, "\"}\n");
        begin();
        feed(text);
        len = strlen(progress.words);
        assert_true(len >= PULL_WORDS_SIZE - 3);
        assert_string_equal(progress.words + len - 2, "é");
    }
}

static void numbers_without_sense_are_taken_for_none(void **state)
{
    (void)state;
    static const char *const details[] = {
        "{\"current\":-1,\"total\":-5}",
        "{\"current\":1e300,\"total\":9223372036854775808}",
        "{\"current\":\"5\",\"total\":[]}",
        "null",
        "\"x\"",
        "{\"current\":9223372036854775807}",
    };
    begin();
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"status\":\"Downloading\",\"id\":\"a%zu\",\"progressDetail\":%s}\n", i,
                 details[i]);
        feed(text);
    }
    feed("{\"status\":7,\"id\":[]}\n{\"status\":\"Downloading\",\"id\":7}\n{\"status\":\"Downloading\","
         "\"id\":\"\"}\n");
    assert_text(": 0 of 6 layers");
    feed("{\"status\":\"Downloading\",\"id\":\"b\",\"progressDetail\":{\"current\":4096,\"total\":2048}}\n");
    assert_text(": 0 of 7 layers, 2 of 2 KiB");
}

static void layers_and_lines_have_a_limit(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 2 * PULL_LAYERS_MAX; i++) {
        char text[160];
        snprintf(
            text, sizeof text,
            "{\"status\":\"Downloading\",\"id\":\"%d\",\"progressDetail\":{\"current\":9223372036854775807,"
            "\"total\":9223372036854775807}}\n",
            i);
        feed(text);
    }
    struct pull_sums sums = pull_progress_sums(&progress);
    assert_int_equal(sums.layers, PULL_LAYERS_MAX);
    assert_int_equal(sums.bytes, (UINT64_C(1) << 50) * PULL_LAYERS_MAX);
    char *line = malloc(PULL_LINE_MAX + 1);
    assert_non_null(line);
    memset(line, ' ', PULL_LINE_MAX + 1);
    assert_true(pull_progress_feed(&progress, line, PULL_LINE_MAX));
    feed("\n");
    assert_true(pull_progress_feed(&progress, line, PULL_LINE_MAX));
    assert_false(pull_progress_feed(&progress, line, 1));
    assert_false(pull_progress_feed(&progress, "\n", 1));
    pull_progress_end(&progress);
    free(line);
    pull_progress_finish(&progress);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* The words are those of Docker 20.10 to 28, with Debian's registry, Docker Hub and ghcr.io. */
static void a_failure_has_a_code_and_the_engines_words(void **state)
{
    (void)state;
    static const struct {
        const char *words, *code;
        enum sbx_error_kind kind;
        bool retryable;
    } cases[] = {
        {"manifest for 127.0.0.1:5057/team/img:nosuch not found: manifest unknown: manifest unknown",
         SBX_CODE_IMAGE_NOT_FOUND, SBX_ERR_NOT_FOUND, false},
        {"pull access denied for nosuch, repository does not exist or may require 'docker login': denied: "
         "requested "
         "access to the resource is denied",
         SBX_CODE_IMAGE_NOT_FOUND, SBX_ERR_NOT_FOUND, false},
        {"no matching manifest for linux/arm64/v8 in the manifest list entries", SBX_CODE_IMAGE_NOT_FOUND,
         SBX_ERR_NOT_FOUND, false},
        {"invalid reference format: repository name must be lowercase", SBX_CODE_IMAGE_NOT_FOUND,
         SBX_ERR_INVALID, false},
        {"Head \"http://127.0.0.1:5058/v2/team/img/manifests/v1\": no basic auth credentials",
         CODE_PULL_DENIED, SBX_ERR_REFUSED, false},
        {"Get \"https://registry-1.docker.io/v2/a/b/manifests/c\": unauthorized: incorrect username or "
         "password",
         CODE_PULL_DENIED, SBX_ERR_REFUSED, false},
        {"Head \"https://ghcr.io/v2/team/app/manifests/latest\": denied: denied", CODE_PULL_DENIED,
         SBX_ERR_REFUSED, false},
        {"Get \"http://127.0.0.1:5999/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
         CODE_REGISTRY_UNAVAILABLE, SBX_ERR_UNAVAILABLE, true},
        {"Get \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid on 10.0.0.53:53: no such "
         "host",
         CODE_REGISTRY_UNAVAILABLE, SBX_ERR_UNAVAILABLE, true},
        {"Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection "
         "(Client.Timeout exceeded while awaiting headers)",
         CODE_REGISTRY_UNAVAILABLE, SBX_ERR_UNAVAILABLE, true},
        {"toomanyrequests: You have reached your pull rate limit.", CODE_REGISTRY_UNAVAILABLE,
         SBX_ERR_UNAVAILABLE, true},
        {"failed to register layer: Error processing tar file(exit status 1): write /big: no space left on "
         "device",
         CODE_NO_SPACE, SBX_ERR_UNAVAILABLE, true},
        {"failed to register layer: mkdir /usr: permission denied", SBX_CODE_BACKEND_REFUSED, SBX_ERR_REFUSED,
         false},
        {"filesystem layer verification failed for digest sha256:3f35b7cfb029", SBX_CODE_BACKEND_REFUSED,
         SBX_ERR_REFUSED, false},
    };
    const struct pull_facts facts = {.image = "host:5000/team/img:v1", .registry = "host:5000"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sbx_error error;
        pull_failure_of(&error, &facts, cases[i].words);
        assert_string_equal(error.code, cases[i].code);
        assert_int_equal(error.kind, cases[i].kind);
        assert_int_equal(error.retryable, cases[i].retryable);
        assert_non_null(strstr(error.message, cases[i].words));
        assert_non_null(strstr(error.message, facts.image));
    }
}

static void a_denied_pull_says_whether_there_were_credentials(void **state)
{
    (void)state;
    struct pull_facts facts = {.image = "team/img", .registry = "docker.io"};
    struct sbx_error error;
    pull_failure_of(&error, &facts, "pull access denied for team/img, repository does not exist");
    assert_non_null(strstr(error.message, "there are none for its registry"));
    facts.with_credentials = true;
    pull_failure_of(&error, &facts, "unauthorized: authentication required");
    assert_null(strstr(error.message, "there are none"));
    assert_non_null(strstr(error.message, "docker.io does not let us pull team/img"));
}

/* ---- credentials ----------------------------------------------------------------------------- */

/* The header's document; the caller's. */
static sbx_json *header_of(const struct registry_auth *auth)
{
    static const char name[] = "X-Registry-Auth: ";
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    assert_non_null(auth->header);
    assert_memory_equal(auth->header, name, sizeof name - 1);
    const char *text = auth->header + sizeof name - 1;
    assert_int_equal(strlen(text) % 4, 0);
    char plain[8192];
    size_t len = 0;
    unsigned bits = 0, have = 0;
    for (; *text && *text != '='; text++) {
        const char *found = strchr(alphabet, *text);
        assert_non_null(found);
        bits = (bits << 6 | (unsigned)(found - alphabet)) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            assert_true(len < sizeof plain);
            plain[len++] = (char)(bits >> have & 0xff);
        }
    }
    sbx_json *document = json_table()->parse(plain, len, NULL);
    assert_non_null(document);
    return document;
}

static void assert_member(const sbx_json *document, const char *key, const char *expected)
{
    const struct sbx_json_api *json = json_table();
    assert_string_equal(json->string(json->get(document, key), "(none)"), expected);
}

static struct registry_auth from_config(const char *text, const char *registry)
{
    struct registry_auth auth;
    registry_auth_from_config(&auth, json_table(), text, strlen(text), registry);
    return auth;
}

static void assert_login(const char *config, const char *registry, const char *username, const char *password)
{
    struct registry_auth auth = from_config(config, registry);
    assert_string_equal(auth.problem, "");
    assert_string_equal(auth.helper, "");
    sbx_json *document = header_of(&auth);
    assert_member(document, "username", username);
    assert_member(document, "password", password);
    assert_member(document, "serveraddress", registry);
    json_table()->free(document);
    registry_auth_finish(&auth);
    assert_null(auth.header);
}

static void keys_match_as_the_docker_client_matches_them(void **state)
{
    (void)state;
    /* alice:s3:cret, the colon of the password being its own */
#define ALICE "{\"auth\":\"YWxpY2U6czM6Y3JldA==\"}"
#define BOB "{\"auth\":\"Ym9iOng=\"}"
    assert_login("{\"auths\":{\"host:5000\":" ALICE "}}", "host:5000", "alice", "s3:cret");
    assert_login("{\"auths\":{\"https://host:5000\":" ALICE "}}", "host:5000", "alice", "s3:cret");
    assert_login("{\"auths\":{\"http://host:5000/v1/\":" ALICE "}}", "host:5000", "alice", "s3:cret");
    assert_login("{\"auths\":{\"host:5000/v2/\":" ALICE "}}", "host:5000", "alice", "s3:cret");
    assert_login("{\"auths\":{\"https://host:5000\":" ALICE ",\"host:5000\":" BOB "}}", "host:5000", "bob",
                 "x");
    assert_login("{\"auths\":{\"" IMAGE_HUB_KEY "\":" BOB "}}", IMAGE_HUB_KEY, "bob", "x");
    assert_login("{\"auths\":{\"host\":{\"username\":\"carol\",\"password\":\"p\"}}}", "host", "carol", "p");
    static const char *const others[] = {"{}",
                                         "{\"auths\":{}}",
                                         "{\"auths\":{\"host\":" ALICE "}}",
                                         "{\"auths\":{\"host:50000\":" ALICE "}}",
                                         "{\"auths\":{\"my.host:5000\":" ALICE "}}",
                                         "{\"auths\":{\"host:5000\":{}}}",
                                         "{\"auths\":[]}",
                                         "{\"auths\":{\"docker.io\":" ALICE "}}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct registry_auth auth = from_config(others[i], i == 7 ? IMAGE_HUB_KEY : "host:5000");
        assert_null(auth.header);
        assert_string_equal(auth.problem, "");
        assert_string_equal(auth.helper, "");
    }
}

static void a_token_stands_for_the_password(void **state)
{
    (void)state;
    struct registry_auth auth =
        from_config("{\"auths\":{\"host\":{\"auth\":\"Ym9iOg==\",\"identitytoken\":\"t0ken\"}}}", "host");
    sbx_json *document = header_of(&auth);
    assert_member(document, "identitytoken", "t0ken");
    assert_member(document, "password", "(none)");
    json_table()->free(document);
    registry_auth_finish(&auth);

    static const char answer[] = "{\"ServerURL\":\"host\",\"Username\":\"<token>\",\"Secret\":\"t0ken\"}\n";
    registry_auth_from_helper(&auth, json_table(), answer, sizeof answer - 1, "host");
    document = header_of(&auth);
    assert_member(document, "identitytoken", "t0ken");
    assert_member(document, "username", "(none)");
    json_table()->free(document);
    registry_auth_finish(&auth);
}

static void a_helper_goes_before_what_the_file_has(void **state)
{
    (void)state;
    static const char config[] = "{\"auths\":{\"host\":" ALICE "},\"credsStore\":\"all\","
                                 "\"credHelpers\":{\"https://one.example\":\"one\"}}";
    assert_string_equal(from_config(config, "one.example").helper, "one");
    assert_string_equal(from_config(config, "host").helper, "all");
    assert_string_equal(from_config("{\"credsStore\":\"\"}", "host").helper, "");
    struct registry_auth auth;
    static const char answer[] = "{\"ServerURL\":\"host\",\"Username\":\"u\",\"Secret\":\"p\\u00fc\"}";
    registry_auth_from_helper(&auth, json_table(), answer, sizeof answer - 1, "host");
    sbx_json *document = header_of(&auth);
    assert_member(document, "username", "u");
    assert_member(document, "password", "p\xc3\xbc");
    json_table()->free(document);
    registry_auth_finish(&auth);
}

static void a_problem_names_the_place_and_no_secret(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"auths\": SECRET", "it is not valid JSON"},
        {"[\"SECRET\"]", "it must be a JSON object"},
        {"{\"auths\":{\"host\":{\"auth\":\"SECRET!\"}}}",
         "auths[\"host\"].auth must be the base64 of user:password"},
        {"{\"auths\":{\"host\":{\"auth\":\"U0VDUkVU\"}}}", "auths[\"host\"].auth must be"},     /* no colon */
        {"{\"auths\":{\"host\":{\"auth\":\"OlNFQ1JFVA==\"}}}", "auths[\"host\"].auth must be"}, /* no user */
        {"{\"auths\":{\"host\":{\"auth\":\"SECRE\"}}}", "auths[\"host\"].auth must be"},
        {"{\"credsStore\":\"../SECRET\"}", "credsStore must name a program"},
        {"{\"credHelpers\":{\"host\":7}}", "credHelpers must name a program"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct registry_auth auth = from_config(cases[i][0], "host");
        assert_null(auth.header);
        assert_string_equal(auth.helper, "");
        assert_non_null(strstr(auth.problem, cases[i][1]));
        assert_null(strstr(auth.problem, "SECRE"));
    }
    static const char *const answers[] = {"",
                                          "SECRET",
                                          "{\"Username\":\"u\"}",
                                          "{\"Secret\":\"SECRET\"}",
                                          "{\"Username\":[],\"Secret\":\"SECRET\"}",
                                          "[]"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct registry_auth auth;
        registry_auth_from_helper(&auth, json_table(), answers[i], strlen(answers[i]), "host");
        assert_null(auth.header);
        assert_string_equal(auth.problem, "its answer must be a JSON object with Username and Secret");
    }
    char *huge = malloc(2 * AUTH_HEADER_MAX);
    assert_non_null(huge);
    int len =
        snprintf(huge, 2 * AUTH_HEADER_MAX, "{\"Username\":\"u\",\"Secret\":\"%0*d\"}", AUTH_HEADER_MAX, 0);
    struct registry_auth auth;
    registry_auth_from_helper(&auth, json_table(), huge, (size_t)len, "host");
    assert_null(auth.header);
    assert_non_null(strstr(auth.problem, "longer than the engine takes"));
    free(huge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_taken_apart_as_the_docker_client_does),
        cmocka_unit_test(what_no_registry_can_have_is_no_name),
        cmocka_unit_test(lines_become_sums),
        cmocka_unit_test(it_does_not_matter_where_a_piece_ends),
        cmocka_unit_test(only_what_is_new_is_a_step),
        cmocka_unit_test(an_error_inside_counts_more_than_success),
        cmocka_unit_test(long_words_end_with_a_whole_character),
        cmocka_unit_test(numbers_without_sense_are_taken_for_none),
        cmocka_unit_test(layers_and_lines_have_a_limit),
        cmocka_unit_test(a_failure_has_a_code_and_the_engines_words),
        cmocka_unit_test(a_denied_pull_says_whether_there_were_credentials),
        cmocka_unit_test(keys_match_as_the_docker_client_matches_them),
        cmocka_unit_test(a_token_stands_for_the_password),
        cmocka_unit_test(a_helper_goes_before_what_the_file_has),
        cmocka_unit_test(a_problem_names_the_place_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
