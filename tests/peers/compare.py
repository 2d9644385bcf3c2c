"""Our training step against the peers', in turns; prints a table in Markdown. Called by compare.sh; README.md says what is compared.

Each round times the loop of fused multiply-adds, our step, and every variant of the peer. What is compared is of one round: a ratio
is the median over rounds of the rounds' ratios. Neighbours only ever add time, so the least of the rounds is shown too.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BATCH, CONTEXT, DIM, BLOCKS, HEADS, CHUNK = 4, 512, 512, 8, 4, 64
TOKENS = BATCH * CONTEXT
MODELS = {"xlstm": "xlstm-7-1.yaml", "xlstm_large": "xlstm-large.yaml"}
VARIANTS = {
    "xlstm": ["installed", "tuned", "compile"],
    "xlstm_large": ["installed", "tuned", "tuned-custbw", "compile", "compile-custbw"],
}
TICKS = os.sysconf("SC_CLK_TCK")


def useful_flops(model, vocab):
    """Of one step. Linear maps: 2 a weight and token forward, 4 backward. Cells: chunkwise, causal, chunks of 64. All else: nothing."""
    def cell(qk, v):  # a head and token: forward 4 qk v + L (qk + v), backward 10 qk v + 2.5 L (qk + v)
        return 14 * qk * v + 3.5 * CHUNK * (qk + v)

    def up64(width):
        return -(-width // 64) * 64

    if model == "xlstm":
        inner, ffn, slstms = 2 * DIM, int(up64(1.3 * DIM)), 1
        mlstm = 3 * DIM * inner + 3 * 4 * inner + 2 * HEADS * 3 * inner  # up, down; q, k, v in blocks of 4; gates
        slstm = 8 * DIM * DIM // HEADS + 3 * ffn * DIM  # four gates and their recurrent matrices, a head each; feed-forward
        weights = (BLOCKS - slstms) * mlstm + slstms * slstm + vocab * DIM
        cells = (BLOCKS - slstms) * HEADS * cell(inner // HEADS, inner // HEADS)
    else:
        qk, ffn = DIM // 2, int(up64(int(2.667 * DIM)))
        block = 2 * DIM * qk + 3 * DIM * DIM + 2 * HEADS * DIM + 3 * DIM * ffn  # q, k; v, output gate, out; gates; SwiGLU
        weights = BLOCKS * block + vocab * DIM
        cells = BLOCKS * HEADS * cell(qk // HEADS, DIM // HEADS)
    return TOKENS * (6 * weights + cells)


def fma_rate(threads):
    output = subprocess.run([ROOT / "bazel-bin/kernels/fma_peak_main", str(threads)], check=True, capture_output=True, text=True)
    return float(output.stdout)


def process_cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def process_peak(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def our_steps(options):
    """Times between the lines that train_local prints, one a step; the first step, which touches memory for the first time, is left out."""
    command = [ROOT / "bazel-bin/worker/train_local", HERE / MODELS[options.model], "--threads", str(options.threads),
               "--steps", str(options.steps + 1), "--set", f"model.vocab_size={options.vocab}"]
    walls, cpus, peak = [], [], 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        last = None
        for _ in process.stdout:
            now = time.perf_counter()
            # The last line comes just before the process ends; its numbers may be gone, the time is not.
            try:
                cpu, peak = process_cpu_seconds(process.pid), max(peak, process_peak(process.pid))
            except (OSError, IndexError):
                cpu = None
            if last:
                walls.append(now - last[0])
                if cpu is not None and last[1] is not None:
                    cpus.append(cpu - last[1])
            last = now, cpu
    if process.returncode != 0 or len(walls) != options.steps:
        sys.exit(f"{command[0]} ended with {process.returncode} after {len(walls) + 1} steps of {options.steps + 1}")
    return {"seconds": statistics.median(walls), "cpu_seconds": statistics.median(cpus) if cpus else None, "peak_bytes": peak}


class Peer:
    """A variant of the peer, warm, waiting for its turn."""

    def __init__(self, options, variant):
        self.variant = variant
        command = [options.python, HERE / "train_step.py", "--serve", "--model", options.model, "--variant", variant,
                   "--vocab", str(options.vocab), "--threads", str(options.threads)]
        # Ended by closing its input, after the last round.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.about = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            hint = "perhaps for want of memory: all variants stay loaded, name fewer with --variants" if status < 0 else "run train_step.py by hand to see why"
            sys.exit(f"the peer ({self.variant}) ended with {status}; {hint}")
        return json.loads(line)

    def steps(self, count):
        with contextlib.suppress(BrokenPipeError):  # read() says more
            self.process.stdin.write(f"{count}\n")
            self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run(options):
    peers = []
    for variant in options.variants:
        peers.append(Peer(options, variant))
        print(json.dumps(peers[-1].about), file=sys.stderr, flush=True)
    rounds = []
    for number in range(options.rounds):
        result = {"fma": fma_rate(options.threads), "load": os.getloadavg()[0], "carousel": our_steps(options)}
        for peer in peers:
            result[peer.variant] = peer.steps(options.steps)
        print(json.dumps({"round": number + 1} | result), file=sys.stderr, flush=True)
        rounds.append(result)
    for peer in peers:
        peer.close()
    return rounds


def median(rounds, value):
    values = [value(one) for one in rounds]
    return statistics.median(values) if None not in values else None


def table(options, rounds):
    flops = useful_flops(options.model, options.vocab)
    bound = median(rounds, lambda one: flops / one["fma"])
    least = {name: min(one[name]["seconds"] for one in rounds) for name in ["carousel", *options.variants]}
    best = min(options.variants, key=least.get)
    loads = sorted(one["load"] for one in rounds)
    lines = [
        f"`{options.model}`, V {options.vocab:,}, {options.threads} threads; FMA loop {median(rounds, lambda one: one['fma']) / 1e9:.0f} GFLOP/s; "
        f"{flops / 1e9:.0f} useful GFLOP a step; {options.rounds} rounds of {options.steps} steps; load average {loads[0]:.1f} to {loads[-1]:.1f}.",
        "",
        "| step | s | tokens/s | Carousel is faster by | s, least | ... by | of the FMA loop | ... by CPU time | peak memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in ["carousel", *options.variants]:
        seconds = median(rounds, lambda one: one[name]["seconds"])
        ratio = median(rounds, lambda one: one[name]["seconds"] / one["carousel"]["seconds"])
        share = median(rounds, lambda one: flops / one[name]["seconds"] / one["fma"])
        by_cpu = median(rounds, lambda one: one[name]["cpu_seconds"] and flops * options.threads / one[name]["cpu_seconds"] / one["fma"])
        memory = max(one[name]["peak_bytes"] for one in rounds) / 2**30
        title = "**Carousel**" if name == "carousel" else f"PyTorch, {name}" + (" (its best)" if name == best else "")
        ratios = ("", "") if name == "carousel" else (f"{ratio:.2f}x", f"{least[name] / least['carousel']:.2f}x")
        lines.append(f"| {title} | {seconds:.2f} | {TOKENS / seconds:,.0f} | {ratios[0]} | {least[name]:.2f} | {ratios[1]} | {100 * share:.0f} % | "
                     f"{'' if by_cpu is None else f'{100 * by_cpu:.0f} %'} | {memory:.2f} GiB |")
    lines.append(f"| the bound: useful flops at the loop's rate | {bound:.2f} | {TOKENS / bound:,.0f} | | | | 100 % | | |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--vocab", type=int, default=512, help="512 or 50304")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="timed steps a round")
    parser.add_argument("--variants", nargs="+", help="of the peer; train_step.py --help lists them")
    parser.add_argument("--python", default=str(ROOT / ".state/peers/bin/python"), help="of setup.sh's environment")
    options = parser.parse_args()
    options.variants = options.variants or VARIANTS[options.model]
    print(table(options, run(options)))


if __name__ == "__main__":
    main()
