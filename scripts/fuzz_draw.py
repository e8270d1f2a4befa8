"""Draws layers and stacks of them, each out of one seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from fuzz_judge import FINE, NOT_CALLABLE, Question, Verdict, judge
from fuzz_kinds import BATCH, CORE_KIND, KINDS, Base, Kind, Shape
from fuzz_values import LEFT_OUT, fitted, value_for
from interop_core.options import REQUIRED, parameters

TRIES = 8
"""How often options are drawn for a layer before it is given up."""

LENGTHS = (1, 1, 1, 1, 2, 2, 3, 3, 4, 5)
CHANNELS = (2, 3, 4, 4, 6)
HALF = (jnp.bfloat16, jnp.float16)
DIRECTIONS = ("into", "out")


@dataclass
class Layer:
    """One layer that was drawn.

    Attributes:
        target: its class, or the function.
        options: its constructor arguments.
        seed: of its numbers.
        x: a batch of inputs.
        half: the type that its arrays are cast to, if any.
        model: the layer.
        shape: of its output for one input, once it is known.
    """

    target: Any
    options: dict[str, Any]
    seed: int
    x: Any
    half: Any = None
    model: Any = None
    shape: Shape | None = None

    @property
    def name(self) -> str:
        """The name of the class or function."""
        return str(getattr(self.target, "__name__", None) or type(self.target).__name__)

    def __str__(self) -> str:
        options = ", ".join(f"{name}={brief(value)}" for name, value in self.options.items())
        cast = f" in {jnp.dtype(self.half)}" if self.half is not None else ""
        return f"{self.name}({options}){cast}"


def brief(value: Any) -> str:
    """A value in a line."""
    if isinstance(value, np.ndarray):
        return f"array{value.shape}"
    text = " ".join(repr(value).split())
    return text if len(text) < 80 else f"{text[:77]}..."


@dataclass
class Finding:
    """A model that was judged.

    Attributes:
        verdict: what was found.
        layers: its layers.
        question: the model.
    """

    verdict: Verdict
    layers: list[Layer] = field(default_factory=list)
    question: Question | None = None

    def __str__(self) -> str:
        if self.question is None:
            return ""
        x = self.question.x
        said = "" if self.question.sized else ", shape not said"
        return f"{' -> '.join(map(str, self.layers))} on {x.dtype}{x.shape}{said}"


@dataclass(frozen=True)
class Lane:
    """One direction with one framework.

    Attributes:
        framework: its name.
        direction: ``"into"`` the core or ``"out"`` of it.
    """

    framework: str
    direction: str

    @property
    def kind(self) -> Kind:
        """The side that models are drawn on."""
        return CORE_KIND if self.direction == "out" else KINDS[self.framework]

    def __str__(self) -> str:
        return f"{self.framework} {self.direction}"


def findings(lane: Lane, seed: int) -> Iterator[Finding]:
    """Draw layers by one seed and judge each, and the stack of those that convert."""
    draw = random.Random(seed)
    kind = lane.kind
    layers: list[Layer] = []
    spoiler: Layer | None = None
    x: Any = None
    for _ in range(draw.choice(LENGTHS)):
        layer = _layer(kind, draw, x)
        if layer is None:
            break
        found = _alone(lane, layer, draw)
        yield found
        if found.verdict.bad:
            return
        if found.verdict.kind in FINE and layer.shape is not None and _stackable(kind, layer):
            layers.append(layer)
            x = _input(layer.shape, draw, np.float32)
        elif found.verdict.kind != NOT_CALLABLE and _stackable(kind, layer):
            spoiler = layer
    if len(layers) > 1 or (layers and draw.random() < 0.2):
        yield _stack(lane, layers, draw)
    if layers and spoiler is not None and draw.random() < 0.3:
        yield _stack(lane, [*layers, spoiler], draw)


def _alone(lane: Lane, layer: Layer, draw: random.Random) -> Finding:
    kind = lane.kind
    model = layer.model if isinstance(layer.target, type) else kind.stack([layer.model])
    question = Question(
        kind,
        KINDS[lane.framework],
        model,
        layer.x,
        sized=draw.random() < 0.8,
        by_jax=draw.random() < 0.002,
    )
    verdict = judge(question)
    layer.shape = verdict.shape
    return Finding(verdict, [layer], question)


def _stackable(kind: Kind, layer: Layer) -> bool:
    """Whether the layer can be called in a stack: a framework's cell asks for its carry."""
    return kind is CORE_KIND or not layer.name.endswith("Cell") or layer.name.startswith("Stateful")


def _stack(lane: Lane, layers: list[Layer], draw: random.Random) -> Finding:
    """A stack of the layers; some in a stack inside, or the same layer twice."""
    kind = lane.kind
    models = [layer.model for layer in layers]
    named = list(layers)
    for place, layer in enumerate(layers):
        if layer.shape == layer.x.shape[1:] and draw.random() < 0.3:
            models.insert(place, models[place])
            named.insert(place, layer)
            break
    depth = len(models)
    if depth > 1 and draw.random() < 0.3:
        start = draw.randrange(depth - 1)
        stop = draw.randint(start + 1, depth)
        models[start:stop] = [kind.stack(models[start:stop])]
    question = Question(
        kind,
        KINDS[lane.framework],
        kind.stack(models),
        layers[0].x,
        depth,
        sized=draw.random() < 0.9,
        by_jax=draw.random() < 0.002,
    )
    return Finding(judge(question), named, question)


