/* TLS: certificates and their faults, the same service through it, both ends of a connection. */
#include "rig.h"

#include "base/clock.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define H "Host: a\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"

static char dir[64], cert_file[96], key_file[96], other_key_file[96];

static void write_pem(const char *file, EVP_PKEY *key, X509 *cert)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    if (cert)
        PEM_write_X509(out, cert);
    else
        PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
    fclose(out);
}

/* Self-signed, for an hour. */
static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static int make_files(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/sandboxd-tls-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(cert_file, sizeof cert_file, "%s/cert.pem", dir);
    snprintf(key_file, sizeof key_file, "%s/key.pem", dir);
    snprintf(other_key_file, sizeof other_key_file, "%s/other.pem", dir);
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key);
    write_pem(cert_file, NULL, cert);
    write_pem(key_file, key, NULL);
    write_pem(other_key_file, other, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(cert_file);
    unlink(key_file);
    unlink(other_key_file);
    return rmdir(dir);
}

static int setup(void **state)
{
    rig_setup_only(state);
    struct rig *rig = *state;
    rig->config.tls_cert = cert_file;
    rig->config.tls_key = key_file;
    rig->config.max_body = 400000;
    return 0;
}

/* ---- a client -------------------------------------------------------------------------------- */

struct tls_client {
    SSL_CTX *tls;
    SSL *ssl;
    int fd;
};

/* Repeats an operation of OpenSSL, stepping the loop, until it is done. */
#define tls_until(rig, client, result, call)                                                                 \
    rig_until(rig,                                                                                           \
              ((result) = (call)) > 0 || (SSL_get_error((client)->ssl, (result)) != SSL_ERROR_WANT_READ &&   \
                                          SSL_get_error((client)->ssl, (result)) != SSL_ERROR_WANT_WRITE))

static struct tls_client tls_start(struct rig *rig)
{
    struct tls_client client = {.tls = SSL_CTX_new(TLS_client_method()), .fd = client_connect(rig)};
    client.ssl = SSL_new(client.tls);
    SSL_set_fd(client.ssl, client.fd);
    rig_until(rig, send(client.fd, "", 0, MSG_NOSIGNAL) == 0);
    return client;
}

static struct tls_client tls_connect(struct rig *rig)
{
    struct tls_client client = tls_start(rig);
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    SSL_set_alpn_protos(client.ssl, protocols, sizeof protocols - 1);
    int result;
    tls_until(rig, &client, result, SSL_connect(client.ssl));
    assert_int_equal(result, 1);
    const unsigned char *chosen;
    unsigned len;
    SSL_get0_alpn_selected(client.ssl, &chosen, &len);
    assert_int_equal(len, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    return client;
}

static void tls_free(struct tls_client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->tls);
    ERR_clear_error();
}

static void tls_send(struct rig *rig, struct tls_client *client, const void *bytes, size_t len)
{
    int result;
    tls_until(rig, client, result, SSL_write(client->ssl, bytes, (int)len));
    assert_int_equal(result, len);
}

static void tls_send_text(struct rig *rig, struct tls_client *client, const char *text)
{
    tls_send(rig, client, text, strlen(text));
}

static void tls_receive(struct rig *rig, struct tls_client *client, char *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        int result;
        tls_until(rig, client, result, SSL_read(client->ssl, out + got, (int)(len - got)));
        assert_true(result > 0);
        got += (size_t)result;
    }
}

