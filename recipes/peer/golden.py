"""Compares model.py with golden cases (docs/golden.md): losses, gradients, training steps, written tokens."""

import json
import struct
from pathlib import Path

import torch

from model import Autoencoder, LanguageModel, Writer, optimizer, step

# Of the largest value of a tensor, as docs/golden.md has them.
FORWARD, GRADIENT = 1e-5, 5e-5
EARLY, NORM, FINAL = 1e-5, 3e-5, 5e-5  # of trainings: losses, weights after 2 steps; norms; weights at the end
ZERO = 1e-7  # absolute, where the wanted tensor is 0

TYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}


def read_safetensors(path):
    """The tensors of a file, by name: 8 bytes of length, a JSON header of that length, data."""
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<Q", data)
    tensors = {}
    for name, t in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + at for at in t["data_offsets"])
            flat = torch.frombuffer(data[begin:end], dtype=TYPES[t["dtype"]]) if end > begin else torch.empty(0)
            tensors[name] = flat.view(t["shape"]).clone()
    return tensors


class Case:
    """A golden case, and how far what is compared with it is off."""

    def __init__(self, path):
        self.path, self.failures, self.compared = path, [], 0
        self.worst = 0.0  # the largest difference in units of its tolerance
        self.settings = json.loads((path / "case.json").read_text())
        self.config = json.loads((path / "config.json").read_text())
        self.tensors = read_safetensors(path / "case.safetensors")

    def model(self):
        if self.settings["kind"] in ("autoencoder", "train_autoencoder"):
            model = Autoencoder(self.config)
        else:
            autoencoder = json.loads((self.path / "autoencoder" / "config.json").read_text())
            model = LanguageModel(self.config, autoencoder)
        model.load_state_dict(read_safetensors(self.path / "model.safetensors"))
        return model

    def inputs(self, prefix, at=None):
        """The tensors below a prefix, without it; of a case with several steps those of one."""
        found = {n.removeprefix(prefix): t for n, t in self.tensors.items() if n.startswith(prefix)}
        return found if at is None else {n: t[at] for n, t in found.items()}

    def compare(self, name, got, tolerance):
        want = self.tensors[name]
        largest = want.abs().max().item()
        allowed = tolerance * largest if largest > 0 else ZERO
        off = (got.detach() - want).abs().max().item() / allowed
        self.compared += 1
        self.worst = max(self.worst, off)
        if not off <= 1 or got.shape != want.shape:
            self.failures.append(f"{name}: off by {off:.3g} times the tolerance")

    def gradients(self, model):
        parameters = dict(model.named_parameters())
        wanted = self.inputs("grad.")
        for name, p in parameters.items():
            if p.requires_grad and name not in wanted:
                self.failures.append(f"no gradient of {name} is given")
        for name in wanted:
            p = parameters[name]
            self.compare("grad." + name, torch.zeros_like(p) if p.grad is None else p.grad, GRADIENT)


def check_autoencoder(case):
    model = case.model()
    loss = model(case.tensors["in.input_ids"], case.inputs("in.train."))
    loss.backward()
    case.compare("out.train.loss", loss, FORWARD)
    case.gradients(model)


def check_energy(case):
    model = case.model()
    loss = model(case.tensors["in.input_ids"], case.inputs("in."), case.tensors["in.labels"])
    loss.backward()
    case.compare("out.loss", loss, FORWARD)
    case.gradients(model)


def check_training(case):
    model, hyper = case.model(), case.settings["hyper"]
    names = {n: p for n, p in model.named_parameters() if p.requires_grad}
    opt = optimizer(model, hyper["learning_rate"], hyper["weight_decay"])
    losses, norms = [], []
    for s in range(hyper["max_steps"]):
        for group in opt.param_groups:
            group["lr"] = hyper["learning_rate"] * min(1, s / hyper["warmup_steps"])
        draws = case.inputs("in.", s)
        loss = model(draws["input_ids"], draws)
        losses.append(loss.detach())
        norms.append(step(loss, list(names.values()), opt, hyper["max_grad_norm"]))
        if s == 1:
            for name, p in names.items():
                case.compare("after2." + name, p, EARLY)
    case.compare("out.loss", torch.stack(losses), EARLY)
    case.compare("out.grad_norm", torch.stack(norms), NORM)
    for name, p in names.items():
        case.compare("final." + name, p, FINAL)


def check_generate(case):
    """Tokens at temperature 1 of a prompt of whole patches; a row that has ended is not looked at any more."""
    model, k = case.model(), case.config["patch_size"]
    noise, want = case.tensors["in.noise"], case.tensors["out.raw_tokens"]
    prompt = case.tensors["in.input_ids"].unflatten(1, (-1, k))
    going = torch.ones(len(prompt), dtype=torch.bool)
    with torch.inference_mode():
        writer = Writer(model, len(prompt), prompt.shape[1] + len(noise))
        writer.read(prompt)
        for s in range(len(noise)):
            patch = writer.draw(noise[s])
            case.compared += 1
            if not torch.equal(patch[going], want[s][going]):
                case.failures.append(f"step {s}: the tokens are others")
            going &= (patch != case.config["eos_token_id"]).all(-1)
            writer.read(patch.unsqueeze(1))


CHECKS = {
    "autoencoder": check_autoencoder,
    "energy": check_energy,
    "train_autoencoder": check_training,
    "train_energy": check_training,
    "generate": check_generate,
}


def applies(settings, path):
    if settings["kind"] != "generate":
        return settings["kind"] in CHECKS
    patch = json.loads((path / "config.json").read_text())["patch_size"]
    return settings["temperature"] == 1 and settings["prompt_length"] % patch == 0


def check(directory):
    """Checks every case below a directory that model.py has the model of. Returns whether all agree."""
    torch.set_num_threads(1)
    paths = sorted(p.parent for p in Path(directory).glob("*/case.json"))
    good, checked = True, 0
    for path in paths:
        if not applies(json.loads((path / "case.json").read_text()), path):
            continue
        case = Case(path)
        CHECKS[case.settings["kind"]](case)
        checked += 1
        good &= not case.failures
        verdict = "FAILED" if case.failures else "ok"
        print(f"{path.name:24} {verdict:6} {case.compared:3} compared, largest difference {case.worst:.3f} of its tolerance")
        for failure in case.failures:
            print("   ", failure)
    print(f"{checked} cases, {'all agree' if good else 'NOT all agree'}")
    return good and checked > 0
