#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mixes a record of several streams into one picture and one sound, by conf/offline_mixer.json.
#   offline_mixer_tool.sh FILE [CREATED DURATION URI]
# Exit codes: 0 done, 64 the file, 65 the settings, 70 a codec or font is missing, 73 the result can't be written.
home=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")

# That of the working directory goes before the one that came with the server.
config=conf/offline_mixer.json
[ -e "$config" ] || config=$home/conf/offline_mixer.json

# The server says which program it is; otherwise that of the source tree, of an installation, or of the path.
for program in "$MARTLET" "$home/.build/release/martlet" "$home/../../bin/martlet" "$(command -v martlet)"; do
  [ -n "$program" ] && [ -x "$program" ] && exec "$program" mix --config "$config" "$@"
done
echo "The program martlet is not found; put it on the PATH or its path into MARTLET." >&2
exit 70
