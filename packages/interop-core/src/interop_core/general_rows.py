"""What the rows of products over several axes have in common, whichever framework they are for.

Imports the row vocabulary, and how the core reads a formula.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from .errors import MissingShapeError, Refusal
from .layout import IDENTITY, Layout
from .mapping import Config, Iso, iso
from .nn._einsum import REST, Formula, bias_axes, parse
from .reshape import Reshape

Sizes = tuple[int, ...]

ONE_EXAMPLE = "and a layer of this framework is called with one example"


def entries(value: int | Sequence[int]) -> Sizes:
    """A number, or several, as a tuple."""
    return tuple(map(operator.index, value if isinstance(value, Sequence) else (value,)))


def from_the_end(axis: int | Sequence[int]) -> Sizes:
    """Axes in the order of the input, which is that of the kernel's axes whatever was written.

    Raises:
        Refusal: where batch axes would count, or an axis stands there twice.
    """
    axes = tuple(sorted(entries(axis)))
    if axes and axes[-1] >= 0:
        raise Refusal(
            f"axis={axis!r} counts the batch axes too, of which there may be any number",
            "count it from the end: a negative integer",
        )
    if not axes or len(set(axes)) < len(axes):
        raise Refusal(f"axis={axis!r} names no axis, or one twice", "name each axis once")
    return axes


AXIS = iso(lambda axis: axis, from_the_end, "from the end, in the order of the input")
"""The axes to sum over."""


def summed(config: Config) -> Sizes:
    """Sizes of the axes that a layer of the core sums over."""
    return tuple(config["in_size"][place] for place in config["axis"])


def added(config: Config) -> Sizes:
    """Sizes of the new axes that a layer of the core gives."""
    return tuple(config["out_size"][len(config["in_size"]) - len(config["axis"]) :])


def _known_axes(config: Config) -> Sizes:
    try:
        return from_the_end(config["axis"])
    except Refusal:  # said of the axes themselves
        return ()


def in_size_of(sizes: Sizes, config: Config) -> Sizes:
    """``in_size`` of a layer that sums over axes of these sizes: the whole example where known.

    Raises:
        Refusal: where the example does not fit, or has to be known and is not.
    """
    axes, example = _known_axes(config), config["example"]
    if not axes:
        return ()
    if example is None:
        if axes != tuple(range(-len(axes), 0)):
            raise Refusal(
                f"it sums over the axes {axes} and leaves others between or behind them as they "
                "are, whose lengths are not known",
                "pass sample_input=<one unbatched example, or its shape>",
                MissingShapeError,
            )
        return tuple(sizes)
    if len(example) < -axes[0] or tuple(example[place] for place in axes) != tuple(sizes):
        raise Refusal(
            f"it sums over axes of the lengths {tuple(sizes)}, the axes {axes}, and its input has "
            f"the shape {example}",
            "pass a sample_input that fits, without a batch axis",
            MissingShapeError,
        )
    return tuple(example)


def out_size_of(features: Sizes, config: Config) -> Sizes:
    """``out_size`` of a layer that gives new axes of these sizes."""
    axes, example = _known_axes(config), config["example"] or ()
    rest = (n for place, n in enumerate(example, -len(example)) if place not in axes)
    return (*rest, *features)


IN_FEATURES = Iso(
    lambda _, config: summed(config),
    lambda sizes, config: in_size_of(entries(sizes), config),
    "sizes along the axes",
)
OUT_FEATURES = Iso(
    lambda _, config: added(config),
    lambda sizes, config: out_size_of(entries(sizes), config),
    "sizes of the new axes",
)


def biased(config: Config) -> bool:
    """Whether a product over axes has a bias."""
    return config["b_init"] is not None


# --- formulas -------------------------------------------------------------------------------------


def formula_of(value: Any, _: Config | None = None) -> str:
    """A formula of a framework as the core writes it.

    Raises:
        Refusal: for what the core does not take.
    """
    if value is None:
        raise Refusal(
            "gets its formula in each call, which a stack does not pass",
            "give the layer its einsum_str",
        )
    try:
        return str(parse(value))
    except ValueError as error:
        advice = "write out the axes of the kernel, each once, and '...' in the result"
        raise Refusal(str(error), advice) from None


FORMULA = Iso(lambda formula, _: formula, formula_of, "=")
KERNEL_SHAPE = iso(lambda shape: shape, tuple, "=")
BIAS_SHAPE = iso(lambda shape: shape, lambda shape: None if shape is None else tuple(shape), "=")
EXAMPLE = Iso(lambda size, _: size, lambda _, config: config["example"], "from sample_input")
"""``in_size`` of a layer whose counterpart does not declare it."""


def has_bias(config: Config) -> bool:
    """Whether a product by a formula has a bias."""
    return config["bias_shape"] is not None


def canonical_bias(config: Config) -> Layout:
    """The layout of a bias with one axis for each that the result has of the kernel."""
    shape = config["bias_shape"]
    held = bias_axes(config["einsum_str"], config["kernel_shape"])
    return IDENTITY if shape == held else Reshape(shape, held)


def _of_one_example(einsum_str: str, config: Config) -> str:
    """The formula for one example, for frameworks whose layers are called with one."""
    formula, example = parse(einsum_str), config["example"]
    if example is None and formula.inputs[:1] != (REST,):
        raise Refusal(
            f"{formula} may be of a batch or of one example, whose shape is not known",
            "give the layer its in_size, or pass sample_input",
            MissingShapeError,
        )
    try:
        batch = 0 if example is None else formula.batch(len(example))
    except ValueError as error:
        raise Refusal(str(error), "pass a sample_input that fits", MissingShapeError) from None
    own = "".join(n for n in formula.inputs[:batch] if n in formula.kernel)
    if own:
        raise Refusal(
            f"{formula} has a kernel of its own for each example of a batch, along {own}, "
            f"{ONE_EXAMPLE}",
            "use a layer for each example",
        )
    alone = Formula(formula.inputs[batch:], formula.kernel, formula.result[batch:])
    return str(_leading(alone))


def _of_batches(einsum_str: Any, _: Config) -> str:
    """The formula for any number of batch axes."""
    formula = _leading(parse(formula_of(einsum_str)))
    if REST in formula.inputs:
        return str(formula)
    inputs, kernel, result = formula
    return str(Formula((REST, *inputs), kernel, (REST, *result)))


def _leading(formula: Formula) -> Formula:
    """A formula whose unnamed axes are the first, where batch axes come to stand."""
    if REST in formula.inputs and not formula.inputs[0] == REST == formula.result[0]:
        raise Refusal(
            f"{formula} has its unnamed axes, those of a batch among them, not in front",
            "write '...' in front of the input and the result",
        )
    return formula


FORMULA_OF_ONE = Iso(_of_one_example, _of_batches, "of one example")
"""The formula, for frameworks whose layers are called with one example."""
