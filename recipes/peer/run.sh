#!/usr/bin/env bash
# How fast is calm beside PyTorch? The same training steps, measured in turns on one machine and as many threads.
#
#     recipes/peer/run.sh [PRESET...]
#
# measures lm-bytes, ae-bytes, lm-proto, ae-proto, calm-m and ae-official, or the presets that are named, and prints a ratio
# for each with both times, the processor's name and the load. calm-m and ae-official take 8 GB of memory. The first run
# makes a virtual environment with PyTorch (several GB). peer.py says what the PyTorch program does.
#
# Variables: THREADS (all processors), ROUNDS (3) of SECONDS_EACH (3) for each program and preset, GENERATE=1 to measure writing
# with the language models too, COMPILE=1 for torch.compile, OUT (peer-results) for the results: peer.json,
# calm.json and report.json. PYTHON (python3) makes the virtual environment in VENV (OUT/venv).
#
# On a busy machine take THREADS=1: PyTorch's threads spin while they wait for each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
presets=(lm-bytes ae-bytes lm-proto ae-proto calm-m ae-official)
threads=${THREADS:-$(getconf _NPROCESSORS_ONLN)} rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-3} out=${OUT:-peer-results}
venv=${VENV:-$out/venv}
options=(--threads "$threads" --seconds "$seconds")

known() {
	local preset
	for preset in "${presets[@]}"; do
		[[ $preset == "$1" ]] && return
	done
	echo "run.sh: there is no preset $1: have ${presets[*]}" >&2
	exit 2
}

for preset; do known "$preset"; done
[[ $# -eq 0 ]] || presets=("$@")

mkdir -p "$out"
[[ -x $venv/bin/python ]] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
(cd "$here/../.." && go build -o "$here/../../bin/calm" ./cmd/calm)
calm=$here/../../bin/calm
export PYTHONDONTWRITEBYTECODE=1
peer() { "$venv/bin/python" "$here/peer.py" "${options[@]}" "$@"; }

"$venv/bin/python" "$here/peer.py" --check "$here/../../testdata/golden" | tail -1
: >"$out/peer.json"
: >"$out/calm.json"
for preset in "${presets[@]}"; do
	for ((round = 1; round <= rounds; round++)); do
		echo "$preset, round $round of $rounds" >&2
		peer --preset "$preset" ${COMPILE:+--compile} >>"$out/peer.json"
		"$calm" bench train --preset "$preset" "${options[@]}" --json >>"$out/calm.json"
		if [[ ${GENERATE:-} && $preset != ae-* ]]; then
			peer --preset "$preset" --generate >>"$out/peer.json"
			"$calm" bench generate --preset "$preset" "${options[@]}" --json >>"$out/calm.json"
		fi
	done
done
"$venv/bin/python" "$here/report.py" "$out"
