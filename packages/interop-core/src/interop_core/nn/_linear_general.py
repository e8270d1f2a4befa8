"""A product with a kernel of several axes, taken over any axes of the input."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from ..state import ParamState, State
from . import init
from ._module import Module
from ._parameters import as_array, parameter, remembered
from ._quantity import bilinear, keeping_unit

__all__ = ["LinearGeneral"]

_KERNEL = init.KaimingNormal()
_BIAS = init.ZeroInit()

Size = tuple[int, ...]


class LinearGeneral(Module):
    """Sum over several axes at once with a kernel: a `Linear` whose features are arrays.

    With ``i`` all indices of the axes ``axis``, ``o`` those of the new ones, ``r`` those of the
    axes that stay and ``n`` those of ``batch_axis``:

        ``y[n, r, o] = sum_i x[n, r and i in their places] W[n, i, o] + b[n, o]``

    The axes that stay keep their order and stand in front of the new ones. Any number of leading
    axes may stand before an example, none included.

    ``batch_axis`` names leading axes, of those before the example, along which each position has a
    kernel and a bias of its own: with ``{0: 8}`` the layer takes batches of 8 and treats each of
    their examples by other numbers.

    The state ``weight`` holds ``{"weight": W, "bias": b}``, without ``"bias"`` where ``b_init`` is
    None. ``W`` has the sizes of ``batch_axis``, then those of ``axis`` in the order of the input,
    then the new ones; ``b`` those of ``batch_axis`` and the new ones.

    Args:
        in_size: shape of one example, or its part from the first of ``axis`` on.
        out_size: shape of one output: the axes of ``in_size`` that stay, then the new ones.
        axis: the axis to sum over, or several, counted from the end: negative integers. Their order
            says nothing.
        batch_axis: sizes of leading axes by their number: 0, 1 and so on. Kept as a tuple of pairs.
        w_init: initializer of ``W``: a callable of a shape, which makes it as a matrix of as many
            rows as numbers are summed over, or an array of all axes.
        b_init: initializer of ``b``: a callable of the shape, or an array; None for no bias.
        dtype: what input and parameters are cast to before computing. None: as `jax.numpy`
            promotes them.
        precision: precision of the product, as in `jax.lax.dot_general`.
        name: a label for the user.
        param_type: the state type that holds the parameters.

    Raises:
        ValueError: for an axis that is not negative, is repeated or is none of ``in_size``; for
            sizes that do not fit each other; and for batch axes that are not 0, 1 and so on.

    Example:
        >>> layer = LinearGeneral((2, 3), (4, 5), axis=(-2, -1))
        >>> {name: entry.shape for name, entry in sorted(layer.weight.value.items())}
        {'bias': (4, 5), 'weight': (2, 3, 4, 5)}
        >>> layer(jnp.ones((7, 2, 3))).shape
        (7, 4, 5)
        >>> LinearGeneral((2, 3), (3, 4), axis=-2)(jnp.ones((7, 2, 3))).shape
        (7, 3, 4)
        >>> each = LinearGeneral(3, 4, batch_axis={0: 8})
        >>> each.weight.value["weight"].shape, each(jnp.ones((8, 3))).shape
        ((8, 3, 4), (8, 4))
    """

    weight: State[dict[str, jax.Array]]

    def __init__(
        self,
        in_size: int | Sequence[int],
        out_size: int | Sequence[int],
        axis: int | Sequence[int] = -1,
        *,
        batch_axis: Mapping[int, int] | Sequence[tuple[int, int]] = (),
        w_init: Any = _KERNEL,
        b_init: Any = _BIAS,
        dtype: Any = None,
        precision: Any = None,
        name: str | None = None,
        param_type: type[State[Any]] = ParamState,
    ) -> None:
        super().__init__(name=name)
        self.in_size = init.to_size(in_size)
        self.out_size = init.to_size(out_size)
        self.axis = _negative(axis)
        self.batch_axis = _leading(batch_axis)
        self.w_init = remembered(w_init)
        self.b_init = remembered(b_init)
        self.dtype = dtype
        self.precision = precision
        self.param_type = param_type
        rest = self._rest(self.in_size)
        features = self.out_size[len(rest) :]
        if not features or self.out_size[: len(rest)] != rest:
            raise ValueError(
                f"LinearGeneral leaves {rest} of in_size={self.in_size} as it is: out_size must be "
                f"these and the new axes, got {self.out_size}."
            )
        batch = tuple(size for _, size in self.batch_axis)
        summed = tuple(self.in_size[place] for place in self.axis)
        weight = {"weight": _kernel(w_init, batch, summed, features)}
        if b_init is not None:
            weight["bias"] = parameter(b_init, (*batch, *features))
        self.weight = param_type(weight)

    def _rest(self, size: Size) -> Size:
        """The axes of a shape that are not summed over."""
        if -self.axis[0] > len(size):
            raise ValueError(
                f"LinearGeneral over the axes {self.axis} takes {-self.axis[0]} axes or more, got "
                f"shape {tuple(size)}."
            )
        return tuple(n for place, n in enumerate(size, -len(size)) if place not in self.axis)

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the axes that stay, and the new ones.

        Args:
            in_size: shape of one example.

        Raises:
            ValueError: if the axes to sum over have other lengths.
        """
        rest = self._rest(in_size)
        if any(in_size[place] != self.in_size[place] for place in self.axis):
            wanted = tuple(self.in_size[place] for place in self.axis)
            raise ValueError(
                f"LinearGeneral expects the lengths {wanted} on the axes {self.axis}, got shape "
                f"{tuple(in_size)}."
            )
        return (*rest, *self.out_size[len(self.in_size) - len(self.axis) :])

    def batch_sizes(self, _: tuple[int, ...] | None = None) -> tuple[int, ...] | None:
        """Give the sizes of the batch axes that the layer asks for; None where any will do."""
        return tuple(size for _, size in self.batch_axis) or None

    def update(self, x: jax.Array) -> jax.Array:
        """Sum over the axes, and add the bias.

        Args:
            x: input of shape ``(*batch, ..., *in_size)``.

        Returns:
            Output of shape ``(*batch, ..., *out_size)``.

        Raises:
            ValueError: if the shape does not fit.
        """
        batch = self.batch_sizes() or ()
        shape = np.shape(x)
        self.output_size(shape[len(batch) :])
        if shape[: len(batch)] != batch:
            raise ValueError(f"LinearGeneral takes batches of {batch}, got the shape {shape}.")
        kernel, bias = self.weight.value["weight"], self.weight.value.get("bias")
        if self.dtype is not None:
            x, kernel = as_array(x).astype(self.dtype), kernel.astype(self.dtype)
            bias = None if bias is None else bias.astype(self.dtype)
        leading = tuple(range(len(batch)))
        behind = tuple(range(len(batch), len(batch) + len(self.axis)))
        axes = tuple(place + len(shape) for place in self.axis)

        def product(a: Any, b: Any) -> Any:
            common = jnp.result_type(a, b)
            return lax.dot_general(
                jnp.asarray(a, common),
                jnp.asarray(b, common),
                ((axes, behind), (leading, leading)),
                precision=self.precision,
            )

        y = bilinear(product, x, kernel)
        if bias is None:
            return y
        features = np.shape(bias)[len(batch) :]
        between = (1,) * (len(shape) - len(batch) - len(self.axis))
        return y + keeping_unit(lambda b: jnp.reshape(b, (*batch, *between, *features)), bias)


