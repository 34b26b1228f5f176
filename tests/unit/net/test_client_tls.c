/* TLS: who is trusted, who is not, and that it says so. */
#include "call.h"
#include "server.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct server *server;
static SSL_CTX *tls;
static EVP_PKEY *key;
static X509 *certificate;
static char folder[] = "/tmp/sandboxd-tls-XXXXXX", ca_file[64], key_file[64];

/* Self-signed, for localhost and 127.0.0.1. */
static void make_certificate(void)
{
    key = EVP_EC_gen("P-256");
    certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(certificate, key, EVP_sha256());
}

static int setup_group(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    make_certificate();
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    snprintf(key_file, sizeof key_file, "%s/key.pem", folder);
    FILE *file = fopen(ca_file, "w");
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(key_file, "w");
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(tls, certificate);
    SSL_CTX_use_PrivateKey(tls, key);
    return 0;
}

static int teardown_group(void **state)
{
    (void)state;
    SSL_CTX_free(tls);
    X509_free(certificate);
    EVP_PKEY_free(key);
    unlink(ca_file);
    unlink(key_file);
    return rmdir(folder);
}

static int setup(void **state)
{
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    server = server_start_tcp(false, tls);
    return call_setup(state);
}

static int teardown(void **state)
{
    int left = call_teardown(state);
    server_stop(server);
    return left;
}

static struct call *get(const char *host, struct client_request request)
{
    request.url = url("https://%s:%d/ok", host, server_port(server));
    return call_wait(call_begin(&request, false));
}

static void a_self_signed_peer_is_refused(void **state)
{
    (void)state;
    struct call *call = get("127.0.0.1", (struct client_request){.timeout_ms = 5000});
    assert_fails(call, SBX_ERR_UNAVAILABLE, "certificate");
    assert_int_equal(call->err.retryable, 0);
    assert_int_equal(server_requests(server), 0);
    call_free(call);
}

static void a_peer_of_the_named_authority_is_trusted_and_kept(void **state)
{
    (void)state;
    const char *hosts[] = {"localhost", "127.0.0.1", "127.0.0.1"};
    for (int i = 0; i < 3; i++) {
        struct call *call = get(hosts[i], (struct client_request){.ca_file = ca_file});
        assert_false(call->failed);
        assert_string_equal(call->body, "hello");
        call_free(call);
    }
    assert_int_equal(server_connections(server), 2);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    (void)state;
    server_stop(server);
    server = server_start_tcp(true, tls);
    if (!server)
        skip(); /* no IPv6 here */
    struct call *call = get("[::1]", (struct client_request){.ca_file = ca_file});
    assert_fails(call, SBX_ERR_UNAVAILABLE, "certificate");
    call_free(call);
}

static void a_missing_or_broken_ca_file_is_said(void **state)
{
    (void)state;
    struct call *call = get("127.0.0.1", (struct client_request){.ca_file = "/nonexistent/ca.pem"});
    assert_fails(call, SBX_ERR_INVALID, "/nonexistent/ca.pem");
    call_free(call);
    call =
        get("127.0.0.1", (struct client_request){.ca_file = ca_file, .cert_file = "/nonexistent/cert.pem"});
    assert_fails(call, SBX_ERR_INVALID, "/nonexistent/cert.pem");
    call_free(call);
}

static void a_client_certificate_is_shown(void **state)
{
    (void)state;
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_load_verify_file(tls, ca_file);
    struct call *call = get(
        "127.0.0.1", (struct client_request){.ca_file = ca_file, .cert_file = ca_file, .key_file = key_file});
    assert_false(call->failed);
    assert_string_equal(call->body, "hello");
    call_free(call);
    call = get("127.0.0.1", (struct client_request){.ca_file = ca_file, .no_reuse = true});
    assert_true(call->failed); /* the server's alert, unless its reset has overtaken that */
    assert_true(strstr(call->err.message, "certificate required") ||
                strstr(call->err.message, "Connection reset"));
    call_free(call);
}

static void tls_to_a_server_that_speaks_none_fails_with_a_sentence(void **state)
{
    (void)state;
    server_stop(server);
    server = server_start_tcp(false, NULL);
    struct client_request request = {.url = url("https://127.0.0.1:%d/", server_port(server)),
                                     .timeout_ms = 300};
    struct call *call = call_wait(call_begin(&request, false));
    assert_true(call->failed);
    assert_true(call->err.kind == SBX_ERR_TIMEOUT || call->err.kind == SBX_ERR_UNAVAILABLE);
    call_free(call);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_self_signed_peer_is_refused),
        TEST(a_peer_of_the_named_authority_is_trusted_and_kept),
        TEST(a_certificate_for_another_name_is_refused),
        TEST(a_missing_or_broken_ca_file_is_said),
        TEST(a_client_certificate_is_shown),
        TEST(tls_to_a_server_that_speaks_none_fails_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