/* Up to and with the empty line. */
static void tls_receive_head(struct rig *rig, struct tls_client *client, char *out, size_t size)
{
    size_t len = 0;
    do {
        assert_in_range(len, 0, size - 2);
        tls_receive(rig, client, out + len, 1);
        out[++len] = '\0';
    } while (!strstr(out, "\r\n\r\n"));
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void requests_are_answered_through_tls(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client client = tls_connect(rig);
    char head[1024], body[3];
    tls_send_text(rig, &client, GET("/a") GET("/b"));
    for (int i = 0; i < 2; i++) {
        tls_receive_head(rig, &client, head, sizeof head);
        tls_receive(rig, &client, body, 2);
        assert_memory_equal(body, i == 0 ? "/a" : "/b", 2);
    }
    tls_free(&client);
}

static void large_bodies_pass_both_ways(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client client = tls_connect(rig);
    static char bytes[300000], back[300000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7 + i / 1000);
    char head[1024];
    for (int round = 0; round < 3; round++) {
        tls_send_text(rig, &client, "POST /echo HTTP/1.1\r\n" H "Content-Length: 300000\r\n\r\n");
        for (size_t sent = 0; sent < sizeof bytes; sent += 15000)
            tls_send(rig, &client, bytes + sent, 15000);
        tls_receive_head(rig, &client, head, sizeof head);
        assert_memory_equal(head, "HTTP/1.1 200", 12);
        tls_receive(rig, &client, back, sizeof back);
        assert_memory_equal(back, bytes, sizeof bytes);
    }
    tls_free(&client);
}

static void much_that_waits_behind_a_pending_request_is_not_lost(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client client = tls_connect(rig);
    static char bytes[40000];
    size_t len = (size_t)snprintf(bytes, sizeof bytes, GET("/pending"));
    size_t requests = 0;
    for (; len + 64 < sizeof bytes; requests++)
        len += (size_t)snprintf(bytes + len, sizeof bytes - len, GET("/x"));
    for (size_t sent = 0; sent < len; sent += 16000)
        tls_send(rig, &client, bytes + sent, len - sent < 16000 ? len - sent : 16000);
    rig_until(rig, rig->pending);
    http_reply(rig->pending, 200, "text/plain", "/p", 2);
    char head[1024], body[2];
    for (size_t i = 0; i <= requests; i++) {
        tls_receive_head(rig, &client, head, sizeof head);
        tls_receive(rig, &client, body, 2);
        assert_memory_equal(body, i == 0 ? "/p" : "/x", 2);
    }
    tls_free(&client);
}

static void a_client_that_ends_its_side_of_tls_is_answered(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client client = tls_connect(rig);
    tls_send_text(rig, &client, GET("/pending"));
    rig_until(rig, rig->pending);
    SSL_shutdown(client.ssl); /* its close_notify */
    shutdown(client.fd, SHUT_WR);
    rig_until(rig, rig->pending->connection->eof);
    rig_turn(rig);
    assert_int_equal(rig->gone, 0);
    http_reply(rig->pending, 200, "text/plain", "answer", 6);
    char head[1000], body[6];
    tls_receive_head(rig, &client, head, sizeof head);
    tls_receive(rig, &client, body, sizeof body);
    assert_memory_equal(body, "answer", 6);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
    tls_free(&client);
}

/* libevent stops writing when it reads close_notify, although its buffer has more. */
static void a_client_that_ends_its_side_of_tls_gets_the_rest_of_its_answer(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client client = tls_connect(rig);
    tls_send_text(rig, &client, GET("/pending"));
    rig_until(rig, rig->pending);
    struct http_connection *connection = rig->pending->connection;
    enum { LEN = 16 * 1024 * 1024 };
    char *bytes = malloc(LEN), *back = malloc(LEN), head[1000];
    for (size_t i = 0; i < LEN; i++)
        bytes[i] = (char)(i * 7 + i / 1000);
    http_reply(rig->pending, 200, "text/plain", bytes, LEN);
    rig_turn(rig);
    assert_true(connection_unsent(connection) > 0);
    SSL_shutdown(client.ssl); /* its close_notify */
    shutdown(client.fd, SHUT_WR);
    rig_until(rig, connection->eof);
    tls_receive_head(rig, &client, head, sizeof head);
    tls_receive(rig, &client, back, LEN);
    assert_memory_equal(back, bytes, LEN);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
    tls_free(&client);
    free(bytes);
    free(back);
}

static void a_client_that_leaves_is_seen_through_tls(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    for (unsigned i = 0; i < 2; i++) {
        struct tls_client client = tls_connect(rig);
        tls_send_text(rig, &client, GET("/pending"));
        rig_until(rig, rig->pending);
        if (i == 0) /* without close_notify: TLS takes this for an attack */
            client_close(rig, client.fd);
        else
            client_reset(rig, client.fd);
        rig_until(rig, rig->gone == i + 1);
        tls_free(&client);
    }
}

static void the_end_of_a_stream_until_close_is_marked(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    for (int aborted = 0; aborted < 2; aborted++) {
        struct tls_client client = tls_connect(rig);
        tls_send_text(rig, &client, "GET /stream HTTP/1.0\r\n\r\n");
        rig_until(rig, rig->pending);
        http_stream_write(rig->pending, "abc", 3);
        char head[1024], body[3];
        tls_receive_head(rig, &client, head, sizeof head);
        tls_receive(rig, &client, body, 3);
        if (aborted)
            http_stream_abort(rig->pending);
        else
            http_stream_end(rig->pending);
        rig->pending = NULL;
        int result;
        tls_until(rig, &client, result, SSL_read(client.ssl, body, 1));
        assert_int_equal(SSL_get_error(client.ssl, result) == SSL_ERROR_ZERO_RETURN, !aborted);
        tls_free(&client);
    }
}

static void a_handshake_has_a_deadline(void **state)
{
    struct rig *rig = *state;
    rig->config.header_timeout_ms = 50;
    rig_start(rig);
    int client = client_connect(rig);
    client_end(rig, client);
    rig_until(rig, http_server_stats(rig->server).timeouts == 1);
}

static void what_is_no_tls_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    int client = client_connect(rig);
    client_send(rig, client, GET("/a"));
    client_end(rig, client);
    rig_until(rig, http_server_stats(rig->server).connections == 0);
    assert_int_equal(rig->heads, 0);
}

