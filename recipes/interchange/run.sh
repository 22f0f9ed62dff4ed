#!/usr/bin/env bash
# Do models go to the PyTorch reference and back? Every kind of model and every head, in both directions.
#
#     git clone https://github.com/shaochenze/calm reference
#     recipes/interchange/run.sh reference
#
# makes tiny runs with calm (an autoencoder, a language model with each head, the baseline), and for each of them
#
# 1. exports it, and loads the export with the reference's from_pretrained: no tensor may be missing or surplus;
# 2. compares what both compute from the same ids and noise, and how both encode texts;
# 3. trains it for twenty steps with the reference's code, and saves it as the reference does;
# 4. imports that, and compares again.
#
# It prints a row for each run, and ends with status 1 if something differs. It takes some minutes. The first run makes a virtual
# environment with PyTorch and transformers (several GB).
#
# Variables: OUT (interchange-results) for all files, TOKENIZER (bytes) as calm train takes it, PATCH (4) for the patch size. PYTHON
# (python3) makes the virtual environment in VENV (OUT/venv), with the packages of REQUIREMENTS (requirements.txt beside this
# file); SKIP_INSTALL=1 takes VENV as it is.
set -euo pipefail
if [[ $# -ne 1 || ! -e $1/models/modeling_calm.py ]]; then
	echo "run.sh: want the directory of the reference's checkout, with models/modeling_calm.py: recipes/interchange/run.sh REFERENCE" >&2
	exit 2
fi
reference=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../.." && pwd)
out=${OUT:-interchange-results} tokenizer=${TOKENIZER:-bytes} patch=${PATCH:-4}
mkdir -p "$out"
out=$(cd "$out" && pwd)
venv=${VENV:-$out/venv}

[[ -x $venv/bin/python ]] || "${PYTHON:-python3}" -m venv "$venv"
[[ ${SKIP_INSTALL:-} ]] || "$venv/bin/python" -m pip install --quiet --requirement "${REQUIREMENTS:-$here/requirements.txt}"
(cd "$root" && go build -o "$out/bin/" ./cmd/calm ./recipes/interchange)
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
check() { "$venv/bin/python" "$here/check.py" --reference "$reference" "$@"; }
calm() { "$out/bin/calm" "$@" >>"$out/log.txt" 2>&1 || { tail -n 5 "$out/log.txt" >&2; return 1; }; }

# train NAME KIND ARGUMENT..: makes a tiny run.
train() {
	local name=$1 kind=$2
	shift 2
	calm train "$kind" --out "$out/runs/$name" --steps 20 --seed 1 "$@" --set save_steps=0 --set eval_steps=0
}

for part in runs exported trained again values log.txt report.jsonl; do
	rm -rf "${out:?}/$part"
done
mkdir -p "$out/values"
small=(--set hidden_size=64 --set intermediate_size=160 --set num_hidden_layers=2 --set num_attention_heads=4)
ids=(--tokenizer "$tokenizer")
train ae ae "${ids[@]}" --set patch_size="$patch" --set latent_size=32 --set hidden_size=64 --set intermediate_size=160
for head in energy diffusion flow; do
	train "$head" lm --ae "$out/runs/ae" "${small[@]}" --set num_key_value_heads=2 --set model_type="$head" --set num_mlp_layers=2
done
train ar ar "${ids[@]}" "${small[@]}" --set num_key_value_heads=2

failed=0
for name in ae energy diffusion flow ar; do
	calm export "$out/runs/$name" "$out/exported/$name"
	"$out/bin/interchange" "$out/runs/$name" "$out/values/$name.safetensors"
	check compare "$out/exported/$name" "$out/values/$name.safetensors" --report "$out/report.jsonl" --name "$name: export" || failed=1
	check train "$out/exported/$name" "$out/trained/$name" --text "$root/README.md"
	calm import "$out/trained/$name" "$out/again/$name"
	"$out/bin/interchange" "$out/again/$name" "$out/values/$name-again.safetensors"
	check compare "$out/trained/$name" "$out/values/$name-again.safetensors" --report "$out/report.jsonl" --name "$name: import" || failed=1
done
check versions
exit $failed