def _negative(axis: int | Sequence[int]) -> Size:
    """Axes counted from the end, in the order in which they stand."""
    given = axis if isinstance(axis, Sequence) else (axis,)
    axes = tuple(sorted(operator.index(entry) for entry in given))
    if not axes or max(axes) >= 0 or len(set(axes)) < len(axes):
        raise ValueError(
            f"LinearGeneral takes axes counted from the end, each once: negative integers, got "
            f"axis={axis!r}."
        )
    return axes


def _leading(batch_axis: Mapping[int, int] | Sequence[tuple[int, int]]) -> tuple[Any, ...]:
    """The sizes of batch axes with their numbers, in their order."""
    sizes = {operator.index(place): operator.index(n) for place, n in dict(batch_axis).items()}
    if sorted(sizes) != list(range(len(sizes))):
        raise ValueError(
            f"LinearGeneral takes leading axes as batch_axis: 0, 1 and so on, got {batch_axis!r}."
        )
    return tuple(sorted(sizes.items()))


def _kernel(w_init: Any, batch: Size, summed: Size, features: Size) -> Any:
    """A kernel, initialised as a matrix with a row for each number that is summed over."""
    shape = (*batch, *summed, *features)
    if not callable(w_init):
        return parameter(w_init, shape)
    rows, kernels, columns = map(math.prod, (summed, batch, features))
    made = parameter(w_init, (rows, kernels * columns))
    if isinstance(made, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(shape, made.dtype)

    def spread(matrix: Any) -> Any:
        each = jnp.moveaxis(jnp.reshape(matrix, (rows, kernels, columns)), 1, 0)
        return jnp.reshape(each, shape)

    return keeping_unit(spread, made)
