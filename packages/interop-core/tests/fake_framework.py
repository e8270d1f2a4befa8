"""A framework made up for these tests, and the bridge to it.

Its layers take one example; images have the channels first. It keeps weights with the outputs
first, so that hardly any array is stored as the core stores it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from interop_core import nn
from interop_core.bridge import Bridge, Build
from interop_core.calling import Call, Outcome, Rebuild, copied, one_by_one
from interop_core.conversion import convert_from, convert_to
from interop_core.core_side import not_a_model
from interop_core.errors import Refusal
from interop_core.function_rows import activation_rows, flatten_row, move_axis_row
from interop_core.functions import function_of, keywords_of, name_of, with_keywords
from interop_core.layout import Layout, Split, axes, chain
from interop_core.mapping import (
    FEATURES,
    HAS,
    OUT_FEATURES,
    SPATIAL,
    Config,
    Iso,
    LayerMap,
    Only,
    Opt,
    Refused,
    Unconvertible,
    case,
    ignored,
    iso,
    leaf,
)
from interop_core.options import parameters
from interop_core.testing import Harness


def _draw(seed: int, *shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), shape)


class Layer:
    """What every layer is made from: its arrays are the attributes in ``arrays``."""

    arrays: tuple[str, ...] = ()


class Dense(Layer):
    """An affine map of a vector."""

    arrays = ("matrix", "offset")

    def __init__(self, inputs: int, outputs: int, bias: bool = True, *, seed: int = 0) -> None:
        self.inputs, self.outputs, self.bias = inputs, outputs, bias
        self.matrix: Any = _draw(seed, outputs, inputs)
        self.offset: Any = jnp.zeros(outputs) if bias else None

    def __call__(self, x: Any) -> Any:
        if x.ndim != 1:
            raise ValueError(f"Dense takes a vector, got the shape {x.shape}")
        y = self.matrix @ x
        return y if self.offset is None else y + self.offset


class Halves(Layer):
    """A Dense layer without offset, whose matrix is kept in two parts by inputs."""

    arrays = ("first", "second")

    def __init__(self, inputs: int, outputs: int, *, seed: int = 0) -> None:
        self.inputs, self.outputs = inputs, outputs
        half = inputs // 2
        self.first: Any = _draw(seed, outputs, half)
        self.second: Any = _draw(seed + 1, outputs, inputs - half)

    def __call__(self, x: Any) -> Any:
        half = self.inputs // 2
        return self.first @ x[:half] + self.second @ x[half:]


class Filter(Layer):
    """A 2-D convolution of an image, channels first, without padding."""

    arrays = ("kernel", "offset")

    def __init__(
        self, inputs: int, outputs: int, window: Any, bias: bool = True, *, seed: int = 0
    ) -> None:
        self.inputs, self.outputs, self.window, self.bias = inputs, outputs, window, bias
        self.kernel: Any = _draw(seed, outputs, inputs, *window)
        self.offset: Any = jnp.zeros(outputs) if bias else None

    def __call__(self, x: Any) -> Any:
        y = jax.lax.conv(x[None], self.kernel, (1, 1), "VALID")[0]
        return y if self.offset is None else y + self.offset[:, None, None]


class Table(Layer):
    """Vectors by number; the one layer whose array is stored as in the core."""

    arrays = ("table",)

    def __init__(self, rows: int, width: int, *, seed: int = 0) -> None:
        self.rows, self.width = rows, width
        self.table: Any = _draw(seed, rows, width)

    def __call__(self, x: Any) -> Any:
        return self.table[x]


class Oddity(Layer):
    """A layer that the core has no counterpart for."""


class Apply(Layer):
    """A plain function as a layer."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, x: Any) -> Any:
        return self.function(x)


class Over(Layer):
    """A layer at every position of leading axes."""

    def __init__(self, layer: Any, axes: int) -> None:
        self.layer, self.axes = layer, axes

    def __call__(self, x: Any) -> Any:
        function = self.layer
        for _ in range(self.axes):
            function = jax.vmap(function)
        return function(x)


class Stack(Layer):
    """Layers one after the other."""

    def __init__(self, *layers: Any) -> None:
        self.layers = list(layers)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


def _has_bias(config: Config) -> bool:
    return config["b_init"] is not None


