#!/bin/bash
# What golden_test makes of a folder: which files are cases, and that nothing wrong passes.
set -u
golden_test=$1
tiny=tests/golden/data/mlstm_cell_tiny.f64.safetensors
tolerances=tests/golden/data/tolerances.json
failures=0

# A fresh folder with the smallest case.
folder() {
  local path=$TEST_TMPDIR/$1
  mkdir -p "$path"
  cp "$tiny" "$path/mlstm_cell_tiny.f64.safetensors"
  cp "$tolerances" "$path/tolerances.json"
  chmod -R u+w "$path"
  echo "$path"
}

# expect CLAIM EXIT_CODE TEXT FOLDER: the exit code, and a text in the output.
expect() {
  local output code
  output=$("$golden_test" --dir "$4" 2>&1)
  code=$?
  if [[ $code != "$2" || $output != *"$3"* ]]; then
    echo "FAILED: $1: exit $code instead of $2, or no \"$3\" in:"
    echo "$output"
    failures=$((failures + 1))
  fi
}

path=$(folder good)
expect "the case by itself passes" 0 " passed, 0 failed" "$path"

path=$(folder others)
mkdir "$path/folder.f64.safetensors"
echo "no case" > "$path/README.md"
expect "files that are no cases, and folders, are ignored" 0 " passed, 0 failed" "$path"

path=$(folder unknown)
sed -i 's/"kind": *"mlstm_cell"/"kind":"mlstm_sell"/' "$path"/*.f64.safetensors
expect "a kind that nobody knows is a failure" 1 'unknown kind "mlstm_sell"' "$path"

path=$(folder cut)
truncate -s -8 "$path"/*.f64.safetensors
expect "a file that is cut is a failure" 1 "cut or padded" "$path"

path=$(folder no_tolerance)
rm "$path/tolerances.json"
expect "float runs without a tolerance fail" 1 "nothing to judge the float runs by" "$path"

path=$(folder missing)
sed -i 's/"wh":/"xx":/' "$path"/*.f64.safetensors
expect "a missing tensor is named" 1 "tensor wh is missing" "$path"

# replace FILE TENSOR CHANGE: the first number x of a tensor of doubles becomes CHANGE.
replace() {
  python3 - "$@" <<'END'
import json, math, struct, sys
path, tensor, change = sys.argv[1:]
with open(path, "r+b") as file:
    size = struct.unpack("<Q", file.read(8))[0]
    entry = json.loads(file.read(size))[tensor]
    assert entry["dtype"] == "F64", entry
    at = 8 + size + entry["data_offsets"][0]
    file.seek(at)
    x = struct.unpack("<d", file.read(8))[0]
    file.seek(at)
    file.write(struct.pack("<d", eval(change)))
END
}
number=0
for tensor in h C_last grad_h_mdetach.q; do
  for change in 'math.nan' 'math.inf' 'x + 1e-6' '-x'; do
    path=$(folder "wrong_$((number++))")
    replace "$path/mlstm_cell_tiny.f64.safetensors" "$tensor" "$change" || failures=$((failures + 1))
    expect "$change for x in $tensor is a failure" 1 "FAIL" "$path"
  done
done

mkdir -p "$TEST_TMPDIR/empty"
expect "a folder without cases is an error" 1 "no case there" "$TEST_TMPDIR/empty"
expect "a folder that is not there is an error" 1 "No such file" "$TEST_TMPDIR/absent"

[[ $failures == 0 ]] && echo "all as expected"
exit $((failures > 0))
