#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run by the server for each finished record of several streams, such as a room: mixes it.
#   on_multiple_record_hook.sh FILE CREATED DURATION URI      (CREATED: ms since 1970, DURATION: ms)
# One record at a time, and only with what time live streams leave. Where the server died meanwhile, its next start runs this again: a
# record that has been mixed by then is left. What is said here goes to the server's log.
here=$(dirname -- "$(readlink -f -- "$0")")
if [ ! -e "$1" ]; then
  echo "There is no file to mix: $1" >&2
  exit 64
fi
exec flock -- "$(dirname -- "$1")" sh -c '[ "$0" -nt "$2" ] || exec nice -n 10 "$@"' "${1%.*}-mixed.mp4" "$here/offline_mixer_tool.sh" "$@"
