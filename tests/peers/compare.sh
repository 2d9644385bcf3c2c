#!/bin/bash
# Our training step against NX-AI's PyTorch code, in turns; prints a table. README.md says what is compared.
#
#   tests/peers/setup.sh                                  # once
#   tests/peers/compare.sh                                # both models
#   tests/peers/compare.sh --vocab 50304 --rounds 3       # options of compare.py
#   CAROUSEL_PEERS=FOLDER tests/peers/compare.sh          # an environment elsewhere
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
python=${CAROUSEL_PEERS:-$root/.state/peers}/bin/python
if [[ ! -x $python ]]; then
  echo "compare.sh: no $python; run tests/peers/setup.sh first, or name its folder in CAROUSEL_PEERS" >&2
  exit 1
fi

cd "$root"
bazel build -c opt --noshow_progress --ui_event_filters=-info //worker:train_local //kernels:fma_peak_main >&2
models=(xlstm xlstm_large)
for argument in "$@"; do
  if [[ $argument == --model* ]]; then models=(""); fi
done
for model in "${models[@]}"; do
  "$python" tests/peers/compare.py --python "$python" ${model:+--model "$model"} "$@"
  echo
done
