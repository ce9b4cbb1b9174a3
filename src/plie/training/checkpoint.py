"""A training's whole state in one file: tensors as safetensors has them, the rest as JSON.

The JSON lies in the file's own header, so that both are always of one moment. Nothing in it is
code: to read a checkpoint runs nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Sized
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from plie.errors import InputError
from plie.recipe import is_whole
from plie.store import write_atomically
from plie.training.sources import Loader, Source, Tensors

FORMAT = 1
State = tuple[dict[str, Tensor], dict[str, Any]]


class Checkpoints:
    """When the state is kept, and where.

    Args:
        path: of the file; its folder is made.
        settings: everything that the training depends on, as JSON has it.
        steps: updates after which it is kept, besides the end of each epoch.
        seconds: likewise.

    Raises:
        InputError: steps or seconds that are not positive, or a folder for a file.
    """

    def __init__(
        self,
        path: str | Path,
        settings: dict[str, Any],
        steps: int | None = None,
        seconds: float | None = None,
    ) -> None:
        for what, given in (("steps", steps), ("seconds", seconds)):
            if given is not None and not given > 0:
                raise InputError(f"a checkpoint is kept every so many {what}, above 0, not {given}")
        if steps is not None and not is_whole(steps):
            raise InputError(f"a checkpoint is kept after a whole number of steps, not {steps}")
        if Path(path).is_dir():
            raise InputError(
                f"a checkpoint is a file, such as 'run.safetensors', not the folder '{path}'"
            )
        self.path, self.settings = Path(path), json.loads(json.dumps(settings))
        self.steps, self.seconds, self.kept = steps, seconds, time.monotonic()

    def is_due(self, step: int) -> bool:
        """Whether to keep the state after ``step`` updates of an epoch, from 1."""
        if self.seconds is not None and time.monotonic() - self.kept >= self.seconds:
            return True
        return self.steps is not None and step % self.steps == 0

    def save(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Keep a state: the file is afterwards the new one, or still the old."""
        from safetensors.torch import save_file

        whole = {"format": FORMAT, "settings": self.settings, **record}
        copies = {name: _copy(tensor) for name, tensor in tensors.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            self.path, lambda path: save_file(copies, path, {"plie": json.dumps(whole)})
        )
        self.kept = time.monotonic()

    def load(self) -> State | None:
        """The state that was kept last; None where there is none.

        Raises:
            InputError: a file that is no checkpoint, or one of other settings.
        """
        if not self.path.exists():
            return None
        tensors, record = read(self.path)
        if record["settings"] != self.settings:
            raise InputError(
                f"'{self.path}' belongs to another training: "
                f"{difference(record['settings'], self.settings)}; name another file, or delete it"
            )
        return tensors, record


def read(path: Path, tensors: bool = True) -> State:
    """Tensors and record of a checkpoint; the record alone takes no time.

    Raises:
        InputError: a file that is none.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            record = json.loads((file.metadata() or {}).get("plie", "{}"))
            names = file.keys() if tensors else ()
            found = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"'{path}' is no checkpoint that can be read: {error}") from None
    if record.get("format") != FORMAT:
        raise InputError(f"'{path}' is no checkpoint of this release")
    return found, record


def difference(old: Any, new: Any, name: str = "") -> str:
    """The first setting that differs, in words.

    >>> difference({"recipe": {"lr": 0.1}}, {"recipe": {"lr": 0.2}})
    'recipe.lr was 0.1 and is 0.2'
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                return difference(old.get(key), new.get(key), f"{name}.{key}".lstrip("."))
    texts = [" ".join(str(value).split()) for value in (old, new)]
    places = enumerate(zip_longest(*texts))
    first = next((place for place, (a, b) in places if a != b), 0)
    shown = (text if len(text) <= 60 else f"…{text[max(first - 20, 0) :][:60]}…" for text in texts)
    return "{} was {} and is {}".format(name, *shown)


def described(thing: object) -> str:
    """A text of what it is, without addresses in memory."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(thing))


def described_function(given: object) -> str:
    """The same of what is called: of a function its code, and what it was made with.

    Values that it finds elsewhere when it is called, in its module say, cannot be seen.

    Raises:
        InputError: an object of which nothing tells what it computes.

    >>> described_function(lambda x: x) == described_function(lambda x: 2 * x)
    False
    """
    if isinstance(given, FunctionType):
        cells = (cell.cell_contents for cell in given.__closure__ or ())
        held = [value for value in cells if value is not given]  # one that calls itself
        made = [given.__defaults__ or (), sorted((given.__kwdefaults__ or {}).items()), held]
        parts = [
            _code(given.__code__),
            *(described_function(value) for group in made for value in group),
        ]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        return f"{given.__module__}.{given.__qualname__} {digest[:16]}"
    if isinstance(given, MethodType):
        return f"{described_function(given.__func__)} of {described_function(given.__self__)}"
    if isinstance(given, partial):
        held = [given.func, *given.args, *(v for _, v in sorted(given.keywords.items()))]
        return f"partial of {', '.join(map(described_function, held))} by {sorted(given.keywords)}"
    text = repr(given)
    if " at 0x" in text:
        raise InputError(
            f"a checkpoint cannot tell this {type(given).__name__} from another; give its class a "
            "__repr__ that shows its settings, as a dataclass has, or take a function"
        )
    return text


def _code(code: CodeType) -> str:
    """What the code does, wherever it is written."""
    constants = (
        _code(each) if isinstance(each, CodeType)
        else str(sorted(map(repr, each))) if isinstance(each, frozenset)  # in no order of its own
        else repr(each)
        for each in code.co_consts
    )  # fmt: skip
    return "\n".join([code.co_code.hex(), *code.co_names, *constants])


def description_of(source: Source | None) -> dict[str, Any] | None:
    """What tells the points of one training from those of another, as far as they can be seen."""
    if isinstance(source, Tensors):
        digest = hashlib.sha256()
        for tensor in (source.x, source.y):
            digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return {"points": len(source.y), "content": digest.hexdigest()[:16]}
    if isinstance(source, Loader):
        data = getattr(source.given, "dataset", None)
        points = len(data) if isinstance(data, Sized) else None
        size = getattr(source.given, "batch_size", None)
        return {"batches": source.steps, "points": points, "batch_size": size}
    return None


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name.

    Raises:
        InputError: state that is no tensor, which nothing but a pickle could keep.
    """
    state = model.state_dict()
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InputError(f"the model's state '{name}' is no tensor; it cannot be kept")
    return dict(state)


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """Tensors by name, and the rest."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for number, entries in optimizer.state_dict()["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{number}/{name}"] = value
            else:
                rest[f"{number}/{name}"] = value
    return tensors, rest


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], rest: dict[str, Any]
) -> None:
    """Go on from a state."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in (*tensors.items(), *rest.items()):
        number, _, entry = name.partition("/")
        state.setdefault(int(number), {})[entry] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that.

    >>> under("model/", {"model/bias": torch.zeros(1), "best/bias": torch.ones(1)})
    {'bias': tensor([0.])}
    """
    return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}


def random_state(device: torch.device) -> dict[str, Tensor]:
    """What torch's own random numbers go on from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random(state: dict[str, Tensor], device: torch.device) -> None:
    """Go on from there."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _copy(tensor: Tensor) -> Tensor:
    """Safetensors refuses memory that two names share."""
    return tensor.detach().to("cpu", copy=True).contiguous()
