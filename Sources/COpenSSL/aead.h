// SPDX-License-Identifier: Apache-2.0
// AES-GCM for packets: the functions of OpenSSL's cipher provider (provider-cipher(7)), called without EVP in between.
// EVP asks the provider for the IV length, by name, each time it is given an IV, and has no short way to the tag: 60 ns of
// the 410 ns that a packet of 1100 bytes takes. Used by Sources/SRTP/PacketCipher.swift; included by shim.h.
#pragma once
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MARTLET_AEAD_IV = 12, MARTLET_AEAD_TAG = 16 };

/// A keyed AES-GCM in one direction.
typedef struct {
    EVP_CIPHER *cipher; // keeps the provider loaded
    void *context;
    OSSL_FUNC_cipher_encrypt_init_fn *init; // or decrypt_init: they have the same type
    OSSL_FUNC_cipher_update_fn *update;
    OSSL_FUNC_cipher_final_fn *final;
    OSSL_FUNC_cipher_get_ctx_params_fn *get_parameters;
    OSSL_FUNC_cipher_set_ctx_params_fn *set_parameters;
    OSSL_FUNC_cipher_freectx_fn *free_context;
} martlet_aead;

static inline void martlet_aead_free(martlet_aead *aead) {
    if (!aead) return;
    if (aead->context && aead->free_context) aead->free_context(aead->context); // wipes the key
    EVP_CIPHER_free(aead->cipher);
    free(aead);
}

/// The implementation of `cipher` among its provider's algorithms, NULL when there is none.
static inline const OSSL_DISPATCH *martlet_aead_dispatch(const EVP_CIPHER *cipher) {
    int no_cache = 0;
    const OSSL_ALGORITHM *algorithm =
        OSSL_PROVIDER_query_operation(EVP_CIPHER_get0_provider(cipher), OSSL_OP_CIPHER, &no_cache);
    for (; algorithm && algorithm->algorithm_names; algorithm++) {
        // "AES-128-GCM:id-aes128-GCM:2.16.840…": the first of the names is enough to tell.
        const char *names = algorithm->algorithm_names, *end = strchr(names, ':');
        char name[64];
        size_t length = end ? (size_t)(end - names) : strlen(names);
        if (length >= sizeof name) continue;
        memcpy(name, names, length);
        name[length] = 0;
        if (EVP_CIPHER_is_a(cipher, name)) return algorithm->implementation;
    }
    return NULL;
}

/// `name` is "AES-128-GCM" or "AES-256-GCM"; NULL on failure.
static inline martlet_aead *martlet_aead_new(const char *name, const uint8_t *key, size_t key_length, int encrypting) {
    martlet_aead *aead = (martlet_aead *)calloc(1, sizeof *aead);
    if (!aead) return NULL;
    aead->cipher = EVP_CIPHER_fetch(NULL, name, NULL);
    const OSSL_DISPATCH *entry = aead->cipher ? martlet_aead_dispatch(aead->cipher) : NULL;
    OSSL_FUNC_cipher_newctx_fn *new_context = NULL;
    for (; entry && entry->function_id; entry++) {
        switch (entry->function_id) {
        case OSSL_FUNC_CIPHER_NEWCTX: new_context = OSSL_FUNC_cipher_newctx(entry); break;
        case OSSL_FUNC_CIPHER_FREECTX: aead->free_context = OSSL_FUNC_cipher_freectx(entry); break;
        case OSSL_FUNC_CIPHER_ENCRYPT_INIT: if (encrypting) aead->init = OSSL_FUNC_cipher_encrypt_init(entry); break;
        case OSSL_FUNC_CIPHER_DECRYPT_INIT: if (!encrypting) aead->init = OSSL_FUNC_cipher_decrypt_init(entry); break;
        case OSSL_FUNC_CIPHER_UPDATE: aead->update = OSSL_FUNC_cipher_update(entry); break;
        case OSSL_FUNC_CIPHER_FINAL: aead->final = OSSL_FUNC_cipher_final(entry); break;
        case OSSL_FUNC_CIPHER_GET_CTX_PARAMS: aead->get_parameters = OSSL_FUNC_cipher_get_ctx_params(entry); break;
        case OSSL_FUNC_CIPHER_SET_CTX_PARAMS: aead->set_parameters = OSSL_FUNC_cipher_set_ctx_params(entry); break;
        default: break;
        }
    }
    if (new_context && aead->free_context && aead->init && aead->update && aead->final && aead->get_parameters
        && aead->set_parameters) {
        aead->context = new_context(OSSL_PROVIDER_get0_provider_ctx(EVP_CIPHER_get0_provider(aead->cipher)));
        if (aead->context && aead->init(aead->context, key, key_length, NULL, 0, NULL) == 1) return aead;
    }
    martlet_aead_free(aead);
    return NULL;
}

/// IV and associated data of a packet; `second` (4 bytes) may be NULL. 1 on success.
static inline int martlet_aead_begin(
    martlet_aead *aead, const uint8_t *iv, const void *associated, size_t associated_length, const void *second) {
    size_t written;
    return aead->init(aead->context, NULL, 0, iv, MARTLET_AEAD_IV, NULL) == 1
        && aead->update(aead->context, NULL, &written, associated_length, (const unsigned char *)associated, associated_length) == 1
        && (!second || aead->update(aead->context, NULL, &written, 4, (const unsigned char *)second, 4) == 1);
}

/// Encrypts `length` bytes from `input` to `output` (may be the same) and writes the tag. 1 on success.
static inline int martlet_aead_seal(
    martlet_aead *aead, const uint8_t *iv, const void *associated, size_t associated_length, const void *second,
    const void *input, size_t length, void *output, void *tag) {
    unsigned char unused[MARTLET_AEAD_TAG];
    size_t written;
    OSSL_PARAM parameters[2] = {
        { OSSL_CIPHER_PARAM_AEAD_TAG, OSSL_PARAM_OCTET_STRING, tag, MARTLET_AEAD_TAG, OSSL_PARAM_UNMODIFIED },
        { NULL, 0, NULL, 0, 0 },
    };
    return martlet_aead_begin(aead, iv, associated, associated_length, second)
        && (length == 0
            || aead->update(aead->context, (unsigned char *)output, &written, length, (const unsigned char *)input, length) == 1)
        && aead->final(aead->context, unused, &written, sizeof unused) == 1
        && aead->get_parameters(aead->context, parameters) == 1;
}

/// Decrypts `length` bytes in place; 1 when the tag fits, and otherwise the bytes are garbage.
static inline int martlet_aead_open(
    martlet_aead *aead, const uint8_t *iv, const void *associated, size_t associated_length, const void *second,
    void *bytes, size_t length, void *tag) {
    unsigned char unused[MARTLET_AEAD_TAG];
    size_t written;
    OSSL_PARAM parameters[2] = {
        { OSSL_CIPHER_PARAM_AEAD_TAG, OSSL_PARAM_OCTET_STRING, tag, MARTLET_AEAD_TAG, OSSL_PARAM_UNMODIFIED },
        { NULL, 0, NULL, 0, 0 },
    };
    return martlet_aead_begin(aead, iv, associated, associated_length, second)
        && (length == 0
            || aead->update(aead->context, (unsigned char *)bytes, &written, length, (const unsigned char *)bytes, length) == 1)
        && aead->set_parameters(aead->context, parameters) == 1
        && aead->final(aead->context, unused, &written, sizeof unused) == 1;
}
