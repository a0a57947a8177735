"""The PyTorch side of `bench-torch` and `bench-sweep`: the same model, weights, batches and optimizer as scalelaw's.

Reads a job as JSON (see `benchmark.py`), takes its steps, and prints losses, seconds of each step and peak memory
as JSON. Eager PyTorch at its best on a processor: one product for q, k and v and one for gate and up, the built-in
attention, norm and cross-entropy, and the fused AdamW."""

import json
import math
import resource
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def read_safetensors(path):
    data = open(path, "rb").read()
    n = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + n])
    head.pop("__metadata__", None)
    out = {}
    for name, entry in head.items():
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[8 + n + begin : 8 + n + end], dtype="<f4").reshape(entry["shape"])
        out[name] = torch.from_numpy(values.copy())
    return out


class Block(nn.Module):
    def __init__(self, weights, layer, n_head):
        super().__init__()
        of = lambda name: weights[f"model.layers.{layer}.{name}.weight"]
        self.n_head = n_head
        self.norm_1 = nn.Parameter(of("input_layernorm"))
        self.qkv = nn.Parameter(torch.cat([of(f"self_attn.{x}_proj") for x in "qkv"]))
        self.o = nn.Parameter(of("self_attn.o_proj"))
        self.norm_2 = nn.Parameter(of("post_attention_layernorm"))
        self.gate_up = nn.Parameter(torch.cat([of("mlp.gate_proj"), of("mlp.up_proj")]))
        self.down = nn.Parameter(of("mlp.down_proj"))

    def forward(self, x, cos, sin):
        b, t, c = x.shape
        d = c // self.n_head
        h = F.rms_norm(x, (c,), self.norm_1, 1e-5)
        q, k, v = F.linear(h, self.qkv).view(b, t, 3, self.n_head, d).permute(2, 0, 3, 1, 4)

        def rotate(y):
            y1, y2 = y[..., : d // 2], y[..., d // 2 :]
            return torch.cat([y1 * cos - y2 * sin, y2 * cos + y1 * sin], -1)

        y = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True)
        x = x + F.linear(y.transpose(1, 2).reshape(b, t, c), self.o)
        h = F.rms_norm(x, (c,), self.norm_2, 1e-5)
        gate, up = F.linear(h, self.gate_up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.down)


class Model(nn.Module):
    def __init__(self, weights, shape, context_len):
        super().__init__()
        self.embedding = nn.Parameter(weights["model.embed_tokens.weight"])
        self.blocks = nn.ModuleList(Block(weights, i, shape["n_head"]) for i in range(shape["n_layer"]))
        self.norm = nn.Parameter(weights["model.norm.weight"])
        self.head = nn.Parameter(weights["lm_head.weight"])
        d = shape["d_model"] // shape["n_head"]
        angles = torch.arange(context_len)[:, None] * 10000 ** (-torch.arange(0, d, 2) / d)[None]
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, x, y):
        h = F.embedding(x, self.embedding)
        for block in self.blocks:
            h = block(h, self.cos, self.sin)
        h = F.rms_norm(h, (h.shape[-1],), self.norm, 1e-5)
        logits = F.linear(h, self.head)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


def train(job):
    """Losses and seconds of the steps of one run."""
    train, phase, recipe = job["train"], job["train"]["phases"][0], job["train"]["recipe"]
    t, b = phase["context_len"], phase["batch_sequences"]
    model = Model(read_safetensors(job["weights"] + "/weights.safetensors"), train["model"], t)
    params = list(model.parameters())
    adam = recipe["optimizer"]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in params if p.dim() >= 2], "weight_decay": adam["weight_decay"]},
            {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
        ],
        lr=recipe["lr_peak"],
        betas=(adam["beta1"], adam["beta2"]),
        eps=adam["eps"],
        fused=True,
    )
    tokens = np.array(job["tokens"], dtype=np.int64)
    offsets = np.array(job["offsets"], dtype=np.int64)
    forward = torch.compile(model) if job["mode"] == "compiled" else model
    losses, seconds = [], []
    for step in range(phase["steps"]):
        began = time.perf_counter()
        lr = recipe["lr_peak"] * min(1.0, (step + 1) / max(recipe["warmup_steps"], 1))
        for group in optimizer.param_groups:
            group["lr"] = lr
        at = offsets[step * b : (step + 1) * b, None] + np.arange(t + 1)[None]
        text = torch.from_numpy(tokens[at])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=job["mode"] == "bf16"):
            loss = forward(text[:, :-1].contiguous(), text[:, 1:].contiguous())
        loss.backward()
        nn.utils.clip_grad_norm_(params, recipe["grad_clip_norm"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    return losses, seconds


def main():
    job = json.load(open(sys.argv[1]))
    torch.set_num_threads(job["threads"])
    if sys.argv[2:] == ["gemm"]:
        best = 0.0
        for n in (512, 1024, 2048):
            a, c = torch.randn(n, n), torch.randn(n, n)
            if job["mode"] == "bf16":
                a, c = a.bfloat16(), c.bfloat16()
            for _ in range(12):
                began = time.perf_counter()
                a @ c
                best = max(best, 2 * n**3 / (time.perf_counter() - began))
        print(json.dumps({"matmul_flops_per_second": best}))
        return
    losses, seconds = [], []
    for _ in range(job.get("repeats", 1)):
        losses, seconds_of_run = train(job)
        seconds += seconds_of_run
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    finite = all(math.isfinite(x) for x in losses)
    print(json.dumps({"losses": losses, "seconds": seconds, "peak_bytes": peak, "finite": finite}))


if __name__ == "__main__":
    main()
