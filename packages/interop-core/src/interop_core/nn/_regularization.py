"""The base class of penalties on parameters, and penalties on size and smoothness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from .. import environ, random
from .._abstract import ABSTRACT
from ..state import ParamState, State
from ._initializers import to_size
from ._module import Module
from ._quantity import split, with_unit
from ._transform import argument, require

__all__ = [
    "TINY",
    "ElasticNetReg",
    "GroupLassoReg",
    "HuberReg",
    "L1Reg",
    "L2Reg",
    "Regularization",
    "TotalVariationReg",
    "as_number",
    "as_value",
    "length",
    "of_degree",
    "off_zero",
    "positive",
    "require_positive",
]

Shape = int | Sequence[int]

# JAX publishes it without types.
_finfo: Any = jnp.finfo

#: What has to be positive counts as this where it is not, so that losses and samples are finite.
TINY = 1e-8


class Regularization(Module):
    """The base class of penalties.

    A penalty can stand for a prior distribution: its loss is the negative logarithm of the density,
    and `sample_init` draws from it. The factor ``weight`` of the loss is never trained.

    Args:
        fit_hyper: whether the penalty's own numbers are trained, where it has such. They are in
            states then, under the names of the arguments.
    """

    def __init__(self, fit_hyper: bool = False) -> None:
        super().__init__()
        self.fit_hyper = fit_hyper

    def _hyper(self, value: Any) -> Any:
        """Make what holds one of the penalty's own numbers: a state if it is trained."""
        value = argument(value)
        if not self.fit_hyper:
            return value
        dtype = environ.dftype()
        if ABSTRACT.get():
            return ParamState(jax.eval_shape(lambda: jnp.asarray(value, dtype)))
        return ParamState(jnp.asarray(value, dtype))

    def loss(self, value: Any) -> Any:
        """Compute the penalty on a value, a scalar."""
        raise NotImplementedError(f"{type(self).__name__} does not define loss().")

    def sample_init(self, shape: Shape) -> Any:
        """Draw an initial value from the prior that belongs to the penalty."""
        raise NotImplementedError(f"{type(self).__name__} does not define sample_init().")

    def reset_value(self) -> Any:
        """Give the value that the penalty pulls to."""
        raise NotImplementedError(f"{type(self).__name__} does not define reset_value().")

    def update(self, value: Any) -> Any:
        """Compute the penalty, as `loss` does."""
        return self.loss(value)


# -- what penalties share ------------------------------------------------------------------------


def as_value(value: Any) -> jax.Array:
    """Make the array that a penalty is computed on, in the default precision or a higher one."""
    array = jnp.asarray(value)
    return array.astype(jnp.promote_types(array.dtype, environ.dftype()))


def as_number(hyper: Any) -> Any:
    """Read one of a penalty's own numbers."""
    number = hyper.value if isinstance(hyper, State) else hyper
    plain, unit = split(number)
    return with_unit(jnp.asarray(plain), unit)


def of_degree(degree: int, function: Callable[[jax.Array], Any], value: Any) -> Any:
    """Apply a function with ``f(c x) = c**degree f(x)`` for every positive ``c``.

    The unit of a value that has one is raised to that power.
    """
    plain, unit = split(value)
    return with_unit(function(as_value(plain)), None if unit is None else unit**degree)


def positive(hyper: Any) -> Any:
    """Read one of a penalty's own numbers that has to be positive, which training may forget."""
    return jnp.maximum(as_number(hyper), TINY)


def require_positive(**hypers: Any) -> None:
    """Refuse numbers that are not positive.

    Raises:
        ValueError: if one is not.
    """
    for name, value in hypers.items():
        require(
            np.asarray(value) > 0 if isinstance(value, list | tuple) else value > 0,
            f"{name} must be positive, got {value!r}.",
        )


def off_zero(draw: Any) -> Any:
    """Replace zeros among positive numbers by the smallest one of their dtype."""
    return jnp.maximum(draw, _finfo(draw.dtype).tiny)


