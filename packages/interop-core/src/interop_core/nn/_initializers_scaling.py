"""Initializers whose variance follows the number of inputs and outputs of the weight."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import numpy as jnp

from ._initializers import Size, _Seeded, with_unit

# The standard deviation of a standard normal distribution cut off at -2 and 2.
_TRUNCATED_STD = 0.87962566103423978


class VarianceScaling(_Seeded):
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

    def make(self, size: Size, dtype: Any) -> jax.Array:
        """Compute the array."""
        variance = self.variance(size)
        key = self._key()
        if self.distribution == "normal":
            draw = jax.random.normal(key, size, dtype) * math.sqrt(variance)
        elif self.distribution == "uniform":
            draw = jax.random.uniform(key, size, dtype, -1.0, 1.0) * math.sqrt(3 * variance)
        else:
            draw = jax.random.truncated_normal(key, -2.0, 2.0, size, dtype)
            draw = draw * (math.sqrt(variance) / _TRUNCATED_STD)
        return with_unit(jnp.asarray(draw, dtype), self.unit)  # type: ignore[no-any-return]


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
