#!/usr/bin/env bash
# Which sampler, and how many draws, write the best text at equal diversity? Language models of the quickstart's size on the
# embedded book, and the token-level baseline as their judge.
#
#     recipes/temperature/run.sh RUNS [OUT]
#
# trains in RUNS two judges (bytes, and a BPE vocabulary), four autoencoders (K = 2 and 4) and eight language models (energy and
# flow head). Each writes texts with every sampler. The results go to OUT (docs/temperature): results.csv, table.md and plots.
# What is finished is not made again: you can stop with Ctrl-C and start again. The variables below change how long it takes.
set -euo pipefail

: "${JUDGE_MINUTES:=30}" # training of a judge
: "${JUDGE_PARTS:=3}"    # parts of that time; the judge is measured after each, and the best one judges
: "${AE_MINUTES:=1.5}"   # training of an autoencoder of bytes; of BPE tokens twice as much
: "${LM_MINUTES:=5}"     # training of a language model
: "${VOCAB:=2048}"       # tokens of the BPE vocabulary
: "${THREADS:=1}"
: "${TEXTS:=64}"         # texts of each setting
: "${BYTES:=64}"         # bytes of each text; with a prompt of at most 59 the context of the presets is full
: "${VOCABULARIES:=bytes bpe}"
: "${PATCHES:=4 2}"      # K
: "${HEADS:=flow energy}"

# tokenizer VOCABULARY: what --tokenizer takes.
tokenizer() { if [[ $1 == bytes ]]; then echo bytes; else echo "$runs/bpe.json"; fi; }

# train KIND DIR FLAG..: trains a run, or continues it. A finished run is left as it is.
train() {
	local kind=$1 dir=$2
	shift 2
	if [[ -e $dir/config.json ]]; then
		"$runs/calm" train --resume "$dir" --threads "$THREADS"
	else
		"$runs/calm" train "$kind" --out "$dir" --threads "$THREADS" --set eval_steps=0 --set save_steps=500 "$@"
	fi
}

# judge VOCABULARY: trains the baseline part by part, and keeps in judge-VOCABULARY/run the one with the lowest cross entropy on
# held-out text. The file parts has the cross entropy after each part. It ends early when a part made it worse: more training
# would only learn the book by heart.
judge() {
	local vocabulary=$1 dir=$runs/judge-$1 minutes entropy parts
	minutes=$(awk -v m="$JUDGE_MINUTES" -v n="$JUDGE_PARTS" 'BEGIN {print m / n}')
	mkdir -p "$dir"
	touch "$dir/parts"
	while true; do
		parts=$(wc -l <"$dir/parts")
		((parts < JUDGE_PARTS)) || return 0
		((parts == 0)) || [[ $(tail -1 "$dir/parts") == $(sort -g "$dir/parts" | head -1) ]] || return 0
		if ((parts == 0)) || [[ -e $dir/unfinished ]]; then # begin, or continue a part that was interrupted
			train ar "$dir/training" --preset quickstart --tokenizer "$(tokenizer "$vocabulary")" --minutes "$minutes" \
				--set learning_rate=2e-3 --set batch_size=2
		else
			touch "$dir/unfinished"
			"$runs/calm" train --resume "$dir/training" --threads "$THREADS" --minutes "$minutes"
		fi
		entropy=$("$runs/calm" eval "$dir/training" --threads "$THREADS" --json | sed -E 's/.*"cross_entropy":([0-9.]+).*/\1/')
		echo "$entropy" >>"$dir/parts"
		rm -f "$dir/unfinished"
		if [[ $entropy == $(sort -g "$dir/parts" | head -1) ]]; then
			rm -rf "$dir/run"
			cp -r "$dir/training" "$dir/run"
		fi
	done
}

# autoencoder VOCABULARY K: trains one, again and again until it reconstructs 98 % of the held-out tokens. On a busy machine the
# minutes may be worth few steps, and a language model over a poor autoencoder measures nothing.
autoencoder() {
	local vocabulary=$1 k=$2 dir=$runs/ae-$1-$2 minutes=$AE_MINUTES z=$((8 * $2)) accuracy
	[[ $vocabulary == bytes ]] || minutes=$(awk -v m="$minutes" 'BEGIN {print 2 * m}') z=$((16 * k))
	train ae "$dir" --tokenizer "$(tokenizer "$vocabulary")" --minutes "$minutes" --set patch_size="$k" --set latent_size="$z"
	for _ in 1 2 3 4 5 6; do
		accuracy=$("$runs/calm" eval "$dir" --threads "$THREADS" --json | grep -o '"accuracy":[0-9.]*' | head -1)
		awk -v a="${accuracy#*:}" 'BEGIN {exit a < .98}' && return 0
		"$runs/calm" train --resume "$dir" --threads "$THREADS" --minutes "$minutes"
	done
	echo "run.sh: $dir does not learn to reconstruct: $accuracy; raise AE_MINUTES" >&2
	return 1
}

# model VOCABULARY K HEAD.
model() {
	local preset=quickstart
	[[ $3 == energy ]] || preset=quickstart-$3
	train lm "$runs/lm-$1-$2-$3" --ae "$runs/ae-$1-$2" --preset "$preset" --minutes "$LM_MINUTES"
}

# write RUN: writes texts with every sampler.
write() { "$runs/temperature" write --texts "$TEXTS" --bytes "$BYTES" --threads "$THREADS" "$1"; }

main() {
	cd "$(dirname "$0")/../.."
	runs=${1:?where to put the runs}
	local out=${2:-docs/temperature} judges=() v k h texts
	mkdir -p "$runs"
	go build -o "$runs/calm" ./cmd/calm
	go build -o "$runs/temperature" ./recipes/temperature
	[[ -e $runs/bpe.json ]] || "$runs/calm" tokenizer train --out "$runs/bpe.json" --vocab "$VOCAB"
	for v in $VOCABULARIES; do
		judge "$v"
		judges+=(--judge "$runs/judge-$v/run")
		write "$runs/judge-$v/run"
		for k in $PATCHES; do
			autoencoder "$v" "$k"
			for h in $HEADS; do
				model "$v" "$k" "$h"
				write "$runs/lm-$v-$k-$h"
			done
		done
	done
	for texts in "$runs"/*/texts.jsonl "$runs"/*/run/texts.jsonl; do
		"$runs/temperature" judge "${judges[@]}" --threads "$THREADS" "${texts%/*}"
	done
	"$runs/temperature" report "$runs" "$out"
}

main "$@"
exit
