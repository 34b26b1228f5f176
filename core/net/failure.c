/* net/failure.c: says why a transfer failed, in a sentence that names the server and holds no secret.
 * Owns the mapping of curl's results to kinds of failure. */
#include "net/transfer.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

static bool refused(struct sbx_error *err, const char *name, const char *text)
{
    error_set(err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED, "%s: %s", name, text);
    return true;
}

static bool unavailable(struct sbx_error *err, const char *name, const char *text)
{
    error_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE, "%s: %s", name, text);
    return true;
}

/* The fault is ours: the server was not asked. */
static bool not_tried(struct sbx_error *err, const char *name, const char *text)
{
    error_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_INTERNAL, "%s: %s", name, text);
    return true;
}

static const char *errno_text(long number, const char *otherwise)
{
    const char *text = number > 0 ? strerrordesc_np((int)number) : NULL;
    return text ? text : otherwise;
}

/* TLS: curl's own words, which say what is wrong with a certificate. Trying again won't help. */
static bool untrusted(const struct client_transfer *t, struct sbx_error *err, enum sbx_error_kind kind)
{
    error_set(err, kind, SBX_CODE_BACKEND_UNAVAILABLE, "%s: %s", t->name,
              t->curl_says[0] ? t->curl_says : curl_easy_strerror(t->result));
    err->retryable = 0;
    return true;
}

static bool timed_out(const struct client_transfer *t, struct sbx_error *err)
{
    curl_off_t connected_us = 0;
    curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
    bool connected = connected_us > 0 || t->head_complete;
    uint32_t limit = t->timeout_ms && (connected || t->timeout_ms < t->connect_timeout_ms)
                         ? t->timeout_ms
                         : t->connect_timeout_ms;
    char within[48] = "in the time that was left";
    if (!t->cut_short || limit != t->timeout_ms)
        snprintf(within, sizeof within, "within %u ms", limit);
    error_set(err, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT,
              t->head_complete ? "%s: began to answer, but did not finish %s"
              : connected      ? "%s: took the request, but did not answer %s"
                               : "%s: no connection %s",
              t->name, within);
    return true;
}

/* CURLE_RECV_ERROR is the connection's failure, and also curl's name for a chunk that is none (RFC 9112,
 * section 7.1), which only its text tells apart; "chunked-encoding" in 7.88, "chunk hex-length" in 8.14. */
static bool receive_failed(const struct client_transfer *t, struct sbx_error *err)
{
    long number = 0;
    if (strstr(t->curl_says, "chunk"))
        return refused(err, t->name, "the answer has a malformed chunk");
    curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
    if (number <= 0 && strstr(t->curl_says, "alert")) /* the server does not want our certificate (TLS 1.3) */
        return untrusted(t, err, SBX_ERR_UNAVAILABLE);
    return unavailable(err, t->name, errno_text(number, "the connection failed"));
}

static bool curl_failed(const struct client_transfer *t, struct sbx_error *err)
{
    long number = t->socket_errno;
    switch (t->result) {
    case CURLE_OK: /* also when the head was cut off */
        return t->head_complete
                   ? false
                   : unavailable(err, t->name, "closed the connection in the middle of its answer");
    case CURLE_OPERATION_TIMEDOUT: return timed_out(t, err);
    case CURLE_COULDNT_CONNECT:
        if (number)
            return not_tried(err, t->name, errno_text(number, "no socket can be made"));
        curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
        return unavailable(err, t->name, errno_text(number, "no connection can be made"));
    case CURLE_GOT_NOTHING: return unavailable(err, t->name, "closed the connection without an answer");
    case CURLE_PARTIAL_FILE:
        return unavailable(err, t->name, "closed the connection in the middle of its answer");
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return receive_failed(t, err);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS: return untrusted(t, err, SBX_ERR_UNAVAILABLE);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM: return untrusted(t, err, SBX_ERR_INVALID);
    case CURLE_SSL_CONNECT_ERROR:
        return unavailable(err, t->name, t->curl_says[0] ? t->curl_says : "the TLS handshake failed");
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING: return refused(err, t->name, "what it answers is not valid HTTP");
    case CURLE_URL_MALFORMAT:
        error_set(err, SBX_ERR_INVALID, "INVALID_REQUEST", "the URL is not valid");
        return true;
    default: return unavailable(err, t->name, curl_easy_strerror(t->result));
    }
}

bool transfer_failure(const struct client_transfer *t, struct sbx_error *err)
{
    switch (t->failure) {
    case FAILURE_NONE: return curl_failed(t, err);
    case FAILURE_LOOKUP:
        error_set(err, SBX_ERR_UNAVAILABLE, SBX_CODE_BACKEND_UNAVAILABLE,
                  "%s: the name can't be resolved: %s", t->name, t->why);
        return true;
    case FAILURE_LOOKUP_TIMEOUT:
        error_set(err, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT, "%s: the name was not resolved in time",
                  t->name);
        return true;
    case FAILURE_START: return not_tried(err, t->name, "no memory for a request");
    case FAILURE_HEAD_TOO_LARGE: return refused(err, t->name, "the head of its answer is over 64 KiB");
    case FAILURE_BODY_TOO_LARGE:
        error_set(err, SBX_ERR_REFUSED, SBX_CODE_BACKEND_REFUSED,
                  "%s: its answer is larger than the %zu bytes allowed", t->name, t->max_body);
        return true;
    case FAILURE_IDLE:
        error_set(err, SBX_ERR_TIMEOUT, SBX_CODE_BACKEND_TIMEOUT, "%s: sent nothing for %u ms", t->name,
                  t->idle_timeout_ms);
        return true;
    }
    return false;
}
