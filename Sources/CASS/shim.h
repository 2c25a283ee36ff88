// SPDX-License-Identifier: Apache-2.0
// libass for Swift: text in any script as bitmaps (FreeType, HarfBuzz, FriBidi, fonts by fontconfig).
#pragma once
#include <ass/ass.h>

static inline void martlet_ass_say_nothing(int level, const char *format, va_list arguments, void *data) {
    (void)level, (void)format, (void)arguments, (void)data;
}

/// libass writes to the standard error otherwise.
static inline void martlet_ass_silence(ASS_Library *library) {
    ass_set_message_cb(library, martlet_ass_say_nothing, 0);
}
