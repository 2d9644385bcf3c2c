#!/bin/bash
# Installs the peers into a virtual environment: PyTorch and NX-AI's xlstm and mlstm_kernels, from PyPI.
#
#   tests/peers/setup.sh [FOLDER]     # default .state/peers at the root of the repository
#
# CAROUSEL_PEERS_INDEX names another index for torch, for example one with wheels for the CPU alone: those of PyPI take about 5 GB.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$root/.state/peers}

python3 -m venv "$folder"
"$folder/bin/pip" install --quiet ${CAROUSEL_PEERS_INDEX:+--index-url "$CAROUSEL_PEERS_INDEX"} torch
"$folder/bin/pip" install --quiet xlstm mlstm_kernels
"$folder/bin/python" -c '
import importlib.metadata as metadata
for name in ("torch", "xlstm", "mlstm_kernels"):
    print(name, metadata.version(name))'