def length(x: jax.Array, axis: int | None = None) -> jax.Array:
    """Compute the Euclidean norm, with gradient 0 for zeros."""
    squares = jnp.sum(x * x, axis)
    zero = squares == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squares)))


# -- penalties -----------------------------------------------------------------------------------


class L1Reg(Regularization):
    r"""The sum of absolute values, :math:`w \sum |x|`: a Laplace prior.

    Args:
        weight: the factor :math:`w`.
        fit_hyper: kept for the interface; the weight is not trained.

    Example:
        >>> float(L1Reg(0.5).loss(jnp.array([1.0, -3.0])))
        2.0
    """

    def __init__(self, weight: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        self.weight = weight

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        return self.weight * of_degree(1, lambda x: jnp.sum(jnp.abs(x)), value)

    def sample_init(self, shape: Shape) -> jax.Array:
        r"""Draw from the Laplace distribution of scale :math:`1 / w`."""
        return random.laplace(0.0, 1.0 / (jnp.asarray(self.weight) + TINY), shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class L2Reg(Regularization):
    r"""The sum of squares, :math:`w \sum x^2`: a normal prior.

    Args:
        weight: the factor :math:`w`.
        fit_hyper: kept for the interface; the weight is not trained.

    Example:
        >>> float(L2Reg(0.5).loss(jnp.array([1.0, -3.0])))
        5.0
    """

    def __init__(self, weight: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        self.weight = weight

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        return self.weight * of_degree(2, lambda x: jnp.sum(jnp.square(x)), value)

    def sample_init(self, shape: Shape) -> jax.Array:
        r"""Draw from the normal distribution of standard deviation :math:`1 / \sqrt w`."""
        return random.normal(0.0, 1.0 / jnp.sqrt(jnp.asarray(self.weight) + TINY), shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class ElasticNetReg(Regularization):
    r"""A mix of absolute values and squares.

    :math:`\sum (\alpha w_1 |x| + (1 - \alpha) w_2 x^2)`.

    Args:
        l1_weight: the factor :math:`w_1`.
        l2_weight: the factor :math:`w_2`.
        alpha: the share :math:`\alpha` of the absolute values, from 0 to 1.
        fit_hyper: whether ``alpha`` is trained.

    Raises:
        ValueError: if ``alpha`` is not from 0 to 1.

    Example:
        >>> float(ElasticNetReg(1.0, 2.0, alpha=0.5).loss(jnp.array([1.0, -3.0])))
        12.0
    """

    def __init__(
        self,
        l1_weight: Any = 1.0,
        l2_weight: Any = 1.0,
        alpha: Any = 0.5,
        fit_hyper: bool = False,
    ) -> None:
        super().__init__(fit_hyper)
        alpha = argument(alpha)
        require((alpha >= 0) & (alpha <= 1), f"alpha must be from 0 to 1, got {alpha!r}.")
        self.l1_weight = l1_weight
        self.l2_weight = l2_weight
        self.alpha = self._hyper(alpha)

    def _share(self) -> Any:
        return jnp.clip(as_number(self.alpha), 0, 1)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        x, share = as_value(value), self._share()
        return jnp.sum(share * self.l1_weight * jnp.abs(x) + (1 - share) * self.l2_weight * x * x)

    def sample_init(self, shape: Shape) -> jax.Array:
        r"""Draw each number from the prior of one part, that of `L1Reg` with chance ``alpha``."""
        first = random.bernoulli(self._share(), shape)
        return jnp.where(
            first,
            L1Reg(self.l1_weight).sample_init(shape),
            L2Reg(self.l2_weight).sample_init(shape),
        )

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class HuberReg(Regularization):
    r"""Squares of small numbers and absolute values of large ones.

    The sum, times :math:`w`, of :math:`x^2 / 2` where :math:`|x| \le \delta`, and of
    :math:`\delta (|x| - \delta / 2)` elsewhere.

    Args:
        weight: the factor :math:`w`.
        delta: where the one becomes the other, :math:`\delta`; positive.
        fit_hyper: whether ``delta`` is trained.

    Raises:
        ValueError: if ``delta`` is not positive.

    Example:
        >>> float(HuberReg(2.0, delta=1.0).loss(jnp.array([1.0, -3.0])))
        6.0
    """

    def __init__(self, weight: Any = 1.0, delta: Any = 1.0, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        require_positive(delta=delta)
        self.weight = weight
        self.delta = self._hyper(delta)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""
        x, delta = jnp.abs(as_value(value)), positive(self.delta)
        small = x <= delta
        # Large numbers are kept out of the square, which they would make infinite.
        square = 0.5 * jnp.square(jnp.where(small, x, 0))
        return self.weight * jnp.sum(jnp.where(small, square, delta * (x - 0.5 * delta)))

    def sample_init(self, shape: Shape) -> jax.Array:
        r"""Draw from the normal distribution of standard deviation :math:`1 / \sqrt w`."""
        return L2Reg(self.weight).sample_init(shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class GroupLassoReg(Regularization):
    r"""The sum of the norms of groups, :math:`w \sum_g \|x_g\|`, which empties whole groups.

    Groups are neighbours in the flattened value; the last one may be smaller.

    Args:
        weight: the factor :math:`w`.
        group_size: how many numbers make a group.
        fit_hyper: kept for the interface; nothing is trained.

    Raises:
        TypeError: if ``group_size`` is no integer.
        ValueError: if ``group_size`` is not positive.

    Example:
        >>> float(GroupLassoReg(0.5, group_size=2).loss(jnp.array([3.0, 4.0, 0.0, 0.0])))
        2.5
    """

    def __init__(self, weight: Any = 1.0, group_size: int = 1, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        if isinstance(group_size, bool) or not isinstance(group_size, int | np.integer):
            raise TypeError(f"group_size must be an integer, got {group_size!r}.")
        require_positive(group_size=group_size)
        self.weight = weight
        self.group_size = int(group_size)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""

        def norms(x: jax.Array) -> jax.Array:
            padded = jnp.pad(x.reshape(-1), (0, -x.size % self.group_size))
            return jnp.sum(length(padded.reshape(-1, self.group_size), 1))

        return self.weight * of_degree(1, norms, value)

    def sample_init(self, shape: Shape) -> jax.Array:
        r"""Draw from the normal distribution of standard deviation :math:`1 / \sqrt w`."""
        return L2Reg(self.weight).sample_init(shape)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0


class TotalVariationReg(Regularization):
    r"""The sum of the steps between neighbours, :math:`w \sum |x_{i+1} - x_i|`.

    Of order 2, that of the changes of the steps, :math:`w \sum |x_{i+2} - 2 x_{i+1} + x_i|`.
    Neighbours are those of the flattened value.

    Args:
        weight: the factor :math:`w`.
        order: 1 or 2.
        fit_hyper: kept for the interface; nothing is trained.

    Raises:
        ValueError: if ``order`` is neither 1 nor 2.

    Example:
        >>> float(TotalVariationReg().loss(jnp.array([1.0, 3.0, 0.0])))
        5.0
    """

    def __init__(self, weight: Any = 1.0, order: int = 1, fit_hyper: bool = False) -> None:
        super().__init__(fit_hyper)
        if order not in (1, 2):
            raise ValueError(f"order must be 1 or 2, got {order!r}.")
        self.weight = weight
        self.order = int(order)

    def loss(self, value: Any) -> Any:
        """Compute the penalty."""

        def steps(x: jax.Array) -> jax.Array:
            return jnp.sum(jnp.abs(jnp.diff(x.reshape(-1), self.order)))

        return self.weight * of_degree(1, steps, value)

    def sample_init(self, shape: Shape) -> jax.Array:
        r"""Draw a random walk whose last number has the standard deviation :math:`1 / \sqrt w`."""
        size = to_size(shape) or ()
        count = math.prod(size)
        steps = L2Reg(self.weight).sample_init((count,)) / math.sqrt(max(count, 1))
        return jnp.cumsum(steps).reshape(size)

    def reset_value(self) -> float:
        """Give 0."""
        return 0.0
