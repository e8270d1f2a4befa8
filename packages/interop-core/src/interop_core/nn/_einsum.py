"""A product with a kernel along the axes that a formula names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._module import Module
from ._parameters import as_array, parameter, remembered
from ._quantity import bilinear, keeping_unit

__all__ = ["REST", "Einsum", "Formula", "bias_axes", "parse"]

_KERNEL = init.KaimingNormal()
_BIAS = init.ZeroInit()

Size = tuple[int, ...]
Axes = tuple[str, ...]
REST = "..."
"""Any number of axes, as a formula writes it."""


class Formula(NamedTuple):
    """A formula taken apart: the letters of the axes, and `REST` for those that it does not name.

    Attributes:
        inputs: the axes of the input.
        kernel: those of the kernel.
        result: those of the result.
    """

    inputs: Axes
    kernel: Axes
    result: Axes

    def __str__(self) -> str:
        inputs, kernel, result = map("".join, self)
        return f"{inputs},{kernel}->{result}"

    def batch(self, rank: int) -> int:
        """Count the leading axes that stand before an example of ``rank`` axes.

        Raises:
            ValueError: if no example has so few or so many axes.
        """
        named = len(self.inputs) - (REST in self.inputs)
        missing = max(named - rank, 0)
        ahead = self.inputs[:missing]
        inside = self.inputs[missing:]
        fits = ahead == self.result[:missing] and not {REST, *inside}.intersection(ahead)
        if not fits or (rank > named and REST not in self.inputs):
            raise ValueError(f"{self} does not take an example of {rank} axes.")
        return missing


@lru_cache(maxsize=256)
def parse(einsum_str: str) -> Formula:
    """Take a formula apart.

    Args:
        einsum_str: the axes of the input, of the kernel and of the result: ``"...a,ab->...b"``.

    Raises:
        ValueError: if it is no such formula.

    Example:
        >>> parse("...a, ab -> ...b").result
        ('...', 'b')
    """
    found = re.fullmatch(r"([a-zA-Z.]*),([a-zA-Z]*)->([a-zA-Z.]*)", einsum_str.replace(" ", ""))
    terms = (
        [tuple(re.findall(r"\.\.\.|[a-zA-Z]", term)) for term in found.groups()] if found else []
    )
    if not found or ["".join(term) for term in terms] != [*found.groups()]:
        raise ValueError(
            f"{einsum_str!r} is no formula of the axes of the input, the kernel and the result, "
            "such as '...a,ab->...b'; the kernel's are all named."
        )
    inputs, kernel, result = terms
    once = all(len(set(term)) == len(term) for term in (kernel, result))
    if not once or inputs.count(REST) > 1 or inputs.count(REST) != result.count(REST):
        raise ValueError(
            f"{einsum_str!r} names an axis of the kernel or of the result twice, or does not have "
            "the axes '...' of the input in the result."
        )
    if not set(result) <= {*inputs, *kernel}:
        raise ValueError(f"{einsum_str!r} has axes in the result that no operand has.")
    return Formula(inputs, kernel, result)


def bias_axes(einsum_str: str, kernel_shape: Size) -> Size:
    """Give the sizes of the result's axes that the kernel has too: those that a bias has.

    Example:
        >>> bias_axes("...ta,hab->...thb", (8, 2, 4))
        (8, 4)
    """
    formula = parse(einsum_str)
    sizes = dict(zip(formula.kernel, kernel_shape, strict=True))
    return tuple(sizes[letter] for letter in formula.result if letter in sizes)


class Einsum(Module):
    """Multiply by a kernel along axes that a formula names, and add a bias.

    ``y = einsum(einsum_str, x, W) + b``, as `jax.numpy.einsum` computes it, with ``b`` along those
    axes of the result that the kernel has too and alike along the others.

    The formula is of the whole input: ``...`` in it stands for any leading axes, batch axes
    included, so ``"...a,ab->...b"`` is a `Linear`. Without it the layer takes arrays of just this
    many axes, and the first may be the batch's: ``"nta,hab->nthb"`` takes batches of examples of
    two axes. Axes of one letter have one length: those of length 1 are not stretched.

    The state ``weight`` holds ``{"weight": W, "bias": b}``, without ``"bias"`` where ``bias_shape``
    is None.

    Args:
        in_size: shape of one example; None where it is not known.
        einsum_str: the axes of the input, of the kernel and of the result. The kernel's are all
            named, each once.
        kernel_shape: shape of ``W``.
        bias_shape: shape of ``b``, with as many entries as the axes that the result has of the
            kernel, in the result's order. None for no bias.
        w_init: initializer of ``W``: a callable of the shape, or an array.
        b_init: the same for ``b``.
        dtype: what input and parameters are cast to before computing. None: as `jax.numpy`
            promotes them.
        precision: precision of the product, as in `jax.numpy.einsum`.
        name: a label for the user.
        param_type: the state type that holds the parameters.

    Raises:
        ValueError: if the formula is none, or shapes do not fit it.

    Example:
        >>> layer = Einsum((11, 2), "...ta,hab->...thb", (8, 2, 4), (8, 4))
        >>> layer.out_size, layer(jnp.ones((16, 11, 2))).shape
        ((11, 8, 4), (16, 11, 8, 4))
        >>> each = Einsum(3, "na,nab->nb", (8, 3, 4))
        >>> each(jnp.ones((8, 3))).shape
        (8, 4)
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int] | None,
        einsum_str: str,
        kernel_shape: Sequence[int],
        bias_shape: Sequence[int] | None = None,
        *,
        w_init: Any = _KERNEL,
        b_init: Any = _BIAS,
        dtype: Any = None,
        precision: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        formula = parse(einsum_str)
        self.einsum_str = str(formula)
        self.kernel_shape = tuple(kernel_shape)
        self.bias_shape = None if bias_shape is None else tuple(bias_shape)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.dtype = dtype
        self.precision = precision
        self.param_type = param_type
        if len(self.kernel_shape) != len(formula.kernel):
            raise ValueError(f"{einsum_str!r} is of another kernel than one of {kernel_shape}.")
        if self.bias_shape is not None:
            held = bias_axes(self.einsum_str, self.kernel_shape)
            if math.prod(held) != math.prod(self.bias_shape):
                raise ValueError(
                    f"The result of {einsum_str!r} has axes of the sizes {held} of the kernel, "
                    f"which no bias of shape {bias_shape} fits."
                )
        if in_size is not None:
            self.in_size = init.to_size(in_size)
            self.out_size = self.output_size(self.in_size)
        weight = {"weight": parameter(w_init, self.kernel_shape)}
        if self.bias_shape is not None:
            weight["bias"] = parameter(b_init, self.bias_shape)
        self.weight = param_type(weight)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the sizes of the result's axes.

        Args:
            in_size: shape of one example. Where the formula names more axes than it has, the first
                of them are the batch's.

        Raises:
            ValueError: if it does not fit the formula.
        """
        formula = parse(self.einsum_str)
        batch = formula.batch(len(in_size))
        inputs = formula.inputs[batch:]
        sizes = dict(zip(formula.kernel, self.kernel_shape, strict=True))
        rest: Size = ()
        if REST in inputs:
            before = inputs.index(REST)
            behind = before + len(in_size) - len(inputs) + 1
            rest = tuple(in_size[before:behind])
            inputs = (*inputs[:before], *inputs[before + 1 :])
            named = (*in_size[:before], *in_size[behind:])
        else:
            named = tuple(in_size)
        for letter, size in zip(inputs, named, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ValueError(
                    f"Einsum of {self.einsum_str!r} expects {sizes[letter]} along {letter!r}, got "
                    f"shape {tuple(in_size)}."
                )
        found: list[int] = []
        for letter in formula.result[batch:]:
            found += rest if letter == REST else (sizes[letter],)
        return tuple(found)

    def batch_sizes(self, in_size: tuple[int, ...] | None = None) -> tuple[int | None, ...] | None:
        """Give the sizes of the batch axes before an example; None where any will do.

        Args:
            in_size: shape of the example; None for the layer's own ``in_size``.

        Raises:
            ValueError: if the formula is of no such example.
        """
        in_size = self.in_size if in_size is None else in_size
        formula = parse(self.einsum_str)
        if in_size is None or formula.inputs[:1] == (REST,):
            return None
        sizes = dict(zip(formula.kernel, self.kernel_shape, strict=True))
        return tuple(sizes.get(n) for n in formula.inputs[: formula.batch(len(in_size))])

    def update(self, x: jax.Array) -> jax.Array:
        """Compute ``einsum(einsum_str, x, W) + b``.

        Args:
            x: an array with the axes of the formula.

        Returns:
            The result.

        Raises:
            ValueError: if its shape does not fit the formula.
        """
        formula, shape = parse(self.einsum_str), np.shape(x)
        if formula.batch(len(shape)):
            raise ValueError(f"Einsum of {self.einsum_str!r} does not take the shape {shape}.")
        self.output_size(shape)
        kernel, bias = self.weight.value["weight"], self.weight.value.get("bias")
        if self.dtype is not None:
            x, kernel = as_array(x).astype(self.dtype), kernel.astype(self.dtype)
            bias = None if bias is None else bias.astype(self.dtype)
        y = bilinear(partial(jnp.einsum, self.einsum_str, precision=self.precision), x, kernel)
        if bias is None:
            return y
        sizes = dict(zip(formula.kernel, self.kernel_shape, strict=True))
        along: list[int] = []
        for letter in formula.result:
            unnamed = np.ndim(y) - len(formula.result) + 1
            along += (1,) * unnamed if letter == REST else (sizes.get(letter, 1),)
        return y + keeping_unit(lambda b: jnp.reshape(b, along), bias)
