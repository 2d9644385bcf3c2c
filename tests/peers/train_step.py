"""A training step of NX-AI's published xLSTM code in PyTorch, on the CPU, in f32, timed.

    train_step.py --model xlstm --variant tuned --steps 5
    train_step.py --model xlstm_large --variant compile-custbw --serve

A step is forward, cross-entropy, backward, clipping and AdamW on a batch of 4 x 512 tokens. Prints one JSON line a measurement.
With --serve it warms up, prints a line, and measures `N` steps whenever a line `N` arrives, until its input ends: so that two
programs can take turns without paying for the warm-up of torch.compile each time.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time

BATCH, CONTEXT, DIM, BLOCKS, HEADS = 4, 512, 512, 8, 4

# Read when the libraries are loaded, hence set before. Without the first two, glibc gives every large tensor back to the system and
# pays for its pages again; ATen takes AVX2 by default on some processors that have AVX-512.
TUNED_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
VARIANTS = {
    "xlstm": ("installed", "tuned", "compile", "compile-cell"),
    "xlstm_large": ("installed", "tuned", "tuned-custbw", "compile", "compile-custbw"),
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=VARIANTS, required=True)
    parser.add_argument("--variant", default="installed", help="; ".join(f"{m}: {', '.join(v)}" for m, v in VARIANTS.items()))
    parser.add_argument("--vocab", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.variant not in VARIANTS[arguments.model]:
        parser.error(f"--variant {arguments.variant}: {arguments.model} has {', '.join(VARIANTS[arguments.model])}")
    return arguments


def settle_environment(variant):
    """Starts this program again if the variant asks for variables that are not set."""
    wanted = {} if variant == "installed" else dict(TUNED_ENVIRONMENT)
    with open("/proc/cpuinfo", encoding="ascii") as file:
        if wanted and "avx512f" in file.read():
            wanted["ATEN_CPU_CAPABILITY"] = "avx512"
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable, *sys.argv])


def xlstm_model(vocab):
    from xlstm import (
        FeedForwardConfig, mLSTMBlockConfig, mLSTMLayerConfig, sLSTMBlockConfig, sLSTMLayerConfig, xLSTMLMModel, xLSTMLMModelConfig)

    model = xLSTMLMModel(xLSTMLMModelConfig(
        vocab_size=vocab, context_length=CONTEXT, embedding_dim=DIM, num_blocks=BLOCKS, slstm_at=[1],
        mlstm_block=mLSTMBlockConfig(mlstm=mLSTMLayerConfig(
            conv1d_kernel_size=4, qkv_proj_blocksize=4, num_heads=HEADS, proj_factor=2.0)),
        slstm_block=sLSTMBlockConfig(
            slstm=sLSTMLayerConfig(backend="vanilla", num_heads=HEADS, conv1d_kernel_size=4, bias_init="powerlaw_blockdependent"),
            feedforward=FeedForwardConfig(proj_factor=1.3, act_fn="gelu"))))
    model.reset_parameters()
    return model


def xlstm_large_model(vocab, kernel):
    from xlstm.xlstm_large.model import xLSTMLarge, xLSTMLargeConfig

    return xLSTMLarge(xLSTMLargeConfig(
        embedding_dim=DIM, num_heads=HEADS, num_blocks=BLOCKS, vocab_size=vocab, return_last_states=True, mode="train", chunk_size=64,
        chunkwise_kernel=kernel, sequence_kernel="native_sequence__native", step_kernel="native", autocast_kernel_dtype="float32"))


def build(torch, name, variant, vocab):
    """The model, and the callable that computes its logits."""
    torch.manual_seed(0)
    if name == "xlstm":
        model = xlstm_model(vocab)
    else:
        kernel = "native_custbw" if variant.endswith("custbw") else "native_autograd"
        model = xlstm_large_model(vocab, f"chunkwise--{kernel}")
    if variant.startswith("compile"):
        if name == "xlstm":
            leave_slstm_loop_out(torch, variant == "compile-cell")
        return model, torch.compile(model)
    return model, model


def leave_slstm_loop_out(torch, compile_cell):
    """The sLSTM's loop over 512 time steps would be unrolled by the compiler: minutes to hours of compilation, tens of GiB.

    It runs as it is, between compiled parts; with `compile_cell` the pointwise function of one time step is compiled.
    """
    from xlstm.blocks.slstm import cell

    cell.slstm_forward = torch.compiler.disable(cell.slstm_forward, recursive=not compile_cell)
    if compile_cell:
        for function, pointwise in list(cell.slstm_pointwise_function_registry.items()):
            cell.slstm_pointwise_function_registry[function] = torch.compile(pointwise)


class Trainer:
    """One model with its optimizer; the data are random, as no step's time depends on them."""

    def __init__(self, torch, arguments):
        self.torch = torch
        self.model, self.forward = build(torch, arguments.model, arguments.variant, arguments.vocab)
        # fused: one pass over memory instead of one a term.
        fused = {} if arguments.variant == "installed" else {"fused": True}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1, **fused)
        self.tokens = torch.randint(0, arguments.vocab, (64, BATCH, CONTEXT + 1))
        self.done = 0

    def step(self):
        torch = self.torch
        batch = self.tokens[self.done % len(self.tokens)]
        logits = self.forward(batch[:, :-1])
        logits = logits[0] if isinstance(logits, tuple) else logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.item()


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def forget_peak_memory():
    """The compiler's own memory is not the step's."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def measure(trainer, steps):
    walls, cpus, loss = [], [], None
    for _ in range(steps):
        wall, cpu = time.perf_counter(), cpu_seconds()
        loss = trainer.step()
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds() - cpu)
    return {"seconds": statistics.median(walls), "cpu_seconds": statistics.median(cpus), "steps": steps, "loss": round(loss, 4),
            "peak_bytes": peak_memory()}


def main():
    arguments = parse_arguments()
    settle_environment(arguments.variant)
    import torch

    torch.set_num_threads(arguments.threads)
    if arguments.variant != "installed":
        torch.set_flush_denormal(True)
    start = time.perf_counter()
    trainer = Trainer(torch, arguments)
    for _ in range(arguments.warmup):
        trainer.step()
    forget_peak_memory()
    about = {"model": arguments.model, "variant": arguments.variant, "vocab": arguments.vocab, "threads": arguments.threads,
             "torch": torch.__version__, "parameters": sum(p.numel() for p in trainer.model.parameters()),
             "warmup_seconds": round(time.perf_counter() - start, 1)}
    if not arguments.serve:
        print(json.dumps(about | measure(trainer, arguments.steps)), flush=True)
        return
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(trainer, int(line))), flush=True)


if __name__ == "__main__":
    main()
