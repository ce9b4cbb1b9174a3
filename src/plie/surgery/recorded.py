"""What a model computes on a batch, as it runs: the same graph that torch.fx makes of a source.

Modules that are whole are one node each, functions of torch in everything else another. A tensor
is known by itself, so that the model may compute it in whatever way; what is written over is what
the writing made of it. Nothing is kept of the tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from plie.batches import EMPTY, each, naming, run
from plie.errors import InputError
from plie.units import open_modules

UNSEEN = "tensor of unseen origin"


def recorded(model: nn.Module, batches: Any, is_whole: Callable[[nn.Module], bool]) -> fx.Graph:
    """The graph of what the model computes on each of the batches.

    Args:
        model: run in evaluation mode; hooks are gone afterwards.
        batches: a tensor, or batches as `plie.batches.run` takes them.
        is_whole: whether a module is one node.

    Raises:
        InputError: no batch, or one on which the model fails or goes another way.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> graph = recorded(model, torch.zeros(1, 2), lambda module: True)
    >>> [node.op for node in graph.nodes]
    ['placeholder', 'call_module', 'call_module', 'output']
    """
    graph: fx.Graph | None = None
    for n, batch in enumerate(each(batches), start=1):
        with naming(batch, n, type(model).__name__):
            made = _recorded(model, batch, is_whole)
        if graph is not None and _shape(made) != _shape(graph):
            raise InputError(
                f"{type(model).__name__} computes other steps on one batch than on another, so "
                "that the order of its layers is not known"
            )
        graph = made
    if graph is None:
        raise InputError(EMPTY)
    return graph


def _shape(graph: fx.Graph) -> list[tuple[str, str, list[int]]]:
    order = {node: i for i, node in enumerate(graph.nodes)}
    return [
        (node.op, str(node.target), [order[before] for before in node.all_input_nodes])
        for node in graph.nodes
    ]


def _recorded(model: nn.Module, batch: Any, is_whole: Callable[[nn.Module], bool]) -> fx.Graph:
    recorder = _Recorder(model)
    with ExitStack() as stack:
        for name, module in open_modules(model):
            before, after = recorder.hooks(name, bool(name) and is_whole(module))
            stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(after, always_call=True).remove)
        stack.enter_context(recorder)
        run(model, batch)
    return recorder.graph


class _Recorder(TorchFunctionMode):
    """Where in the model the computation is, and the nodes of what was computed."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.path: list[str] = []
        self.begun: list[_Begun] = []  # modules that are whole, one within another
        self.nodes: Any = WeakIdKeyDictionary()
        self.modules = dict(model.named_modules())
        own = chain(model.named_parameters(), model.named_buffers())
        self.names = {id(tensor): name for name, tensor in own}

    def hooks(self, name: str, whole: bool) -> tuple[Any, Any]:
        """What to call before and after a module's forward."""

        def before(module: nn.Module, args: Any, kwargs: Any) -> None:  # noqa: ARG001
            if not self.path:
                for tensor in _tensors((args, kwargs)):
                    self.nodes[tensor] = self.graph.placeholder("input")
            self.path.append(name)
            if whole:
                self.begun.append(_Begun(self, args, kwargs))

        def after(module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG001
            self.path.pop()
            if whole:
                begun = self.begun.pop()
                if not self.begun:
                    self.add("call_module", name, begun, output)
            if not self.path:
                self.graph.output(tuple(self.node(tensor) for tensor in _tensors(output)))

        return before, after

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.begun or not self.path:
            return func(*args, **kwargs)
        if func is functional.batch_norm and isinstance(self.modules[self.path[-1]], _BatchNorm):
            # Of a normalisation with parts of its own, as timm has them: it is the module's step.
            begun, result = _Begun(self, args[:1], {}), func(*args, **kwargs)
            self.add("call_module", self.path[-1], begun, result)
            return result
        begun, result = _Begun(self, args, kwargs), func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if getattr(Tensor, name, None) is func:
            self.add("call_method", name, begun, result)
        else:
            self.add("call_function", func, begun, result)
        return result

    def node(self, tensor: Tensor) -> fx.Node:
        """What computed it, or that it is the model's own."""
        if tensor not in self.nodes:
            name = self.names.get(id(tensor))
            made = self.graph.create_node(
                "placeholder" if name is None else "get_attr", UNSEEN if name is None else name
            )
            self.nodes[tensor] = made
        return self.nodes[tensor]  # type: ignore[no-any-return]

    def add(self, op: str, target: Any, begun: _Begun, result: Any) -> None:
        """A step that is over, if it made a tensor or wrote over one."""
        made, changed = _tensors(result), begun.changed()
        if not made and not changed:
            return
        node = self.graph.create_node(op, target, begun.args, begun.kwargs)
        node.meta["nn_module_stack"] = {self.path[-1]: None}
        for tensor in (*made, *self._alike(changed)):
            self.nodes[tensor] = node

    def _alike(self, changed: list[Tensor]) -> list[Tensor]:
        """Every tensor that lies in the same memory."""
        memory = {_memory(tensor) for tensor in changed}
        return [t for t in list(self.nodes) if changed and _memory(t) in memory]


class _Begun:
    """A call as it begins: the nodes that go in, and what the tensors were."""

    def __init__(self, recorder: _Recorder, args: Any, kwargs: Any) -> None:
        self.tensors = [(t, _version(t)) for t in _tensors((args, kwargs))]
        given = ((), {}) if recorder.begun else (args, kwargs)
        self.args, self.kwargs = tree_map_only(Tensor, recorder.node, given)

    def changed(self) -> list[Tensor]:
        """What was written over since."""
        return [tensor for tensor, version in self.tensors if _version(tensor) != version]


def _tensors(given: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(given) if isinstance(leaf, Tensor)]


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _memory(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # a sparse tensor has several
        return id(tensor)
