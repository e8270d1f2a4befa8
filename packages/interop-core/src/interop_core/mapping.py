"""What one layer is on the other side: options, arrays and test cases in one row of data.

Imports `errors`, `holding`, `iso`, `layout` and one initializer of `nn`. A row knows nothing of how
a framework builds or reads a layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import InteropError, MissingShapeError, Refusal
from .holding import Part
from .iso import COMPLEMENT as COMPLEMENT
from .iso import SAME as SAME
from .iso import Config as Config
from .iso import Iso as Iso
from .iso import iso as iso
from .iso import table as table
from .layout import IDENTITY, Layout
from .nn.init import ZeroInit

Side = Literal["core", "foreign"]


@dataclass(frozen=True, slots=True)
class Opt:
    """An option that both sides have.

    Attributes:
        core: the core layer's parameter.
        foreign: the foreign layer's; a name that ends in ``.shape`` is read off an array and not
            passed to the constructor.
        iso: how the values correspond.
    """

    core: str
    foreign: str
    iso: Iso = SAME


@dataclass(frozen=True, slots=True)
class Only:
    """An option of one side that must hold this value to convert, and is given it on the way."""

    side: Side
    name: str
    value: Any
    advice: str = ""


def _any_value(_: Any, __: Config) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Given:
    """An option of one side that the other has no word for and need not have one.

    Attributes:
        side: whose option it is.
        name: the option.
        value: what it is given on the way in.
        check: called with a value on the way out and its side's configuration; raises `Refusal`
            for a value that the layer's counterpart does not stand for.
        reason: why leaving it out changes nothing, for the documentation.
    """

    side: Side
    name: str
    value: Any
    check: Callable[[Any, Config], None] = _any_value
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Options of one side that change nothing of the function computed, by name and reason."""

    side: Side
    names: tuple[str, ...]
    reason: str


def ignored(side: Side, names: str, reason: str) -> Ignored:
    """`Ignored` for a space-separated list of names."""
    return Ignored(side, tuple(names.split()), reason)


def always(_: Config) -> bool:
    """Say so of any configuration: what holds where a row says nothing."""
    return True


@dataclass(frozen=True, slots=True)
class Leaf:
    """Arrays of the core layer that are arrays of the foreign one.

    Attributes:
        core: names of the core's arrays, dotted: ``weight.bias``.
        foreign: names of the foreign layer's.
        layout: how the first become the second; a function of the core's configuration where it
            depends on it.
        when: whether the arrays exist, given the core's configuration.
        optional: whether a layer may hold the arrays or not: states that `init_state` makes, with
            any batch axes in front.
    """

    core: tuple[str, ...]
    foreign: tuple[str, ...]
    layout: Layout | Callable[[Config], Layout] = IDENTITY
    when: Callable[[Config], bool] = always
    optional: bool = False

    def at(self, config: Config) -> Layout:
        """The layout under this configuration of the core layer."""
        layout = self.layout
        return layout if isinstance(layout, Layout) else layout(config)


def leaf(
    core: str,
    foreign: str,
    layout: Layout | Callable[[Config], Layout] = IDENTITY,
    when: Callable[[Config], bool] = always,
    *,
    optional: bool = False,
) -> Leaf:
    """A `Leaf` from space-separated names."""
    return Leaf(tuple(core.split()), tuple(foreign.split()), layout, when, optional)


@dataclass(frozen=True, slots=True)
class Case:
    """A configuration that the generated tests build.

    Attributes:
        options: constructor arguments, of the core layer or of the foreign one.
        input: shape of one unbatched input in the core's convention; by default the core layer's
            ``in_size``.
        below: for an integer input, its exclusive upper bound.
        stacked: whether the core layer is converted inside a stack of its own.
    """

    options: Config
    input: tuple[int, ...] | None = None
    below: int | None = None
    stacked: bool = False


