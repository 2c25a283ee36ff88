// SPDX-License-Identifier: Apache-2.0
// OpenSSL for Swift. Macros that Swift can't import are wrapped in static inline functions here.
#pragma once
// The one deprecated thing in use is the low-level SHA1_* API: see Sources/SRTP/SHA1Authenticator.swift for why.
#ifndef OPENSSL_SUPPRESS_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#endif
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/srtp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/time.h>

#include "aead.h"

// MARK: Keys

/// A new P-256 key pair, NULL on failure.
static inline EVP_PKEY *martlet_generate_p256(void) { return EVP_EC_gen("P-256"); }

// MARK: DTLS contexts

/// DTLS 1.2 only, no tickets, no renegotiation, no session cache, MTU given by us.
static inline int martlet_dtls_context_defaults(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_QUERY_MTU
                                 | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(context, 32 * 1024);
    // Our records are no longer than a datagram: a write buffer of 16 KiB would be kept through each handshake.
    SSL_CTX_set_max_send_fragment(context, 2048);
    return SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION)
        && SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION);
}

static inline void martlet_dtls_set_mtu(SSL *ssl, long mtu) { SSL_set_mtu(ssl, mtu); }
static inline void martlet_bio_empty_means_retry(BIO *bio) { BIO_set_mem_eof_return(bio, -1); }
static inline void martlet_bio_discard(BIO *bio) { (void)BIO_reset(bio); }

// MARK: DTLS retransmission timer
//
// OpenSSL retransmits by the wall clock and offers no way to inject another one. A handshake that is driven by the
// caller's clock (and tested faster than real time) needs both halves replaced: the timer must never expire by itself,
// and it must expire when we say so. A tiny timeout is no answer: dtls1_read_bytes() retransmits in a loop for as long
// as the timer is expired (anything under 15 ms counts) and gives up after 12 rounds.
// OpenSSL 3.0 and 3.1 announce each change of the timer by BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT, whose argument points to the
// timer itself, which lives as long as the SSL object. We note that address and set the time to "long ago" for a forced
// retransmission. Later versions pass a temporary copy; there the timer keeps running by the wall clock, with the same
// intervals, and a forced retransmission before its time does nothing.

typedef struct {
    struct timeval *next; // OpenSSL's own expiry time; NULL until known, always NULL from OpenSSL 3.2 on
    unsigned flights;     // counts the flights begun, so that the owner can restart its back-off
    int owned;            // whether `next` may be written
} martlet_dtls_timer;

static inline long martlet_dtls_timer_watch(BIO *bio, int operation, const char *argument, size_t length, int command,
                                            long number, int result, size_t *processed) {
    (void)length; (void)number; (void)processed;
    if (operation == BIO_CB_CTRL && command == BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT) {
        martlet_dtls_timer *timer = (martlet_dtls_timer *)BIO_get_callback_arg(bio);
        if (timer && timer->owned) timer->next = (struct timeval *)(void *)argument;
    }
    return result;
}

static inline unsigned martlet_dtls_timer_interval(SSL *ssl, unsigned previous) {
    martlet_dtls_timer *timer = (martlet_dtls_timer *)BIO_get_callback_arg(SSL_get_rbio(ssl));
    if (timer && previous == 0) timer->flights++;
    if (timer && timer->owned) return 4000u * 1000000u; // never by itself
    if (previous == 0) return 50000u;
    return previous >= 800000u ? 1600000u : previous * 2;
}

/// Hands the timer of `ssl`, whose memory read BIO is `incoming`, to us. Free with martlet_dtls_timer_free after SSL_free.
static inline martlet_dtls_timer *martlet_dtls_timer_install(SSL *ssl, BIO *incoming) {
    martlet_dtls_timer *timer = (martlet_dtls_timer *)calloc(1, sizeof *timer);
    if (!timer) return NULL;
#if OPENSSL_VERSION_NUMBER < 0x30200000L
    timer->owned = OpenSSL_version_num() < 0x30200000L;
#endif
    BIO_set_callback_ex(incoming, martlet_dtls_timer_watch);
    BIO_set_callback_arg(incoming, (char *)timer);
    DTLS_set_timer_cb(ssl, martlet_dtls_timer_interval);
    return timer;
}
static inline void martlet_dtls_timer_free(martlet_dtls_timer *timer) { free(timer); }

/// Whether a flight is waiting for its answer.
static inline int martlet_dtls_timer_running(SSL *ssl) {
    struct timeval left;
    return DTLSv1_get_timeout(ssl, &left) == 1;
}

/// Retransmits the last flight now. 1 = done, 0 = not yet (OpenSSL >= 3.2 only), < 0 = given up.
static inline long martlet_dtls_retransmit(SSL *ssl, martlet_dtls_timer *timer) {
    if (timer->owned && timer->next && (timer->next->tv_sec || timer->next->tv_usec)) {
        timer->next->tv_sec = 1;
        timer->next->tv_usec = 0;
    }
    return DTLSv1_handle_timeout(ssl);
}

// MARK: DTLS records after the handshake

/// The record keys of an established AES-GCM association (RFC 5246 §6.3, RFC 5288): client key, server key, client salt (4),
/// server salt (4). Returns the length of a key, or 0 when the cipher is another one or OpenSSL won't tell.
static inline int martlet_dtls_record_keys(SSL *ssl, uint8_t block[72]) {
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    int nid = cipher ? SSL_CIPHER_get_cipher_nid(cipher) : NID_undef;
    size_t key = nid == NID_aes_128_gcm ? 16 : nid == NID_aes_256_gcm ? 32 : 0;
    const EVP_MD *digest = key ? SSL_CIPHER_get_handshake_digest(cipher) : NULL;
    const SSL_SESSION *session = SSL_get0_session(ssl);
    if (!key || !digest || !session) return 0;
    uint8_t master[48], randoms[64];
    size_t length = SSL_SESSION_get_master_key(session, master, sizeof master);
    if (SSL_get_server_random(ssl, randoms, 32) != 32 || SSL_get_client_random(ssl, randoms + 32, 32) != 32) return 0;
    EVP_KDF *prf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = prf ? EVP_KDF_CTX_new(prf) : NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)EVP_MD_get0_name(digest), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, length),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)"key expansion", 13),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, randoms, sizeof randoms),
        OSSL_PARAM_construct_end(),
    };
    int done = context && EVP_KDF_derive(context, block, 2 * key + 8, parameters) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(prf);
    OPENSSL_cleanse(master, sizeof master);
    return done ? (int)key : 0;
}
