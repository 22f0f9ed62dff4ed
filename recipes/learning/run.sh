#!/usr/bin/env bash
# What makes a small CALM learn faster? Language models of the quickstart's size on the embedded book, at equal time.
#
#     recipes/learning/run.sh RUNS [SECONDS] [JOBS]
#     go run ./recipes/learning RUNS docs/learning
#
# trains every model of the list below for what SECONDS (45) of one undisturbed core are worth, JOBS (2) at a time, one
# thread each, and measures it on the whole held-out text (RUN/eval.json). Time is counted in steps, so that a busy machine
# changes nothing: a step's cost is measured once for each kind of model, beside the machine's own peak, and kept in
# RUNS/costs. What is there already is not made again; Ctrl-C and go on as you like.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:?where to put the runs} seconds=${2:-45} jobs=${3:-2}
mkdir -p "$runs/costs"
go build -o "$runs/calm" ./cmd/calm

readonly peak=97        # GFLOP/s of the undisturbed core that SECONDS are counted on: one Zen 3 core with AVX2
readonly samples=16     # a position of the final measurement, for K = 4; below it is 2
readonly seeds=(1 2 3)
readonly measurements=6 # a run, for the curves

# One line a model: K, then keys that differ from the preset.
models() {
	local k head w until
	for k in 4 2; do
		for head in energy flow; do
			for w in 0 0.5 2 4 16; do
				echo "$k model_type=$head token_loss_weight=$w"
				[[ $w == 0 ]] || echo "$k model_type=$head token_loss_weight=$w token_loss_until=0.67"
			done
		done
	done
	# What narrows the gap between what the backbone knows and what the head's samples show?
	for w in num_mlp_layers=2 num_mlp_layers=4 head_learning_rate=0.4 head_learning_rate=2.5 \
		num_samples=4 num_samples=16 num_samples=32 target_samples=8 mse_anchor=0.1 mse_anchor=1; do
		echo "4 model_type=energy token_loss_weight=4 $w"
	done
	for w in num_mlp_layers=2 num_mlp_layers=4 head_learning_rate=2.5 num_samples=2 num_samples=16; do
		echo "4 model_type=flow token_loss_weight=4 $w"
	done
	echo "4 model_type=energy token_loss_weight=0 init_embeddings=normal"
	echo "4 model_type=energy token_loss_weight=4 init_embeddings=normal"
}

sets() { for pair; do echo --set "$pair"; done; }
name() { tr ' =' '-_' <<<"K$*"; }

# cost K KEY=VALUE..: milliseconds a step on the core that seconds are counted on: the least of three measurements, between
# which others are made. The weight of a token loss costs nothing, its end does as much as its steps are fewer.
cost() {
	local k=$1 with without all="$*"
	shift
	if [[ $* == *token_loss_until=* ]]; then
		with=$(cost "$k" $(keep token_loss_until "$@")) without=$(cost "$k" $(keep token_loss "$@") token_loss_weight=0)
		awk -v a="$with" -v b="$without" -v u="${all##*token_loss_until=}" 'BEGIN {split(u, w, " "); printf "%.3f\n", a * w[1] + b * (1 - w[1])}'
		return
	fi
	sort -n "$runs/costs/$(kind "$k" "$@")" | head -1
}

# measure K KEY=VALUE..: adds a measurement of a step.
measure() {
	local k=$1 file
	file=$runs/costs/$(kind "$@")
	shift
	"$runs/calm" bench train --model lm --preset quickstart --threads 1 --seconds 2 --json --batch 4 --tokens 128 \
		--set patch_size="$k" --set latent_size=$((8 * k)) $(sets "$@") |
		sed -E 's/.*"ms_median":([0-9.]+).*"peak_gflops":([0-9.]+).*/\1 \2/' |
		awk -v peak=$peak '{printf "%.3f\n", $1 * $2 / peak}' >>"$file"
}

# kind is the name of what costs the same; keep drops keys that begin with a word.
kind() { name $(sed -E 's/token_loss_weight=(0\.5|2|16)/token_loss_weight=4/; s/ token_loss_until=[^ ]*//' <<<"$*"); }
keep() {
	local drop=$1
	shift
	for pair; do [[ $pair == $drop* ]] || echo "$pair"; done
}

# one K SEED KEY=VALUE..: trains and measures a model.
one() {
	local k=$1 seed=$2 dir steps
	shift 2
	dir=$runs/$(name "$k" "$@")-s$seed
	[[ ! -s $dir/eval.json ]] || return 0
	steps=$(awk -v s="$seconds" -v ms="$(cost "$k" "$@")" 'BEGIN {printf "%d", 1000 * s / ms}')
	if [[ -e $dir/config.json ]]; then
		"$runs/calm" train --resume "$dir" --threads 1 2>/dev/null
	else
		"$runs/calm" train lm --out "$dir" --ae "$runs/ae$k" --steps "$steps" --seed "$seed" --threads 1 $(sets "$@") \
			--set eval_steps=$((steps / measurements)) --set eval_blocks=256 --set save_steps=0 2>/dev/null
	fi
	"$runs/calm" eval "$dir" --threads 1 --samples $((k < 4 ? 2 : samples)) --json >"$dir/eval.new"
	mv "$dir/eval.new" "$dir/eval.json"
}

for k in 4 2; do
	[[ -e $runs/ae$k/model.safetensors ]] ||
		"$runs/calm" train ae --out "$runs/ae$k" --steps 700 --set patch_size=$k --set latent_size=$((8 * k))
done
# Costs first, one at a time: two jobs at once would share the machine's memory.
if [[ ! -e $runs/costs/done ]]; then
	rm -f "$runs"/costs/*
	for _ in 1 2 3; do
		models | while read -r keys; do kind $keys; done | sort -u >"$runs/costs/.kinds"
		models | while read -r k keys; do
			grep -qx "$(kind "$k" $keys)" "$runs/costs/.kinds" || continue
			sed -i "/^$(kind "$k" $keys)\$/d" "$runs/costs/.kinds"
			measure "$k" $(keep token_loss_until $keys) </dev/null
		done
	done
	touch "$runs/costs/done"
fi
export runs seconds peak samples measurements
export -f one cost kind keep name sets
for seed in "${seeds[@]}"; do
	models | while read -r k keys; do echo "$k $seed $keys"; done
done | xargs -P "$jobs" -d '\n' -I{} bash -euo pipefail -c 'one {}'
