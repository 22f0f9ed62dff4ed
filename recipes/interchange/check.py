"""Loads models in the PyTorch reference, compares what it computes with what calm computes, and trains them: see run.sh.

The reference's code is used as it stands, with three corrections, without which it does not run here: its diffusion and flow
models lack num_samples, its diffusion sampler asks for a GPU, and from_pretrained gives an autoencoder two tables in place of one.
"""

import argparse
import importlib
import json
import platform
import sys
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from transformers import AutoTokenizer

# Of the largest value of a tensor, as docs/golden.md has them for the reference's own float32. The sinusoidal embedding of the
# heads with times is less exact in the reference.
TOLERANCE = {"energy": 2e-5, "flow": 1e-4, "diffusion": 1e-4}

CLASSES = {
    "Autoencoder": "models.modeling_autoencoder",
    "EnergyTransformer": "models.modeling_energy",
    "DiffusionTransformer": "models.modeling_diffusion",
    "FlowTransformer": "models.modeling_flow",
    "LlamaForCausalLM": "transformers",
}


def tie(autoencoder):
    autoencoder.decoder.lm_head_weight = autoencoder.encoder.embed_tokens.weight


def load(directory):
    """The model in a directory, and the names of tensors that were missing or surplus."""
    config = json.loads((directory / "config.json").read_text())
    (name,) = config["architectures"]
    inside = directory / "autoencoder"
    extra = {"ae_path": str(inside)} if inside.is_dir() else {}
    cls = getattr(importlib.import_module(CLASSES[name]), name)
    model, info = cls.from_pretrained(directory, output_loading_info=True, **extra)
    if "ae_path" in config and not hasattr(model, "num_samples"):
        model.num_samples = model.config.num_samples
    return model, [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]


class Comparison:
    """Results of calm in a file of recipes/interchange/main.go, and how far the reference is off."""

    def __init__(self, path):
        with safe_open(path, framework="pt") as f:
            self.tensors = {name: f.get_tensor(name) for name in f.keys()}
            self.texts = json.loads(f.metadata().get("texts", "[]"))
        self.worst, self.failures, self.compared = 0.0, [], 0

    def __getitem__(self, name):
        return self.tensors["in." + name]

    def check(self, name, got, tolerance=2e-5):
        want = self.tensors["out." + name]
        largest = want.abs().max().item()
        off = (got.detach().reshape(want.shape) - want).abs().max().item() / max(largest, 1e-30)
        self.worst, self.compared = max(self.worst, off), self.compared + 1
        if not off <= tolerance or not largest > 0:
            self.failures.append(f"{name} differs by {off:.2g} of the largest value {largest:.3g}, allowed are {tolerance:.2g}")

    def tokenizer(self, directory):
        if not self.texts:
            return
        tokenizer = AutoTokenizer.from_pretrained(directory)
        for t in self.texts:
            fed = tokenizer(t["text"], add_special_tokens=False)
            if set(fed) != {"input_ids", "attention_mask"}:
                self.failures.append(f"the tokenizer gives {sorted(fed)}")
            if fed["input_ids"] != t["ids"]:
                self.failures.append(f"{t['text']!r} is {fed['input_ids']}, in calm {t['ids']}")
            self.compared += 1


def posterior(encoder, patches):
    mean, log_std = encoder(input_ids=patches).squeeze(1).chunk(2, dim=-1)
    return mean, log_std


def compare_autoencoder(model, c):
    patches = c["input_ids"].reshape(-1, model.patch_size)
    mean, log_std = posterior(model.encoder, patches)
    c.check("mean", mean)
    c.check("log_std", log_std)
    c.check("logits", model.decoder(latent_states=c.tensors["out.mean"].unsqueeze(1)))


def compare_baseline(model, c):
    c.check("logits", model(input_ids=c["input_ids"]).logits)


