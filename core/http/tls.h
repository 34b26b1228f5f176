/* http/tls.h: the TLS side of a configuration: certificate and key, and what is negotiated. */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "config/config.h"

#include <openssl/ssl.h>

/* For a configuration with certificate and key. TLS 1.2 or newer, ALPN "http/1.1". NULL: problems were added under server.tls. The caller frees it. */
SSL_CTX *tls_load(const struct config *config, struct config_problems *problems);

#endif
