"""Parameters, operations, activations and peak activation memory of any network.

One forward pass is enough, and on the meta device it costs milliseconds: nothing is computed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from mogabench.errors import UserError
from mogabench.layers.fusion import fuse
from mogabench.measure.code import counter_code, network_code
from mogabench.measure.conventions import paper_operations
from mogabench.measure.memory import LiveStorage
from mogabench.measure.meta import Replay, SkipInitialisation
from mogabench.measure.operators import Work, attention_work, formula, free
from mogabench.paper import CONVENTIONS
from mogabench.tasks import get_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch._ops import OpOverload

    from mogabench.subject import Subject


@dataclass(frozen=True)
class ModuleNode:
    """One module's share, its children's included.

    A module or parameter that is used in several places is listed at the first.

    Attributes:
        name: Its name within its parent; empty for the whole network.
        type: The name of its class.
        parameters: Number of parameters, elements.
        operations: Multiply-accumulates by convention.
        children: Its submodules, in order.
    """

    name: str
    type: str
    parameters: int
    operations: Mapping[str, int]
    children: tuple[ModuleNode, ...]


@dataclass(frozen=True)
class Complexity:
    """What one forward pass of a network takes.

    Attributes:
        parameters: Number of parameters, elements; shared ones once.
        trainable_parameters: Those that require a gradient.
        operations: Multiply-accumulates by convention; see ``conventions.py``.
        activations: Elements that convolutions, linear layers and matrix products write, as
            fvcore counts them; attention writes its scores and its output, fused or not.
        peak_activation_memory: Bytes of tensors alive at once, at most: the inputs, and what the
            operators return. Parameters, buffers and an operator's workspace are left out.
        unknown: Calls of operators that have no formula and are not known to be free, by name.
        tree: The same module by module.
        code: Digests of the project's modules behind the network, and of those that counted.
    """

    parameters: int
    trainable_parameters: int
    operations: Mapping[str, int]
    activations: int
    peak_activation_memory: int
    unknown: Mapping[str, int]
    tree: ModuleNode
    code: Mapping[str, str] = field(default_factory=dict)


def count(model: nn.Module, *inputs: Tensor) -> Complexity:
    """Counts one forward pass.

    Args:
        model: The network, in the mode (usually evaluation) that is to be counted; best on the
            meta device, and built for counting, as tensors that it caches cannot be trained with.
        inputs: Its arguments, on the same device.
    """
    counter = _Counter(model)
    counter.memory.add(inputs)
    with (
        torch.inference_mode(),
        inputs[0].device,
        _separate_attention(),
        _flex_attention_counted(),
        counter.following_modules(),
        counter,
    ):
        model(*inputs)
    tree = _node("", model, counter.operations, set())
    return Complexity(
        parameters=tree.parameters,
        trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        operations=tree.operations,
        activations=counter.activations,
        peak_activation_memory=counter.memory.peak,
        unknown=dict(counter.unknown),
        tree=tree,
    )


def count_subject(subject: Subject) -> Complexity:
    """Builds a subject's network on the meta device and counts it at batch size 1.

    Raises:
        UserError: The subject's task or backbone is unknown, an option does not fit, or the part is
            not there.
    """
    task = get_task(subject.task)
    with torch.device("meta"):
        inputs = task.example_inputs(subject)
        with SkipInitialisation():
            built = task.build(subject).eval()
            model = built if subject.form is None else fuse(built).requires_grad_()
    code = network_code(subject, built) | counter_code()
    counted = replace(count(model, *inputs), code=code)
    return counted if subject.part is None else part_of(counted, model, subject.part)


def part_of(counted: Complexity, model: nn.Module, pattern: str) -> Complexity:
    """The parameters and operations of some modules of a counted model.

    Activations and memory stay those of the whole pass.

    Args:
        counted: The count of the whole model.
        model: What was counted.
        pattern: A regular expression; modules whose whole dotted name it matches are taken with
            their children, such as ``neck|.*attn``.

    Raises:
        UserError: The pattern is not a regular expression, or matches no module.
    """
    try:
        named = re.compile(pattern)
    except re.error as error:
        raise UserError(f"'{pattern}' is not a regular expression: {error}") from error
    parts = list(_matching(counted.tree, "", named))
    if not parts:
        raise UserError(f"no module's name matches '{pattern}'")
    trained = {
        parameter: parameter.numel()
        for name, _ in parts
        for parameter in model.get_submodule(name).parameters()
        if parameter.requires_grad
    }
    return replace(
        counted,
        parameters=sum(node.parameters for _, node in parts),
        trainable_parameters=sum(trained.values()),
        operations={
            convention: sum(node.operations[convention] for _, node in parts)
            for convention in counted.operations
        },
    )


def _matching(
    node: ModuleNode, prefix: str, named: re.Pattern[str]
) -> Iterator[tuple[str, ModuleNode]]:
    """The uppermost modules whose names match, with their dotted names."""
    for child in node.children:
        name = f"{prefix}{child.name}"
        if named.fullmatch(name):
            yield name, child
        else:
            yield from _matching(child, f"{name}.", named)


class _Counter(TorchDispatchMode):
    """Sees every operator of a forward pass, and which module called it.

    Attributes:
        operations: What each module itself did, without its children, by convention.
        activations: Elements written, in all.
        unknown: Calls of unknown operators by name.
        memory: The storages alive.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.operations = {module: dict.fromkeys(CONVENTIONS, 0) for module in model.modules()}
        self.activations = 0
        self.unknown: Counter[str] = Counter()
        self.memory = LiveStorage(ignored=[*model.parameters(), *model.buffers()])
        self._running = [model]
        self._run = Replay()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs and counts an operator; one without a formula is split into others if it can be."""
        kwargs = kwargs or {}
        if any(arg.layout is not torch.strided for arg in args if isinstance(arg, Tensor)):
            # How many elements of a sparse tensor are multiplied is not in its shape.
            self.unknown[f"{func._schema.name} of a sparse tensor"] += 1
            return func(*args, **kwargs)
        cost = formula(func)
        if cost is None:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
            self.unknown[func._schema.name] += 1
            cost = free
        result = self._run(func, args, kwargs)
        if cost is not free:
            self.add(cost(args, result))
        self.memory.add(result)
        return result

    def add(self, work: Work) -> None:
        """Adds what an operator costs to the module that is running."""
        own = self.operations[self._running[-1]]
        own["matmul"] += work.matmul
        own["fvcore"] += work.fvcore
        self.activations += work.activations

    @contextmanager
    def following_modules(self) -> Iterator[None]:
        """A context in which the module that is running is known."""
        entering = register_module_forward_pre_hook(self._enter)
        leaving = register_module_forward_hook(self._leave, with_kwargs=True)
        try:
            yield
        finally:
            entering.remove()
            leaving.remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        made_on_the_fly = module not in self.operations
        self._running.append(self._running[-1] if made_on_the_fly else module)

    def _leave(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        source = args[0] if args else next(iter(kwargs.values()), None)
        self.operations[self._running.pop()]["paper"] += paper_operations(module, source, out)


@contextmanager
def _flex_attention_counted() -> Iterator[None]:
    """Lets ``flex_attention`` be called on the meta device, without compiling, and counted.

    Nothing is done where nobody has imported it: its module takes a third of a second.
    """
    module = sys.modules.get("torch.nn.attention.flex_attention")
    if module is None:
        yield
        return
    if _Counter not in module.flex_attention_hop.python_key_table:
        module.flex_attention_hop.py_impl(_Counter)(_count_flex_attention)
    with (
        patch.object(module, "_validate_device", lambda *_: None, create=True),
        patch.object(module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True, create=True),
    ):
        yield


def _count_flex_attention(
    counter: _Counter, query: Tensor, key: Tensor, value: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    """Counts it as attention without a mask; the result has the right shapes, and no values."""
    counter.add(attention_work(query, key, value))
    out = query.new_zeros((*query.shape[:-1], value.shape[-1]))
    return out, query.new_zeros(query.shape[:-1]), query.new_zeros(query.shape[:-1])


@contextmanager
def _separate_attention() -> Iterator[None]:
    """Keeps ``nn.MultiheadAttention`` from running as one operator with its linear layers."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _node(
    name: str,
    module: nn.Module,
    own: Mapping[nn.Module, Mapping[str, int]],
    seen: set[nn.Module | nn.Parameter],
) -> ModuleNode:
    """The module's tree; ``seen`` collects what is listed, so that nothing is listed twice."""
    parameters = set(module.parameters(recurse=False)) - seen
    seen |= {module, *parameters}
    children = tuple(
        _node(child_name, child, own, seen)
        for child_name, child in module.named_children()
        if child not in seen
    )
    return ModuleNode(
        name=name,
        type=type(module).__name__,
        parameters=sum(p.numel() for p in parameters) + sum(c.parameters for c in children),
        operations={
            convention: own[module][convention] + sum(c.operations[convention] for c in children)
            for convention in CONVENTIONS
        },
        children=children,
    )
