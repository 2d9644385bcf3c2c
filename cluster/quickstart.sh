#!/usr/bin/env bash
# From nothing to a trained language model on this machine: installs packages, builds, prepares a text, trains an xLSTM pipelined over
# several workers, and shows what it has learnt.
#
#   cluster/quickstart.sh [--steps N] [--workers N]
#
#   --steps N     optimizer steps (default: what cluster/jobs/quickstart.yaml says); another number is another run
#   --workers N   worker processes, hence stages (default 3, at most one a unit); changes no bit of the result
#
# Everything that it makes is in bazel's cache and in .state/quickstart. Each training run has a folder there that is named after its
# contract: started again it goes on from its last checkpoint, or shows the finished run; other --steps are another run. The exit code says
# whether everything ran, not how good the figures are.
set -euo pipefail
cd "$(dirname "$0")/.."

job_file=cluster/jobs/quickstart.yaml
folder=.state/quickstart
carousel=bazel-bin/coordinator/cli/carousel
steps=() workers=3

usage() {
  echo "quickstart.sh: $1; usage: cluster/quickstart.sh [--steps N] [--workers N]" >&2
  exit 2
}

# number OPTION LIMIT VALUE: refuses all but whole numbers from 1 to the limit.
number() {
  if [[ ! "$3" =~ ^[1-9][0-9]{0,9}$ ]] || (($3 > $2)); then usage "$1 takes a whole number from 1 to $2, got \"$3\""; fi
}

while (($# > 0)); do
  case "$1" in
    --steps=* | --workers=*)
      set -- "${1%%=*}" "${1#*=}" "${@:2}"
      continue
      ;;
    --steps | --workers)
      if [[ "$1" == --steps ]]; then
        number --steps 1000000000 "${2:-}"
        steps=(--steps "$2")
      else
        number --workers 256 "${2:-}"
        workers=$2
      fi
      shift 2
      ;;
    -h | --help)
      sed -n '2,13s/^# \{0,1\}//p' cluster/quickstart.sh
      exit 0
      ;;
    *) usage "unknown argument \"$1\"" ;;
  esac
done

heading() { printf '\n== %s\n' "$*"; }

# Prints one field of a JSON object on stdin.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

heading "packages and build"
cluster/packages.sh
# No flags but these, which change no output: the tests find everything built. A log gets a sign of life every half minute.
bazel_options=(--color=no)
[[ -t 2 ]] || bazel_options+=(--curses=no --show_progress_rate_limit=30)
bazel build "${bazel_options[@]}" //coordinator //coordinator/cli:carousel //worker

heading "text: the Collaborative International Dictionary of English (Debian's dict-gcide)"
mkdir -p "$folder"
text=$folder/gcide.txt
if [[ ! -s "$text" ]]; then
  # What stands before the first headword ("0 \0\ adj.") is about the dictionary, not of it.
  zcat -S .dz /usr/share/dictd/gcide.dict.dz | sed -n '/^[^ ].*\\.*\\/,$p' >"$text.part"
  [[ -s "$text.part" ]] || { echo "quickstart.sh: found no entries in /usr/share/dictd/gcide.dict.dz; reinstall dict-gcide" >&2; exit 1; }
  mv "$text.part" "$text"
fi
dataset=$folder/dataset
"$carousel" data build --to "$dataset" "$text" # nothing, if it is there and the same

heading "training with $workers workers"
job=("$job_file" --set "data.dataset=$dataset" "${steps[@]}")
summary=$("$carousel" validate "${job[@]}" -o json)
contract=$(field contract <<<"$summary")
state=$folder/run-${contract:0:12}
"$carousel" local "${job[@]}" --workers "$workers" --state "$state" || {
  code=$?
  # Interrupted, or paused because a worker died.
  if ((code == 130 || code == 104)); then echo "quickstart.sh: started again with the same --steps, it goes on, too" >&2; fi
  exit $code
}

heading "held-out text, of which the model has seen nothing"
# The run is finished, so what was measured once stays true.
if [[ ! -s "$state/eval.json" ]]; then
  "$carousel" eval --state "$state" --threads "$(nproc)" -o json >"$state/eval.json.part"
  mv "$state/eval.json.part" "$state/eval.json"
fi
"$carousel" data baseline "$dataset" -o json >"$folder/baseline.json"
python3 - "$state/eval.json" "$folder/baseline.json" <<'END'
import json, sys

model, baseline = (json.load(open(path)) for path in sys.argv[1:3])
print(f"{'':24}{'bits per byte':>14}{'perplexity':>12}")
for name in ("unigram", "bigram", "trigram"):
    bits = baseline[f"{name}_bits_per_byte"]
    print(f"{name:24}{bits:14.3f}{2 ** bits:12.2f}")
print(f"{'this model':24}{model['bits_per_byte']:14.3f}{model['perplexity']:12.2f}")
END

heading "a sample"
"$carousel" generate --state "$state" --prompt "Carousel \\" --max-tokens 600 --temperature 0.7 --seed 1

heading "where to look next"
cat <<END
A longer run, from the beginning:            ./cluster/quickstart.sh --steps 2000
More text from this model:                   $carousel generate --state $state --prompt "Time \\\\" --temperature 0.9
Another job, nothing to prepare:             $carousel local cluster/jobs/smoke.yaml
Everything the command line can do:          $carousel --help
How it works, and what to read first:        README.md
Are the bits really the same?                ./tests/run.sh
END
