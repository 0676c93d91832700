#!/bin/sh
# Makes speech.ul, the recording behind media.Speech: needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")"
wav=$(mktemp --suffix=.wav)
trap 'rm -f "$wav"' EXIT
espeak-ng -v en-us+klatt2 -s 140 -w "$wav" "There is smoke in the kitchen. \
My address is seven hundred twenty Maple Street, second floor. \
Two people are still inside, and one cannot walk. \
Please send the fire department."
sox "$wav" -r 8000 -c 1 -e mu-law -t raw speech.ul norm -6
