// C helpers for MediaIO: cmsg macros.
#pragma once
