#!/usr/bin/env bash
# Attacks the command calm for some minutes and counts what it survives:
#
#     recipes/hostile/run.sh [MINUTES]
#
# Signals at random moments, full disks, damaged files, too little memory, a hub that lies; every command that makes or reads files. Each
# round has a seed, which is printed when something fails. SEED=N begins with that seed, and ONLY=NAME makes only one kind of attack.
# The table at the end goes into docs/reliability.md. The exit status is 1 if a round failed.
#
# As root, full disks are also small file systems (tmpfs); otherwise only a limit on the size of files.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'umount "$work"/soak/disk 2>/dev/null || true; rm -rf "$work"' EXIT
go build -o "$work/calm" ./cmd/calm
go build -o "$work/hostile" ./recipes/hostile
"$work/hostile" -calm "$work/calm" -work "$work/soak" -minutes "${1:-10}" -seed "${SEED:-0}" -only "${ONLY:-}"