def _layer(kind: Kind, draw: random.Random, x: Any) -> Layer | None:
    """A layer that its constructor accepts."""
    target, bases = draw.choice(kind.targets)
    for _ in range(TRIES):
        base = draw.choice(bases) if bases and draw.random() < 0.8 else Base({})
        layer = _drawn(kind, target, base, draw, x)
        if "Attention" in layer.name and layer.x.ndim < 3:
            continue  # attention over the batch, which one example of Equinox does not have
        try:
            layer.model = made(kind, layer)
        except Exception:
            continue
        return layer
    return None


def _drawn(kind: Kind, target: Any, base: Base, draw: random.Random, x: Any) -> Layer:
    whole = base.below is not None or "Embed" in getattr(target, "__name__", "")
    shape = base.shape
    if shape is None:
        shape = tuple(draw.choice(CHANNELS) for _ in range(draw.choice((1, 2, 3, 3, 4))))
    if kind.bridge is not CORE_KIND.bridge and kind.bridge.channels_first and len(shape) > 1:
        shape = draw.choice(((shape[-1], *shape[:-1]),) * 3 + (shape,))
    options = dict(base.options)
    if x is not None and not whole:
        shape = tuple(x.shape[1:])
        first = getattr(kind.bridge, "channels_first", False)
        options = fitted(options, shape, first=first, draw=draw)
    else:
        x = _input(shape, draw)
    known = {n: d for n, d in parameters(target).items() if n not in LEFT_OUT}
    for name, default in known.items():
        if default is REQUIRED and name not in options:
            options[name] = value_for(name, default, shape, draw)
    for name in draw.sample(list(known), min(len(known), draw.choice((0, 0, 1, 1, 1, 2, 2, 3, 4)))):
        options[name] = value_for(name, known[name], shape, draw)
    for name in ("key_size", "value_size"):  # what it attends to is its input
        if isinstance(options.get(name), int):
            options[name] = shape[-1] if shape else 1
    if whole:
        rows = options.get("num_embeddings", base.below)
        x = _input(
            tuple(x.shape[1:]), draw, below=rows if isinstance(rows, int) and rows > 0 else 2
        )
    if getattr(target, "__name__", "") == "RReLU":
        options["upper"] = options.get("lower", 0.125)  # it draws its slope in every call
        options["lower"] = options["upper"]
    half = draw.choice(HALF) if draw.random() < 0.08 else None
    return Layer(target, options, draw.randrange(10**6), x, half)


def made(kind: Kind, layer: Layer) -> Any:
    """The layer out of its description; raises what the constructor raises."""
    model = kind.make(layer.target, layer.options, layer.x, layer.seed)
    if layer.half is None:
        return model
    return kind.with_arrays(model, lambda a: a.astype(layer.half))


def _input(shape: Shape, draw: random.Random, dtype: Any = None, below: int | None = None) -> Any:
    """A batch of inputs: numbers, or positions in a table."""
    numbers = np.random.default_rng(draw.randrange(2**32))
    size = (BATCH, *shape)
    if below is not None:
        return numbers.integers(0, below, size, dtype=np.int32)
    if dtype is None:
        dtype = draw.choice(HALF) if draw.random() < 0.06 else np.float32
    return numbers.normal(size=size).astype(np.float32).astype(dtype)


# --- smaller --------------------------------------------------------------------------------------


def shrunk(finding: Finding) -> Finding:
    """A smaller model of which the same is found, for people to read."""
    question = finding.question
    if question is None:
        return finding
    if question.depth > 1:
        return _shorter(finding, question)
    (layer,) = finding.layers
    smaller = finding
    for change in _simpler(layer):
        found = _again(question, change)
        if found is not None and found.verdict.kind == finding.verdict.kind:
            smaller = found
            return shrunk(smaller)
    return smaller


def _simpler(layer: Layer) -> Iterator[Layer]:
    known = parameters(layer.target)
    if layer.half is not None:
        yield replace(layer, half=None)
    for name in layer.options:
        if known.get(name, REQUIRED) is not REQUIRED and layer.options[name] is not known[name]:
            yield replace(layer, options={n: v for n, v in layer.options.items() if n != name})


def _again(question: Question, layer: Layer) -> Finding | None:
    try:
        model = made(question.kind, layer)
    except Exception:
        return None
    model = model if isinstance(layer.target, type) else question.kind.stack([model])
    again = replace(question, model=model, x=layer.x)
    return Finding(judge(again), [replace(layer, model=model)], again)


def _shorter(finding: Finding, question: Question) -> Finding:
    """The shortest run of neighbours of which the same is found."""
    layers = finding.layers
    make: Callable[[Any], Any] = question.kind.stack
    for length in range(1, len(layers) + 1):
        for start in range(len(layers) - length + 1):
            part = layers[start : start + length]
            again = replace(
                question, model=make([layer.model for layer in part]), x=part[0].x, depth=length
            )
            found = Finding(judge(again), part, again)
            if found.verdict.kind == finding.verdict.kind:
                return shrunk(found) if length == 1 else found
    return finding