def case(
    *,
    input: tuple[int, ...] | None = None,
    below: int | None = None,
    stacked: bool = False,
    **options: Any,
) -> Case:
    """A `Case` whose options are keyword arguments."""
    return Case(options, input, below, stacked)


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration that a row must refuse, and words of the reason.

    Attributes:
        side: whose constructor takes the options.
        case: the configuration.
        match: a regular expression that the message matches.
        error: the class raised.
    """

    side: Side
    case: Case
    match: str
    error: type[InteropError] | None = None


Channels = Literal["any", "same", "first"]


@dataclass(frozen=True, slots=True)
class LayerMap:
    """One layer of the core and what it is in one framework.

    Attributes:
        core: the exact core class.
        foreign: the exact foreign class, or the function that stands for the layer there.
        options: what becomes of every constructor parameter of both sides. A parameter that is
            not named here or among the bridge's own ignored names must be at its default.
        leaves: which arrays are which.
        cases: configurations of the core layer that convert, for the generated tests.
        foreign_cases: configurations that only the foreign side gives.
        refusals: configurations that must raise.
        select: for several core layers that share a foreign class, which configuration of the
            foreign layer is this one.
        chosen: for several foreign classes that one core layer becomes, which configuration of
            the core layer becomes this one; ``config["stacked"]`` says whether it stands in a
            stack.
        transient: arrays of the core layer that its counterpart takes as arguments, by name.
        channels: ``"any"`` when the layer treats all axes alike, ``"same"`` when both sides have
            the channels on the same axis, ``"first"`` when the foreign layer has them first
            where the core has them last.
        example_rank: rank of the one example that the foreign layer takes, for layers that take
            exactly one; ``None`` when any rank does.
        after: shape of the output for a shape of one unbatched input, where the core layer's own
            ``output_size`` does not say it; ``None`` for unknown.
        sized: whether the foreign layer's options depend on the shape of the example.
        alone: why the layer cannot stand inside a stack; empty when it can.
        exports: whether the core layer becomes this one; a second foreign class of one core
            layer is only imported.
        tolerance: relative and absolute tolerance of the generated comparisons, with its reason.
        note: one sentence for the documentation.
    """

    core: type
    foreign: Any
    options: tuple[Opt | Only | Given | Ignored | Part, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    cases: tuple[Case, ...] = field(default=(), kw_only=True)
    foreign_cases: tuple[Case, ...] = field(default=(), kw_only=True)
    refusals: tuple[Refused, ...] = field(default=(), kw_only=True)
    select: Callable[[Config], bool] = field(default=always, kw_only=True)
    chosen: Callable[[Config], bool] = field(default=always, kw_only=True)
    transient: tuple[str, ...] = field(default=(), kw_only=True)
    channels: Channels | Callable[[Config], Channels] = field(default="same", kw_only=True)
    example_rank: Callable[[Config], int | None] | None = field(default=None, kw_only=True)
    after: Callable[[Any, tuple[int, ...]], tuple[int, ...] | None] | None = field(
        default=None, kw_only=True
    )
    sized: bool = field(default=False, kw_only=True)
    alone: str = field(default="", kw_only=True)
    exports: bool = field(default=True, kw_only=True)
    tolerance: Tolerance | None = field(default=None, kw_only=True)
    note: str = field(default="", kw_only=True)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The layers that the layer holds."""
        return tuple(option for option in self.options if isinstance(option, Part))

    @property
    def chooses(self) -> bool:
        """Whether the row is for some configurations of the core layer only."""
        return self.chosen is not always

    def channels_at(self, config: Config) -> Channels:
        """The channel convention under this configuration of the core layer."""
        return self.channels(config) if callable(self.channels) else self.channels


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far two sides may differ in float32, and why."""

    relative: float
    absolute: float
    reason: str


@dataclass(frozen=True, slots=True)
class Unconvertible:
    """A layer known on one side that has no counterpart, and why.

    Attributes:
        layer: the exact class or function.
        reason: why it has none.
        advice: what to do instead.
    """

    layer: Any
    reason: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a hand-written mapping may want to know of the place that it converts.

    Attributes:
        framework: name of the framework on the other side.
        path: where the layer is in the model.
        in_size: shape of one unbatched input there in the core's convention, if known.
    """

    framework: str
    path: tuple[str | int, ...] = ()
    in_size: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class LayerMapping:
    """Two functions that convert one layer type, for what no row can say.

    Attributes:
        bst_type: the core layer's class.
        framework: ``"nnx"``, ``"linen"``, ``"equinox"`` or another bridge's name.
        foreign_type: the foreign layer's class.
        to_bst: ``(foreign layer, context) -> core layer``. A Linen layer comes as a
            ``(module, variables)`` pair.
        to_foreign: ``(core layer, context) -> foreign layer``; for Linen a
            ``(module, variables)`` pair.
    """

    bst_type: type
    framework: str
    foreign_type: type
    to_bst: Callable[[Any, Context], Any]
    to_foreign: Callable[[Any, Context], Any]


HAS = iso(lambda init: init is not None, lambda used: ZeroInit() if used else None, "is used")
"""A foreign flag out of a core initializer that is ``None`` where the array is left out."""


def last_axis(size: Any, _: Config) -> int:
    """The channels of a size: its last entry."""
    if size is None:
        raise Refusal("its in_size is not known", "give the layer its in_size")
    if not len(size):
        raise Refusal("() is a number, which has no axis of features", "use size 1")
    return int(size[-1])


def _known_size(channels: int, config: Config) -> tuple[int, ...]:
    size: tuple[int, ...] | None = config["example"]
    if size is None:
        raise Refusal(
            "the shape of its input is not known",
            "pass sample_input=<one unbatched example, channels last, or its shape>",
            MissingShapeError,
        )
    if not size or size[-1] != channels:
        raise Refusal(
            f"it takes {channels} channels and its input has the shape {size}",
            "pass a sample_input with the channels last and without a batch axis",
            MissingShapeError,
        )
    return size


def _size_or_channels(channels: int, config: Config) -> tuple[int, ...]:
    return (channels,) if config["example"] is None else _known_size(channels, config)


FEATURES = Iso(last_axis, _size_or_channels, "last axis")
"""``in_size`` of a layer that works on the last axis: the sizes before it are kept where known."""

OUT_FEATURES = Iso(
    last_axis,
    lambda channels, config: (*(config["example"] or ())[:-1], channels),
    "last axis",
)
"""``out_size`` of a layer that works on the last axis."""

SPATIAL = Iso(last_axis, _known_size, "last axis; the sizes before it from sample_input")
"""``in_size`` of a layer that needs all of it."""
