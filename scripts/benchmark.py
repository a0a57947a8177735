"""What `bench-torch` and `bench-sweep` share: the throw-away PyTorch, the jobs, and running either side."""

import argparse
import json
import os
import platform
import random
import struct
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# n_layer, d_model, n_head, context_len; the MLP is 8/3 as wide, up to a multiple of 32.
SHAPES = {"d64": (2, 64, 2, 128), "d128": (4, 128, 4, 128), "d256": (4, 256, 8, 256)}
VOCAB_SIZE = 1024
BATCH = 16


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON value instead of a table")
    parser.add_argument("--scalelaw", default=None, help="the program (default: built from this checkout)")
    parser.add_argument("--venv", default=None, help="environment with PyTorch to use or to make, and to keep")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=None)
    return parser


def note(text):
    print(text, file=sys.stderr, flush=True)


def build(args):
    """Path of the program."""
    if args.scalelaw:
        return str(Path(args.scalelaw).resolve())
    subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True, stdout=sys.stderr)
    meta = subprocess.run(
        ["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT, check=True, capture_output=True
    )
    return str(Path(json.loads(meta.stdout)["target_directory"]) / "release" / "scalelaw")


def torch_python(args, work):
    """Python of an environment that has PyTorch."""
    home = Path(args.venv or Path(work) / "venv").resolve()
    python = home / "bin" / "python"
    if not python.exists():
        note(f"installing PyTorch into {home}")
        venv.create(home, with_pip=True)
    has = subprocess.run([python, "-c", "import torch, numpy"], capture_output=True)
    if has.returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "torch", "numpy"], check=True, stdout=sys.stderr)
    return str(python)


def d_ff(d_model):
    """8/3 of the width, up to a multiple of 32."""
    return -(-(8 * d_model // 3) // 32) * 32


def write_job(work, shape, steps, threads, mode, lr=1e-3):
    """A job for either side: weights, text and batches in `work`."""
    n_layer, d_model, n_head, context_len = SHAPES[shape]
    folder = Path(work) / shape
    folder.mkdir(exist_ok=True)
    f = d_ff(d_model)
    model = {
        "kind": "transformer",
        "n_layer": n_layer,
        "d_model": d_model,
        "n_head": n_head,
        "d_ff": f,
        "vocab_size": VOCAB_SIZE,
        "head": "untied",
    }
    weights = folder / "weights.safetensors"
    rng = random.Random(7)
    if not weights.exists():
        shapes = {"model.embed_tokens.weight": [VOCAB_SIZE, d_model]}
        for i in range(n_layer):
            of = f"model.layers.{i}."
            shapes[of + "input_layernorm.weight"] = [d_model]
            shapes |= {of + f"self_attn.{x}_proj.weight": [d_model, d_model] for x in "qkvo"}
            shapes[of + "post_attention_layernorm.weight"] = [d_model]
            shapes |= {of + f"mlp.{x}_proj.weight": [f, d_model] for x in ("gate", "up")}
            shapes[of + "mlp.down_proj.weight"] = [d_model, f]
        shapes |= {"model.norm.weight": [d_model], "lm_head.weight": [VOCAB_SIZE, d_model]}
        head, body = {}, bytearray()
        for name, dims in shapes.items():
            n = dims[0] * (dims[1] if len(dims) == 2 else 1)
            values = [1.0] * n if len(dims) == 1 else [rng.gauss(0.0, 0.02) for _ in range(n)]
            head[name] = {"dtype": "F32", "shape": dims, "data_offsets": [len(body), len(body) + 4 * n]}
            body += struct.pack(f"<{n}f", *values)
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        weights.write_bytes(struct.pack("<Q", len(text)) + text + body)
    tokens, offsets = folder / "tokens.u16", folder / f"offsets-{steps}.u32"
    if not tokens.exists():
        # A text that can be learnt: each token has four likely successors.
        successors = [[rng.randrange(VOCAB_SIZE) for _ in range(4)] for _ in range(VOCAB_SIZE)]
        text, token = [], 0
        for _ in range(200_000):
            token = rng.choice(successors[token]) if rng.random() < 0.9 else rng.randrange(VOCAB_SIZE)
            text.append(token)
        tokens.write_bytes(struct.pack(f"<{len(text)}H", *text))
    if not offsets.exists():
        places = [rng.randrange(200_000 - context_len - 1) for _ in range(steps * BATCH)]
        offsets.write_bytes(struct.pack(f"<{len(places)}I", *places))
    train = {
        "model": model,
        "phases": [{"context_len": context_len, "batch_sequences": BATCH, "steps": steps}],
        "recipe": {
            "optimizer": {"kind": "adamw", "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1},
            "lr_peak": lr,
            "warmup_steps": 10,
            "schedule": {"kind": "constant"},
            "grad_clip_norm": 1.0,
            "init": {"kind": "scaled-normal", "std": 0.02},
        },
        "mixture": {"sources": [{"tokens": "none", "weight": 1.0}]},
        "seed": 0,
        "start": {"kind": "init"},
    }
    if mode == "bf16":
        train["recipe"]["precision"] = "bf16"
    read = lambda path, code, size: list(struct.unpack(f"<{path.stat().st_size // size}{code}", path.read_bytes()))
    text = {"tokens": read(tokens, "H", 2), "offsets": read(offsets, "I", 4)}
    spec = {"train": train, "weights": str(folder), **text}
    ours, theirs = folder / f"ours-{mode}-{steps}.json", folder / f"theirs-{mode}-{steps}-{threads}.json"
    ours.write_text(json.dumps(spec))
    theirs.write_text(json.dumps(spec | {"threads": threads, "mode": mode}))
    return str(ours), str(theirs)


def ours_command(scalelaw, job, threads):
    return [scalelaw, "worker", "--device", "cpu", "--threads", str(threads), "--time-steps", job]


def theirs_command(python, job, *rest):
    return [python, str(ROOT / "scripts" / "torch_trainer.py"), job, *rest]


def run(command, threads):
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, env=env)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"{command[0]} ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def flops_per_token(shape):
    """Of training, with causal attention counted exactly: 3 · (2·weights + 2·n_layer·d_model·(T + 1))."""
    n_layer, d_model, _, t = SHAPES[shape]
    f = d_ff(d_model)
    weights = n_layer * (4 * d_model**2 + 3 * d_model * f) + VOCAB_SIZE * d_model
    return 3 * (2 * weights + 2 * n_layer * d_model * (t + 1))


def machine():
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"


def versions(scalelaw, python):
    ours = subprocess.run([scalelaw, "--version"], capture_output=True, text=True).stdout.strip()
    theirs = subprocess.run(
        [python, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True
    ).stdout.strip()
    return {"scalelaw": ours, "torch": theirs, "machine": machine()}


def workspace():
    return tempfile.TemporaryDirectory(prefix="scalelaw-bench-")

