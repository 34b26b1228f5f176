/* test_urls.c: URLs taken apart, and those of a sandbox's services. */
#include "urls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_url_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path;
        int port;
    } cases[] = {
        {"https://a.example.com", "a.example.com", "", 443}, {"http://a/", "a", "/", 80},
        {"http://a:8080/b?c#d", "a", "/b?c#d", 8080},        {"https://[::1]", "[::1]", "", 443},
        {"http://[fe80::1]:1/x", "[fe80::1]", "/x", 1},      {"http://a?x", "a", "?x", 80},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct url url;
        assert_true(url_split(&url, cases[i].text));
        assert_int_equal(url.host_len, strlen(cases[i].host));
        assert_memory_equal(url.host, cases[i].host, url.host_len);
        assert_string_equal(url.path, cases[i].path);
        assert_int_equal(url.port, cases[i].port);
    }
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "a",
        "ftp://a",
        "http://",
        "http:///a",
        "http://u@a",
        "http://a:",
        "http://:1",
        "http://a:0",
        "http://a:65536",
        "http://a:1x",
        "http://a b",
        "http://a\xc3\xa4",
        "http://[::1",
        "http://[]",
        "http://[g]",
        "http://[::1]x",
        "http://a/\"b",
        "http://a\n/b",
        "HTTP://a",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct url url;
        if (url_split(&url, texts[i]))
            fail_msg("taken: %s", texts[i]);
    }
    char text[URL_MAX + 2];
    struct url url;
    snprintf(text, sizeof text, "http://a/%0*d", URL_MAX - 9, 0);
    assert_true(url_split(&url, text));
    snprintf(text, sizeof text, "http://a/%0*d", URL_MAX - 8, 0);
    assert_false(url_split(&url, text));
}

static void expect(const struct url_source *source, const char *wanted)
{
    struct urls urls;
    char text[8192] = "";
    urls_make(&urls, source);
    for (uint32_t i = 0; i < urls.count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s %s %d\n", urls.list[i].name, urls.list[i].url,
                 (int)urls.list[i].port);
    }
    assert_string_equal(text, wanted);
    urls_wipe(&urls);
}

static void services_have_hosts_of_their_own(void **state)
{
    (void)state;
    const struct url_source source = {
        .url = "https://r1.example.com:444/", .runtime_id = "r1", .key = "k+1", .working_dir = "/w s"};
    expect(&source, "AGENT_SERVER https://r1.example.com:444 60000\n"
                    "VSCODE https://vscode-r1.example.com:444/?tkn=k%2B1&folder=%2Fw%20s 60001\n"
                    "WORKER_1 https://work-1-r1.example.com:444 12000\n"
                    "WORKER_2 https://work-2-r1.example.com:444 12001\n");
}

static void services_are_below_the_runtime_where_its_path_says_so(void **state)
{
    (void)state;
    const struct url_source source = {.url = "http://10.0.0.1/r1/agent", .runtime_id = "r1", .key = "k"};
    expect(&source, "AGENT_SERVER http://10.0.0.1/r1/agent 60000\n"
                    "VSCODE http://10.0.0.1/r1/vscode?tkn=k 60001\n"
                    "WORKER_1 http://10.0.0.1/r1/work-1 12000\n"
                    "WORKER_2 http://10.0.0.1/r1/work-2 12001\n");
}

static void an_address_has_no_services_but_those_that_are_given(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://127.0.0.1:81", "http://localhost:81", "http://[::1]:81"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        char wanted[200];
        struct url_source source = {.url = urls[i], .runtime_id = "r1", .key = "k"};
        snprintf(wanted, sizeof wanted, "AGENT_SERVER %s 60000\n", urls[i]);
        expect(&source, wanted);
        source.worker[1] = "http://127.0.0.1:91/";
        snprintf(wanted, sizeof wanted, "AGENT_SERVER %s 60000\nWORKER_2 http://127.0.0.1:91 12001\n",
                 urls[i]);
        expect(&source, wanted);
    }
}

static void the_longest_fit_where_the_host_takes_them(void **state)
{
    (void)state;
    static char url[URL_MAX + 1], id[256], key[256], folder[2000];
    struct urls urls;
    memset(id, 'r', sizeof id - 1);
    memset(key, '+', sizeof key - 1);
    snprintf(url, sizeof url, "http://%s/%s/%0*d", "h", id, URL_MAX - 265, 0);
    memset(folder, 'f', 1023);
    const struct url_source source = {.url = url, .runtime_id = id, .key = key, .working_dir = folder};
    urls_make(&urls, &source);
    assert_int_equal(urls.count, URLS_MAX);
    assert_int_equal(strlen(urls.list[0].url), URL_MAX);
    assert_non_null(strstr(urls.list[1].url, "&folder=f"));
    memset(folder, 'f', 1024); /* too long: left out */
    urls_make(&urls, &source);
    assert_null(strstr(urls.list[1].url, "folder"));
    assert_non_null(strstr(urls.list[1].url, "?tkn=%2B"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(services_have_hosts_of_their_own),
        cmocka_unit_test(services_are_below_the_runtime_where_its_path_says_so),
        cmocka_unit_test(an_address_has_no_services_but_those_that_are_given),
        cmocka_unit_test(the_longest_fit_where_the_host_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
