"""PyTorch beside calm: the same training steps, written in PyTorch, timed on the CPU in float32.

    python peer.py --preset lm-bytes --threads 2      one measurement, as a line of JSON (docs/formats.md)
    python peer.py --preset calm-m --generate         a written patch at temperature 1, with a key-value cache
    python peer.py --check ../../testdata/golden      compare the model with golden cases

run.sh measures this and calm in turns. All of it was written from docs/spec.md; none of the reference's code is in it.

As the reference does:
  - A step is forward, backward, clipping of the gradient's norm to 1, AdamW with decay on matrices; random draws
    (noise, samples of the posterior, both kinds of dropout) are made in the step.
  - The energy loss takes N = 8 samples and M = 100 targets of every position; each pair is a distance.
  - The head's blocks read the hidden state beside each of the N samples, so that part of their products is made N times.
  - The autoencoder's logits and those of its loss are whole tensors [tokens, vocabulary].

Where PyTorch has something better, this takes it:
  - attention is scaled_dot_product_attention, norms are RMSNorm and LayerNorm, AdamW is the fused one,
  - distances are torch.cdist, which stores no differences,
  - the hidden state's own map and norm are computed once, not for each of the N samples,
  - embeddings stay in float32.

Without torch.compile, as most would run it; --compile compiles forward and backward.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from pathlib import Path

import torch

import golden
from model import Autoencoder, LanguageModel, Writer, initialize, optimizer, step

HERE = Path(__file__).resolve().parent
KEPT = 8  # batches of random ids, which take turns
LEARNING_RATE, WEIGHT_DECAY = 3e-4, 0.1  # calm's defaults; they change no time


def build(preset):
    if preset["kind"] == "ae":
        model = Autoencoder(preset["autoencoder"])
    else:
        model = LanguageModel(preset["lm"], preset["autoencoder"])
    initialize(model, preset["autoencoder"]["initializer_range"])
    return model


def training(preset, compiled):
    """A function that makes one training step; its shape in words; its tokens."""
    model = build(preset).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    opt = optimizer(model, LEARNING_RATE, WEIGHT_DECAY)
    loss_of = torch.compile(model) if compiled else model
    shape = (KEPT, preset["batch"], preset["tokens"])
    batches, at = torch.randint(preset["autoencoder"]["vocab_size"], shape), 0

    def run():
        nonlocal at
        step(loss_of(batches[at % KEPT]), parameters, opt)
        at += 1

    return run, f"{preset['batch']}x{preset['tokens']}", preset["batch"] * preset["tokens"]


def writing(preset, prompt):
    """A function that reads a patch and draws the next one, after a prompt of random ids; its shape in words; its tokens.
    When its room is full it goes on from the prompt's end."""
    model, k = build(preset).eval(), preset["lm"]["patch_size"]
    patches = -(-prompt // k)
    room = 512  # patches written before it starts again
    ids = torch.randint(preset["lm"]["vocab_size"], (1, patches, k))
    writer = Writer(model, 1, patches + room)
    writer.read(ids)
    patch = writer.draw()

    def run():
        nonlocal patch
        if writer.start == patches + room:
            writer.start = patches
        writer.read(patch.unsqueeze(1))
        patch = writer.draw()

    return run, f"T=1, after {patches * k} tokens", k


def measure(run, seconds):
    """Milliseconds of every run: one to warm up, then as many as end in that time, one at least."""
    run()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        before = time.perf_counter()
        run()
        times.append((time.perf_counter() - before) * 1e3)
    return times


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main():
    presets = json.loads((HERE / "presets.json").read_text())
    p = argparse.ArgumentParser(description="Measure PyTorch on calm's training steps, or check its model.")
    p.add_argument("--preset", choices=presets, help="the training step to measure")
    p.add_argument("--generate", action="store_true", help="measure writing instead of training")
    p.add_argument("--prompt", type=int, default=256, help="tokens read before writing (256)")
    p.add_argument("--threads", type=int, default=os.cpu_count(), help="threads to compute on (all processors)")
    p.add_argument("--seconds", type=float, default=3, help="time to measure for; one step is made at least (3)")
    p.add_argument("--compile", action="store_true", help="with torch.compile")
    p.add_argument("--check", metavar="GOLDEN_DIR", help="compare the model with golden cases")
    a = p.parse_args()
    if a.check:
        sys.exit(not golden.check(a.check))
    if not a.preset:
        p.error("want --preset or --check")
    preset = presets[a.preset]
    if a.generate and (preset["kind"] != "lm" or a.compile or a.prompt < 1):
        p.error("--generate takes the preset of a language model, a prompt of 1 token or more, and no --compile")
    if a.threads < 1 or not a.seconds > 0:
        p.error("--threads and --seconds want more than 0")
    torch.set_num_threads(a.threads)
    torch.manual_seed(1)
    if a.generate:
        with torch.inference_mode():
            run, shape, tokens = writing(preset, a.prompt)
            times = measure(run, a.seconds)
    else:
        run, shape, tokens = training(preset, a.compile)
        times = measure(run, a.seconds)
    median = statistics.median(times)
    print(json.dumps({
        "name": ("generate/decode/" if a.generate else "train/") + a.preset,
        "shape": shape,
        "threads": a.threads,
        "ms_median": median,
        "runs": len(times),
        "tokens_per_s": tokens / median * 1e3,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "software": f"PyTorch {torch.__version__}" + (" compiled" if a.compile else ""),
        "processor": processor(),
        "load": os.getloadavg()[0],
    }))


if __name__ == "__main__":
    main()
