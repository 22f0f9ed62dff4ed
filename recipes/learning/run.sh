#!/usr/bin/env bash
# What makes a small CALM learn faster? Language models of the quickstart's size on the embedded book, at equal time.
#
#     recipes/learning/run.sh RUNS [SECONDS] [JOBS]
#     go run ./recipes/learning RUNS docs/learning
#
# trains every model of the list below for the equivalent of SECONDS (45) of one idle core, JOBS (2) models at a time, with one
# thread each. It measures each model on the whole held-out text (RUN/eval.json). The time is converted into a number of steps,
# so a busy machine does not change the result: the cost of a step is measured once for each kind of model, relative to the
# machine's peak, and saved in RUNS/costs. Finished runs are not made again: you can stop with Ctrl-C and start again.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:?where to put the runs} seconds=${2:-45} jobs=${3:-2}
mkdir -p "$runs/costs"
go build -o "$runs/calm" ./cmd/calm

readonly peak=97        # peak, in GFLOP/s, of the core that SECONDS refer to: one Zen 3 core with AVX2
readonly samples=16     # samples at each position in the final measurement, for K = 4; 2 for smaller K
readonly seeds=(1 2 3)
readonly measurements=6 # measurements during a training, for the curves

# One line for each model: K, then the keys that differ from the preset.
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
	# Which settings bring the Brier-1 of the head's samples closer to that of the backbone's token heads?
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

# cost K KEY=VALUE..: milliseconds of a step on the core that SECONDS refer to. It is the minimum of three measurements, with
# measurements of other models between them. The weight of the token loss does not change the cost. With an end of the token
# loss, the cost is the mean over steps with and without it.
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

# kind K KEY=VALUE..: one name for all models with the same cost. keep WORD KEY=VALUE..: the keys that do not begin with WORD.
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
# The costs are measured first, one at a time: two jobs at once would compete for the machine's memory.
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
