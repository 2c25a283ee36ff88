// SPDX-License-Identifier: Apache-2.0
// FFmpeg for Swift. Macros that Swift can't import are wrapped here.
#pragma once
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

/// AVERROR_EOF: a decoder, encoder or file has nothing more to give.
static const int martlet_ff_error_eof = AVERROR_EOF;
/// AVERROR(EAGAIN): more input is needed first.
static const int martlet_ff_error_again = AVERROR(EAGAIN);
/// AV_NOPTS_VALUE: the time is not known.
static const int64_t martlet_ff_no_timestamp = AV_NOPTS_VALUE;