def compare_language_model(model, c):
    ids, k = c["input_ids"], model.patch_size
    embedded = model.transformer.embed_tokens(ids).reshape(len(ids), ids.shape[1] // k, -1)[:, :-1]
    hidden = model.transformer(inputs_embeds=model.embed_proj(embedded))[0]
    mean, log_std = posterior(model.ae_model.encoder, ids[:, k:].reshape(-1, k))
    c.check("hidden", hidden)
    c.check("mean", mean)
    c.check("log_std", log_std)
    noise, kind = c["noise"], type(model).__name__.removesuffix("Transformer").lower()
    states = c.tensors["out.hidden"].flatten(0, 1).unsqueeze(0).repeat(len(noise), 1, 1)
    targets = c.tensors["out.mean"] + c.tensors["out.log_std"].exp() * c["target_eps"]
    head = model.generative_head
    if kind == "energy":
        original, torch.rand = torch.rand, lambda *size, **options: noise + 0.5  # what sample draws
        try:
            got = head.sample(states)
        finally:
            torch.rand = original
    else:
        times = c["times"].flatten()
        x, x0, z = targets.flatten(0, 1), noise.flatten(0, 1), states.flatten(0, 1)
        if kind == "flow":
            got = head.net((1 - times[:, None]) * x0 + times[:, None] * x, times, z)
        else:
            steps = times.long()
            got = head.net(head.train_diffusion.q_sample(x, steps, noise=x0), steps, z)
    c.check("predictions", got, TOLERANCE[kind])


def compare(args):
    model, wrong = load(args.directory)
    model.eval()
    c = Comparison(args.values)
    if wrong:
        c.failures.append(f"missing or surplus tensors: {wrong}")
    stated = json.loads((args.directory / "config.json").read_text()).get("model_type")
    if stated and model.config.model_type != stated:  # the reference leaves it out when it saves a language model
        c.failures.append(f"model_type is read as {model.config.model_type}, config.json says {stated}")
    with torch.inference_mode():
        if type(model).__name__ == "Autoencoder":
            compare_autoencoder(model, c)
        elif type(model).__name__ == "LlamaForCausalLM":
            compare_baseline(model, c)
        else:
            compare_language_model(model, c)
    c.tokenizer(args.directory)
    row = {"name": args.name, "compared": c.compared, "worst": c.worst, "failures": c.failures}
    if args.report:
        with open(args.report, "a") as f:
            f.write(json.dumps(row) + "\n")
    print(f"{args.name:20} {'FAILED' if c.failures else 'ok':6} {c.compared:3} compared, largest difference {c.worst:.1e}")
    for failure in c.failures:
        print("   ", failure)
    return not c.failures and c.compared > 0


def blocks(directory, path, rows, tokens):
    """Batches of ids [rows, tokens] of a text, as the tokenizer of a directory encodes it."""
    ids = AutoTokenizer.from_pretrained(directory)(path.read_text(), return_tensors="pt")["input_ids"][0]
    at = 0
    while True:
        if at + rows * tokens > len(ids):
            at = 0
        yield ids[at : at + rows * tokens].reshape(rows, tokens)
        at += rows * tokens


def train(args):
    torch.manual_seed(1)
    model, wrong = load(args.directory)
    if wrong:
        sys.exit(f"{args.directory}: missing or surplus tensors: {wrong}")
    if type(model).__name__ == "Autoencoder":
        tie(model)
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
    losses = []
    for _, ids in zip(range(args.steps), blocks(args.directory, args.text, 4, 64)):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    args.out.mkdir(parents=True)
    model.save_pretrained(args.out, safe_serialization=False)  # as the reference's scripts
    AutoTokenizer.from_pretrained(args.directory).save_pretrained(args.out)
    print(f"{type(model).__name__:20} trained for {len(losses)} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}")
    return True


def versions(_):
    print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}")
    return True


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--reference", type=Path, required=True, help="the reference's checkout")
    verbs = p.add_subparsers(required=True)
    v = verbs.add_parser("compare", help="compare a model with calm's results")
    v.add_argument("directory", type=Path)
    v.add_argument("values", type=Path)
    v.add_argument("--name", default="")
    v.add_argument("--report", type=Path)
    v.set_defaults(run=compare)
    v = verbs.add_parser("train", help="train a model and save it")
    v.add_argument("directory", type=Path)
    v.add_argument("out", type=Path)
    v.add_argument("--text", type=Path, required=True)
    v.add_argument("--steps", type=int, default=20)
    v.set_defaults(run=train)
    verbs.add_parser("versions").set_defaults(run=versions)
    args = p.parse_args()
    sys.path.insert(0, str(args.reference))
    transformers.logging.set_verbosity_error()
    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda self, *args, **options: self
    sys.exit(0 if args.run(args) else 1)


if __name__ == "__main__":
    main()
