// libsrtp2, used by tests only: the judge of our own SRTP.
#pragma once
#include <srtp2/srtp.h>
