"""Trains in as many processes as it is started in; each writes what it saw to a folder."""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import plie
from plie.training import TRADES

generator = torch.Generator().manual_seed(0)
x = torch.rand(90, 6, generator=generator)
y = (x.sum(dim=1) * 3).long() % 3
USUAL = {"epochs": 3, "lr": 0.3, "momentum": 0.9}
RUNS = {
    "clean": {"batch_size": 16},
    "full batch": {"adversary": "pgd-3:eps=0.1"},
    "one left over": {"batch_size": 89, "adversary": "fgsm-rs:eps=0.1"},
    "fgsm-rs": {"batch_size": 16, "adversary": "fgsm-rs:eps=0.1", "eps_warmup": 2},
    "l2": {"batch_size": 16, "adversary": "pgd-3:eps=0.5,norm=l2", "ema": 0.9, "clip": 0.5},
    "trades": {"batch_size": 16, "adversary": "pgd-3:eps=0.1", "loss": TRADES()},
    "statistics": {"batch_size": 30, "adversary": "fgsm-rs:eps=0.1"},
    "loader": {"adversary": "fgsm-rs:eps=0.1"},
    "list": {"adversary": "fgsm-rs:eps=0.1"},
}
DATA = {
    "loader": DataLoader(TensorDataset(x, y), 16, shuffle=True),
    "list": [(x[:50], y[:50]), (x[50:], y[50:])],
}
COLUMNS = ("loss", "score", "validation_loss", "validation_score", "robust", "single_step")


def trained(name, **more):
    torch.manual_seed(1)
    norm = nn.BatchNorm1d(16) if name == "statistics" else nn.Identity()
    model = nn.Sequential(nn.Linear(6, 16), norm, nn.SiLU(), nn.Linear(16, 3))
    how = {**USUAL, **RUNS[name], **more}
    history = plie.train(model, DATA.get(name, (x, y)), validation=(x, y), **how)
    weights = torch.cat([t.detach().double().flatten() for t in model.state_dict().values()])
    return {**{c: getattr(history, c) for c in COLUMNS}, "weights": weights.tolist()}


class StoppedError(Exception):
    """In the middle of an epoch."""


def resumed(folder):
    """The same, stopped in the middle and gone on with."""

    def stop(share):
        if share > 0.5:
            raise StoppedError

    kept = {"checkpoint": folder / "run.safetensors", "checkpoint_steps": 1}
    try:
        trained("fgsm-rs", **kept, progress=stop)
    except StoppedError:
        return trained("fgsm-rs", **kept)
    raise AssertionError("it was not stopped")


if __name__ == "__main__":
    from accelerate import PartialState

    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    found = {name: trained(name) for name in RUNS}
    found["resumed"] = resumed(folder)
    state = PartialState()
    assert state.num_processes == 2
    (folder / f"{state.process_index}.json").write_text(json.dumps(found), "utf-8")
    state.destroy_process_group()