def _halves(config: Config) -> Layout:
    size = config["in_size"][-1]
    return chain(axes("i o -> o i"), Split((size // 2, size - size // 2), axis=1))


NO_DTYPE = (Only("core", "dtype", None), Only("core", "precision", None))
NO_MASK = Only("core", "w_mask", None, "multiply the weight by the mask")

DENSE = LayerMap(
    nn.Linear,
    Dense,
    (
        Opt("in_size", "inputs", FEATURES),
        Opt("out_size", "outputs", OUT_FEATURES),
        Opt("b_init", "bias", HAS),
        NO_MASK,
        *NO_DTYPE,
    ),
    (
        leaf("weight.weight", "matrix", axes("i o -> o i")),
        leaf("weight.bias", "offset", when=_has_bias),
    ),
    cases=(
        case(in_size=3, out_size=4),
        case(in_size=3, out_size=4, b_init=None),
        case(in_size=(5, 3), out_size=(5, 4)),
    ),
    foreign_cases=(case(inputs=3, outputs=2, input=(3,)),),
    refusals=(Refused("core", case(in_size=3, out_size=4, w_mask=0.5), r"w_mask=0\.5"),),
    example_rank=lambda config: 1,
)
HALVES = LayerMap(
    nn.Linear,
    Halves,
    (
        Opt("in_size", "inputs", FEATURES),
        Opt("out_size", "outputs", OUT_FEATURES),
        Only("core", "b_init", None),
        NO_MASK,
        *NO_DTYPE,
    ),
    (leaf("weight.weight", "first second", _halves),),
    foreign_cases=(case(inputs=5, outputs=2, input=(5,)),),
    example_rank=lambda config: 1,
    exports=False,
)
FILTER = LayerMap(
    nn.Conv2d,
    Filter,
    (
        Opt("in_size", "inputs", SPATIAL),
        Opt("out_channels", "outputs"),
        Opt("kernel_size", "window"),
        Opt("b_init", "bias", HAS),
        Only("core", "padding", "VALID", "pad in front of the layer"),
        Only("core", "stride", (1, 1)),
        Only("core", "lhs_dilation", (1, 1)),
        Only("core", "rhs_dilation", (1, 1)),
        Only("core", "groups", 1),
        Only("core", "padding_mode", "ZEROS"),
        Only("core", "channel_first", False),
        NO_MASK,
        *NO_DTYPE,
    ),
    (
        leaf("weight.weight", "kernel", axes("h w i o -> o i h w")),
        leaf("weight.bias", "offset", axes("1 1 o -> o"), when=_has_bias),
    ),
    cases=(
        case(in_size=(5, 6, 2), out_channels=3, kernel_size=(2, 3), padding="VALID"),
        case(
            in_size=(5, 6, 2),
            out_channels=3,
            kernel_size=(2, 3),
            padding="VALID",
            b_init=nn.init.ZeroInit(),
        ),
    ),
    foreign_cases=(case(inputs=2, outputs=3, window=(2, 2), input=(5, 6, 2)),),
    refusals=(
        Refused("core", case(in_size=(5, 6, 2), out_channels=3, kernel_size=2), "padding='SAME'"),
    ),
    channels="first",
)
TABLE = LayerMap(
    nn.Embedding,
    Table,
    (
        Opt("num_embeddings", "rows"),
        Opt("embedding_size", "width", iso(lambda size: size[-1], lambda n: (n,), "as a tuple")),
        Only("core", "padding_idx", None),
        Only("core", "max_norm", None),
        ignored("core", "norm_type", "it means something beside max_norm alone"),
        Only("core", "scale_grad_by_freq", False),
        Only("core", "freeze", False),
        Only("core", "dtype", None),
    ),
    (leaf("weight", "table"),),
    cases=(case(num_embeddings=7, embedding_size=3, input=(), below=7),),
    example_rank=lambda config: 0,
)


def _from_the_end(axis: int, config: Config) -> int:
    if axis >= 0 and config["example"] is None:
        raise Refusal("the axis is counted from the front", "pass sample_input")
    return axis if axis < 0 else axis - len(config["example"])


class FakeBridge:
    """The framework as one side of a conversion."""

    name = "fake"
    label = "Fakery"
    prefix = "fake."
    function_title = "fake.Apply({})"
    rows: tuple[LayerMap, ...] = (
        DENSE,
        HALVES,
        FILTER,
        TABLE,
        *activation_rows()[:2],
        flatten_row(),
        move_axis_row(Iso(lambda axis, _: axis, _from_the_end, "from the end")),
    )
    unconvertible: tuple[Unconvertible, ...] = (
        Unconvertible(Oddity, "it draws numbers as it runs", "leave it out"),
    )
    unconvertible_core: tuple[Unconvertible, ...] = (
        Unconvertible(nn.Dropout, "nothing here is random"),
    )
    ignored = frozenset({"seed"})
    channels_first = True

    def check(self, model: Any) -> None:
        """Raise `NotAModelError` for what is no layer."""
        if not isinstance(model, Layer):
            raise not_a_model(model, self.label)

    def key(self, node: Any) -> Hashable:
        """The class; the function of an `Apply`; the class of the layer inside an `Over`."""
        inner = _inner(node)
        if type(inner) is Apply:
            return function_of(inner.function)
        kind: Any = type(inner)
        return kind  # type: ignore[no-any-return]

    def title(self, node: Any) -> str:
        """``fake.Dense``."""
        inner = _inner(node)
        if type(inner) is Apply:
            return self.function_title.format(name_of(inner.function))
        return self.prefix + type(inner).__name__

    def identity(self, node: Any) -> Hashable:
        """One object, one layer."""
        return id(_inner(node))

    def children(self, node: Any) -> Sequence[Any] | None:
        """The elements of a stack."""
        if type(node) is not Stack:
            return None
        strays = sorted(vars(node).keys() - {"layers"})
        if strays:
            raise Refusal(f"holds {', '.join(strays)} besides its layers")
        return node.layers

    def holds_layers(self, node: Any) -> bool:
        """Whether it is a stack with a class of its own, or layers stand below it."""
        return any(isinstance(part, Layer | list) for part in vars(node).values())

    def config(self, node: Any) -> dict[str, Any]:
        """What the constructor was given."""
        inner = _inner(node)
        if type(inner) is Apply:
            return keywords_of(inner.function)
        held = vars(inner)
        kind: Any = type(inner)
        return {name: held[name] for name in parameters(kind) if name in held}

    def audit(self, node: Any) -> None:
        """A layer is what its constructor was given."""

    def leaves(self, node: Any) -> Mapping[str, Any]:
        """The arrays that are there."""
        inner = _inner(node)
        held = vars(inner)
        return {name: held[name] for name in inner.arrays if held[name] is not None}

    def builder(self, target: Any, options: Config, names: tuple[str, ...]) -> Build:
        """Make a layer without running its constructor."""
        if not isinstance(target, type):
            function = with_keywords(target, options)
            return lambda _: Apply(function)
        blank = {
            **{n: default for n, default in parameters(target).items() if n != "seed"},
            **dict.fromkeys(getattr(target, "arrays", ())),
            **options,
        }

        def build(arrays: Sequence[Any]) -> Any:
            layer: Any = object.__new__(target)
            vars(layer).update(blank, **dict(zip(names, arrays, strict=True)))
            return layer

        return build

    def stack(self, layers: Sequence[Any]) -> Stack:
        """A `Stack`."""
        return Stack(*layers)

    def lift(self, layer: Any, axes: int) -> Any:
        """An `Over`."""
        return Over(layer, axes)

    def lifted(self, node: Any) -> int:
        """The axes of an `Over`."""
        return node.axes if type(node) is Over else 0

    def lend(self, node: Any) -> Any:
        """The layer."""
        return node

    def adopt(self, layer: Any) -> Any:
        """The layer."""
        return layer

    def call(self, node: Any, call: Call) -> Outcome:
        """Map the layer over the batch."""
        y, carry = one_by_one(lambda x, carry, *others: (node(x, *others), carry), call)
        return Outcome(y, carry, node)

    def parameters(self, node: Any) -> tuple[Any, Rebuild]:
        """The arrays of all layers, in the order of the model."""
        found: dict[int, Any] = {}
        _replaced(node, lambda array: found.setdefault(len(found), array), {})

        def rebuild(arrays: Any) -> Any:
            order = iter(arrays)
            return _replaced(node, lambda _: arrays[next(order)], {})

        return found, rebuild

    def duplicate(self, node: Any) -> Any:
        """A layer with copies of its arrays."""
        return _replaced(node, copied, {})


def _replaced(node: Any, change: Callable[[Any], Any], known: dict[int, Any]) -> Any:
    """A model with other arrays; a layer that stands twice stays one."""
    if id(node) not in known:
        held = dict(vars(node))
        for name, value in held.items():
            if name in node.arrays and value is not None:
                held[name] = change(value)
            elif isinstance(value, Layer):
                held[name] = _replaced(value, change, known)
            elif isinstance(value, list):
                held[name] = [_replaced(layer, change, known) for layer in value]
        made: Any = object.__new__(type(node))
        vars(made).update(held)
        known[id(node)] = made
    return known[id(node)]


def _inner(node: Any) -> Any:
    return node.layer if type(node) is Over else node


BRIDGE: Bridge = FakeBridge()


def to_fake(model: nn.Module, **options: Any) -> Any:
    """Out of the core."""
    return convert_to(BRIDGE, model, **options)


def from_fake(model: Any, *, sample_input: Any = None, **options: Any) -> Any:
    """Into the core."""
    return convert_from(BRIDGE, model, sample_input=sample_input, **options)


class FakeHarness(Harness):
    """How its layers are made and called."""

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Run the constructor."""
        if not isinstance(target, type):
            return Apply(with_keywords(target, options))
        return target(**options)


HARNESS = FakeHarness(BRIDGE, to_fake, from_fake)
