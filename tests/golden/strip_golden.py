#!/usr/bin/env python3
"""Strips golden cases to the tensors that golden_test reads.

    strip_golden.py FROM TO [--case NAME ...] [--without PREFIX ...]

From every NAME.f64.safetensors of the folder FROM (or those named by --case) it keeps the inputs
and the truths, the same choice as IsTruth in tolerance.cc, without those whose names begin with a
--without PREFIX. Of a trajectory's NAME.f32.safetensors it keeps the initial weights, which are
nowhere else. tolerances.json keeps the chosen cases. Bytes of tensors are copied as they are.
"""

import argparse
import json
import os
import struct

ENDING = ".f64.safetensors"


def read(path):
    """Header and data of a safetensors file."""
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def write(path, header, data, keep):
    """The file with the tensors `keep` only, those of wide elements first."""
    metadata = header.get("__metadata__", {})
    names = sorted(keep, key=lambda name: (header[name]["dtype"] == "F32", name))
    new_header, runs, place = {"__metadata__": metadata}, [], 0
    for name in names:
        begin, end = header[name]["data_offsets"]
        runs.append(data[begin:end])
        new_header[name] = dict(header[name], data_offsets=[place, place + end - begin])
        place += end - begin
    text = json.dumps(new_header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(runs))


def is_truth(kind, name):
    """As IsTruth in tolerance.cc."""
    if kind.startswith("traj"):
        return name.startswith("mdetach.")
    parts = name.split(".")
    if parts[0] in ("custbw", "xlstep", "act") or name in ("L", "L_h", "L_hs", "L_s"):
        return False
    gradient = any(part.startswith(("grad", "rawgrad")) for part in parts)
    return not gradient or "mdetach" in name


def strip(source, target, case, without):
    header, data = read(os.path.join(source, case + ENDING))
    kind = header["__metadata__"]["kind"]
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    keep = [
        name
        for name, entry in tensors.items()
        if (entry["dtype"] != "F64" or is_truth(kind, name)) and not name.startswith(tuple(without))
    ]
    write(os.path.join(target, case + ENDING), header, data, keep)
    if kind.startswith("traj"):
        name = case + ".f32.safetensors"
        header, data = read(os.path.join(source, name))
        write(os.path.join(target, name), header, data, [t for t in header if t.startswith("init.")])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")
    parser.add_argument("--case", nargs="*", default=[], help="these cases only")
    parser.add_argument("--without", nargs="*", default=[], help="no tensors that begin so")
    arguments = parser.parse_args()

    found = sorted(f[: -len(ENDING)] for f in os.listdir(arguments.source) if f.endswith(ENDING))
    missing = set(arguments.case) - set(found)
    if missing:
        parser.error(f"{arguments.source} has no case {', '.join(sorted(missing))}")
    cases = arguments.case or found
    os.makedirs(arguments.target, exist_ok=True)
    for case in cases:
        strip(arguments.source, arguments.target, case, arguments.without)
    with open(os.path.join(arguments.source, "tolerances.json")) as file:
        tolerances = json.load(file)
    with open(os.path.join(arguments.target, "tolerances.json"), "w") as file:
        chosen = {case: tolerances[case] for case in sorted(cases)}
        json.dump(chosen, file, sort_keys=True, indent=0, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
