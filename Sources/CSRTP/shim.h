// SPDX-License-Identifier: Apache-2.0
// libsrtp2, used by tests only: the judge of our own SRTP.
#pragma once
#include <srtp2/srtp.h>
