/* http/tls.c: see tls.h. */
#include "http/tls.h"

#include "base/buffer.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PEM_FILE_MAX = 1024 * 1024 };

struct loading {
    const struct config *config;
    struct config_problems *problems;
};

static void complain(const struct loading *loading, const char *key, const char *file, const char *what)
{
    unsigned line, column;
    config_position(loading->config, key, &line, &column);
    config_problem_add(loading->problems, false, line, column, key, "%s: %s", file, what);
}

/* Only regular files: a FIFO or a device could hold up the loop. NULL: a problem was added. */
static BIO *read_file(const struct loading *loading, const char *file, const char *key)
{
    struct buffer content = buffer_init(PEM_FILE_MAX);
    const char *what = NULL;
    BIO *bio = NULL;
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) < 0)
        what = strerrordesc_np(errno);
    else if (!S_ISREG(stat.st_mode))
        what = "must be a regular file";
    while (!what) {
        char bytes[4096];
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            what = strerrordesc_np(errno);
        else if (got > 0 && buffer_add(&content, bytes, (size_t)got) < 0)
            what = "is over 1 MiB: not a PEM file";
        OPENSSL_cleanse(bytes, sizeof bytes);
    }
    if (what)
        complain(loading, key, file, what);
    else {
        bio = BIO_new(BIO_s_secmem());
        if (content.len > 0)
            BIO_write(bio, content.data, (int)content.len);
    }
    if (content.data)
        OPENSSL_cleanse(content.data, content.capacity);
    buffer_finish(&content);
    if (fd >= 0)
        close(fd);
    return bio;
}

/* Without one, OpenSSL would ask on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

/* The server's certificate, then those of the authorities up to the root. */
static bool use_certificates(SSL_CTX *tls, BIO *bio)
{
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
    bool ok = certificate && SSL_CTX_use_certificate(tls, certificate) == 1;
    X509_free(certificate);
    X509 *authority;
    while (ok && (authority = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
        ok = SSL_CTX_add0_chain_cert(tls, authority) == 1;
        if (!ok)
            X509_free(authority);
    }
    return ok;
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl, (void)arg;
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found;
    if (SSL_select_next_proto(&found, out_len, ours, sizeof ours - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *tls_load(const struct config *config, struct config_problems *problems)
{
    struct loading loading = {.config = config, .problems = problems};
    const char *cert_file = config->tls_cert, *key_file = config->tls_key;
    size_t before = problems->errors;
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls)
        abort();
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS); /* 34 KiB less for each idle connection */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(tls, select_protocol, NULL);

    BIO *cert = read_file(&loading, cert_file, "server.tls.cert");
    BIO *key = read_file(&loading, key_file, "server.tls.key");
    if (cert && !use_certificates(tls, cert))
        complain(&loading, "server.tls.cert", cert_file,
                 "has no certificate in PEM form that may be used; its first must be the server's own");
    if (key) {
        EVP_PKEY *private_key = PEM_read_bio_PrivateKey(key, NULL, no_passphrase, NULL);
        if (!private_key)
            complain(&loading, "server.tls.key", key_file,
                     "has no private key in PEM form, or one with a passphrase; it must have none");
        else if (cert && problems->errors == before && SSL_CTX_use_PrivateKey(tls, private_key) != 1)
            complain(&loading, "server.tls.key", key_file, "does not belong to the certificate");
        EVP_PKEY_free(private_key);
    }
    BIO_free(cert);
    BIO_free(key);
    ERR_clear_error();
    if (problems->errors > before) {
        SSL_CTX_free(tls);
        return NULL;
    }
    return tls;
}
