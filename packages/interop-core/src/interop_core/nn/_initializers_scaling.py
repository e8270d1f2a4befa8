"""Initializers whose variance follows the number of inputs and outputs of the weight."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import numpy as jnp

from ._initializers import Seeded, Size
from ._quantity import with_unit

_GAINS = {
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4.0,
}
_LINEAR = {"linear"} | {f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)}

# The standard deviation of a standard normal distribution cut off at -2 and 2.
_TRUNCATED_STD = 0.87962566103423978


def calculate_init_gain(nonlinearity: str, param: Any = None) -> float:
    r"""Give the factor by which weights should be larger in front of a nonlinearity.

    1 for linear layers and sigmoid, 5/3 for tanh, :math:`\\sqrt 2` for relu,
    :math:`\\sqrt{2 / (1 + s^2)}` for leaky_relu of slope :math:`s`, 3/4 for selu.

    Args:
        nonlinearity: "linear", "conv1d" and so on, "sigmoid", "tanh", "relu", "leaky_relu", "selu".
        param: the negative slope of leaky_relu; 0.01 by default.

    Raises:
        ValueError: for an unknown name, or a slope that is no number.

    Example:
        >>> calculate_init_gain("selu")
        0.75
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"The negative slope must be a number, not {slope!r}.")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"No gain is known for the nonlinearity {nonlinearity!r}.")


class VarianceScaling(Seeded):
    r"""Draws with variance :math:`s / n`, so that signals keep their size from layer to layer.

    The number :math:`n` is the fan-in (inputs times receptive field), the fan-out or their mean.

    Args:
        scale: the factor :math:`s`.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "normal", "truncated_normal" (cut at two standard deviations, and widened to
            keep the variance) or "uniform".
        in_axis: the axis of the inputs.
        out_axis: the axis of the outputs. All other axes are the receptive field.
        seed: a seed or key of its own; None draws from the default generator.
        unit: the physical unit of the result; None for plain numbers.

    Raises:
        ValueError: for an unknown mode or distribution.
    """

    def __init__(
        self,
        scale: float,
        mode: str,
        distribution: str,
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(seed, unit)
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be fan_in, fan_out or fan_avg, not {mode!r}.")
        if distribution not in ("normal", "truncated_normal", "uniform"):
            raise ValueError(
                f"distribution must be normal, truncated_normal or uniform, not {distribution!r}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.in_axis = in_axis
        self.out_axis = out_axis

    def variance(self, size: Size) -> float:
        """Give the variance for a shape.

        Args:
            size: the shape of the weight.

        Raises:
            ValueError: if the shape has no such axes.
        """
        try:
            n_in, n_out = size[self.in_axis], size[self.out_axis]
        except IndexError:
            raise ValueError(
                f"{type(self).__name__} needs a shape with the axes {self.in_axis} and "
                f"{self.out_axis}, and got {size}."
            ) from None
        field = math.prod(size) / (n_in * n_out) if n_in * n_out else 1.0
        fan_in, fan_out = n_in * field, n_out * field
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        return self.scale / max(1.0, fans[self.mode])

    def make(self, size: Size, dtype: Any) -> Any:
        """Compute the array."""
        variance = self.variance(size)
        key = self.key()
        if self.distribution == "normal":
            draw = jax.random.normal(key, size, dtype) * math.sqrt(variance)
        elif self.distribution == "uniform":
            draw = jax.random.uniform(key, size, dtype, -1.0, 1.0) * math.sqrt(3 * variance)
        else:
            draw = jax.random.truncated_normal(key, -2.0, 2.0, size, dtype)
            draw = draw * (math.sqrt(variance) / _TRUNCATED_STD)
        return with_unit(jnp.asarray(draw, dtype), self.unit)


class KaimingNormal(VarianceScaling):
    """A truncated normal of variance 2 / fan-in, made for ReLU (He et al., 2015).

    The arguments are those of `VarianceScaling`.
    """

    def __init__(
        self,
        scale: float = 2.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(scale, mode, distribution, in_axis, out_axis, seed, unit)


class KaimingUniform(VarianceScaling):
    """A uniform distribution of variance 2 / fan-in, made for ReLU (He et al., 2015).

    The arguments are those of `VarianceScaling`.
    """

    def __init__(
        self,
        scale: float = 2.0,
        mode: str = "fan_in",
        distribution: str = "uniform",
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(scale, mode, distribution, in_axis, out_axis, seed, unit)


class XavierNormal(VarianceScaling):
    """A truncated normal of variance 1 / mean fan, made for tanh (Glorot and Bengio, 2010).

    The arguments are those of `VarianceScaling`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_avg",
        distribution: str = "truncated_normal",
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(scale, mode, distribution, in_axis, out_axis, seed, unit)


class XavierUniform(VarianceScaling):
    """A uniform distribution of variance 1 / mean fan (Glorot and Bengio, 2010).

    The arguments are those of `VarianceScaling`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_avg",
        distribution: str = "uniform",
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(scale, mode, distribution, in_axis, out_axis, seed, unit)


class LecunNormal(VarianceScaling):
    """A truncated normal of variance 1 / fan-in (LeCun et al., 1998).

    The arguments are those of `VarianceScaling`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(scale, mode, distribution, in_axis, out_axis, seed, unit)


class LecunUniform(VarianceScaling):
    """A uniform distribution of variance 1 / fan-in (LeCun et al., 1998).

    The arguments are those of `VarianceScaling`.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "uniform",
        in_axis: int = -2,
        out_axis: int = -1,
        seed: Any = None,
        unit: Any = None,
    ) -> None:
        super().__init__(scale, mode, distribution, in_axis, out_axis, seed, unit)