static void tls_1_1_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client client = tls_start(rig);
    SSL_set_security_level(client.ssl, 0);
    SSL_set_min_proto_version(client.ssl, TLS1_1_VERSION);
    SSL_set_max_proto_version(client.ssl, TLS1_1_VERSION);
    int result;
    tls_until(rig, &client, result, SSL_connect(client.ssl));
    assert_int_not_equal(result, 1);
    tls_free(&client);
}

static void a_reload_swaps_the_certificate_for_new_connections(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct tls_client old = tls_connect(rig);
    struct config plain = rig->config;
    plain.refs = 1;
    plain.tls_cert = plain.tls_key = NULL;
    assert_int_equal(http_server_prepare(rig->server, &plain, &rig->problems), 0);
    http_server_commit(rig->server, &plain);
    client_ask(rig, client_connect(rig), GET("/a"), 200);
    char head[1024];
    tls_send_text(rig, &old, GET("/a"));
    tls_receive_head(rig, &old, head, sizeof head);
    tls_free(&old);
    rig_start(rig);
    struct tls_client again = tls_connect(rig);
    tls_free(&again);
}

static void faulty_files_are_problems_that_say_what_is_wrong(void **state)
{
    struct rig *rig = *state;
    struct {
        const char *cert, *key, *key_path, *says;
    } rows[] = {
        {cert_file, other_key_file, "server.tls.key", "does not belong to the certificate"},
        {key_file, key_file, "server.tls.cert", "has no certificate in PEM form"},
        {cert_file, cert_file, "server.tls.key", "has no private key in PEM form"},
        {"/nonexistent/cert", key_file, "server.tls.cert", "/nonexistent/cert: No such file"},
        {cert_file, "/dev/zero", "server.tls.key", "must be a regular file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rig->config.tls_cert = rows[i].cert;
        rig->config.tls_key = rows[i].key;
        assert_int_equal(http_server_prepare(rig->server, &rig->config, &rig->problems), -1);
        assert_int_equal(rig->problems.len, i + 1);
        const char *text = rig->problems.list[i].text;
        assert_ptr_equal(strstr(text, rows[i].key_path), text);
        if (!strstr(text, rows[i].says))
            fail_msg("%s", text);
    }
    rig->config.tls_cert = cert_file;
    rig->config.tls_key = key_file;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(requests_are_answered_through_tls),
        TEST(large_bodies_pass_both_ways),
        TEST(much_that_waits_behind_a_pending_request_is_not_lost),
        TEST(a_client_that_ends_its_side_of_tls_is_answered),
        TEST(a_client_that_ends_its_side_of_tls_gets_the_rest_of_its_answer),
        TEST(a_client_that_leaves_is_seen_through_tls),
        TEST(the_end_of_a_stream_until_close_is_marked),
        TEST(a_handshake_has_a_deadline),
        TEST(what_is_no_tls_ends_the_connection),
        TEST(tls_1_1_is_refused),
        TEST(a_reload_swaps_the_certificate_for_new_connections),
        TEST(faulty_files_are_problems_that_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
