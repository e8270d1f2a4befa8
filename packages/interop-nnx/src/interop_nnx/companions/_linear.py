"""Companions that multiply with other weights than those that they store, and connections."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax

KERNEL = nnx.initializers.lecun_normal()
ZEROS = nnx.initializers.zeros_init()
ONES = nnx.initializers.ones_init()


def product(x: Any, kernel: Any, bias: Any, dtype: Any, precision: Any) -> Any:
    """Compute ``x @ kernel + bias``, in ``dtype`` or in what `jax.numpy` promotes them to."""
    if dtype is not None:
        x, kernel = jnp.asarray(x).astype(dtype), kernel.astype(dtype)
        bias = None if bias is None else bias.astype(dtype)
    y = jnp.dot(x, kernel, precision=precision)
    return y if bias is None else y + bias


def standardised(kernel: Any, eps: float, gain: Any) -> Any:
    """A kernel with the mean 0 and the variance ``1 / n`` over the ``n`` entries of an output."""
    axes = tuple(range(kernel.ndim - 1))
    mean = jnp.mean(kernel, axis=axes, keepdims=True)
    total = jnp.var(kernel, axis=axes, keepdims=True) * math.prod(kernel.shape[:-1])
    factor = lax.rsqrt(jnp.maximum(total, eps))
    return (kernel - mean) * (factor if gain is None else factor * gain)


def parameter(init: Any, rngs: nnx.Rngs, shape: tuple[int, ...], dtype: Any) -> Any:
    """A parameter as its initializer makes it."""
    return nnx.Param(init(rngs.params(), shape, dtype))


def value(held: Any) -> Any:
    """The array in a parameter; None where there is none."""
    return None if held is None else held.get_value()


class MaskedLinear(nnx.Module):
    """A dense layer whose kernel has a mask: ``y = x @ (W * w_mask) + b``.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        w_mask: factor on the kernel in every call: an array that broadcasts to its shape, or a
            number. Where it is zero no gradient reaches the kernel.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; ``None`` for what `jax.numpy` promotes them
            to.
        precision: precision of the product.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> layer = MaskedLinear(3, 4, w_mask=0.0, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones(3)).tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        w_mask: Any = None,
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.w_mask, self.use_bias = w_mask, use_bias
        self.dtype, self.precision = dtype, precision
        shape = (in_features, out_features)
        self.kernel = parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = parameter(bias_init, rngs, shape[1:], param_dtype) if use_bias else None

    def __call__(self, x: Any) -> Any:
        """Multiply the last axis, and add the bias."""
        kernel = value(self.kernel)
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        return product(x, kernel, value(self.bias), self.dtype, self.precision)


class SignedWLinear(nnx.Module):
    """A dense layer whose weights keep their signs: ``y = x @ (abs(W) * w_sign)``.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        w_sign: the signs: an array that broadcasts to the shape of the kernel, a number, or
            ``None`` for 1.
        dtype: what input and kernel are cast to; ``None`` for what `jax.numpy` promotes them to.
        precision: precision of the product.
        param_dtype: the dtype that the kernel starts in.
        kernel_init: initializer of the kernel.
        rngs: what the kernel is drawn from.

    Example:
        >>> layer = SignedWLinear(3, 4, w_sign=-1, rngs=nnx.Rngs(0))
        >>> bool((layer(jnp.ones(3)) < 0).all())
        True
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        w_sign: Any = None,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.w_sign = w_sign
        self.dtype, self.precision = dtype, precision
        self.kernel = parameter(kernel_init, rngs, (in_features, out_features), param_dtype)

    def __call__(self, x: Any) -> Any:
        """Multiply the last axis."""
        kernel = jnp.abs(value(self.kernel))
        if self.w_sign is not None:
            kernel = kernel * self.w_sign
        return product(x, kernel, None, self.dtype, self.precision)


class ScaledWSLinear(nnx.Module):
    """A dense layer whose kernel is standardised for each output in every call.

    ``y = x @ (S * w_mask) + b`` with ``S = (W - mean) / sqrt(max(in * var, eps)) * gain``.

    Args:
        in_features: number of input features.
        out_features: number of output features.
        w_mask: factor on the standardised kernel: an array that broadcasts to its shape, or a
            number.
        ws_gain: whether there is a gain, one number for each output.
        eps: lower bound of ``in * var``.
        use_bias: whether there is a bias.
        dtype: what input, standardised kernel and bias are cast to; ``None`` for what `jax.numpy`
            promotes them to.
        precision: precision of the product.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        gain_init: initializer of the gain.
        rngs: what the parameters are drawn from.

    Example:
        >>> layer = ScaledWSLinear(3, 4, rngs=nnx.Rngs(0))
        >>> layer(jnp.ones((2, 3))).shape
        (2, 4)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        w_mask: Any = None,
        ws_gain: bool = True,
        eps: float = 1e-4,
        use_bias: bool = True,
        dtype: Any = None,
        precision: Any = None,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        gain_init: Any = ONES,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.w_mask, self.ws_gain, self.eps, self.use_bias = w_mask, ws_gain, eps, use_bias
        self.dtype, self.precision = dtype, precision
        shape = (in_features, out_features)
        self.kernel = parameter(kernel_init, rngs, shape, param_dtype)
        self.bias = parameter(bias_init, rngs, shape[1:], param_dtype) if use_bias else None
        self.gain = parameter(gain_init, rngs, shape[1:], param_dtype) if ws_gain else None

    def __call__(self, x: Any) -> Any:
        """Standardise the kernel, multiply the last axis, and add the bias."""
        kernel = standardised(value(self.kernel), self.eps, value(self.gain))
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        return product(x, kernel, value(self.bias), self.dtype, self.precision)


class AllToAll(nnx.Module):
    """Connects every input to every output, or to every one but that at its own position.

    ``y = x @ W + b``, where the diagonal of ``W`` counts as 0 with ``include_self=False``.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        shared_weight: whether ``W`` is one number for all connections.
        include_self: whether input ``i`` is connected to output ``i``.
        use_bias: whether there is a bias.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the weights.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> ones = nnx.initializers.ones_init()
        >>> layer = AllToAll(3, 3, include_self=False, kernel_init=ones, rngs=nnx.Rngs(0))
        >>> layer(jnp.array([1.0, 2.0, 4.0])).tolist()
        [6.0, 5.0, 3.0]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        shared_weight: bool = False,
        include_self: bool = True,
        use_bias: bool = False,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = KERNEL,
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.shared_weight, self.include_self = shared_weight, include_self
        self.use_bias = use_bias
        shape = (in_features, out_features)
        self.kernel = shared_or_each(kernel_init, rngs, shape, shared_weight, param_dtype)
        self.bias = parameter(bias_init, rngs, shape[1:], param_dtype) if use_bias else None

    def __call__(self, x: Any) -> Any:
        """Send the last axis along the connections."""
        x, kernel, bias = jnp.asarray(x), value(self.kernel), value(self.bias)
        if kernel.ndim:
            own = jnp.eye(kernel.shape[0], kernel.shape[1], dtype=bool)
            kernel = kernel if self.include_self else jnp.where(own, 0, kernel)
            y = jnp.dot(x, kernel)
        else:
            y = self._sum(x.astype(jnp.result_type(x, kernel))) * kernel
        return y if bias is None else y + bias

    def _sum(self, x: Any) -> Any:
        """The product with a matrix of ones: all outputs are one sum, but for their own input."""
        total = jnp.sum(x, axis=-1, keepdims=True)
        if self.include_self:
            return jnp.broadcast_to(total, (*x.shape[:-1], self.out_features))
        longer = (0, self.out_features - self.in_features, 0)
        own = lax.pad(x, jnp.zeros((), x.dtype), [*[(0, 0, 0)] * (x.ndim - 1), longer])
        return total - own


class OneToOne(nnx.Module):
    """Multiplies each input by a weight of its own: ``y = x * W + b``.

    Args:
        in_size: shape of one example, which is that of the weights.
        shared_weight: whether ``W`` is one number for all inputs.
        use_bias: whether there is a bias.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the weights.
        bias_init: initializer of the bias.
        rngs: what the parameters are drawn from.

    Example:
        >>> layer = OneToOne((3,), kernel_init=nnx.initializers.ones_init(), rngs=nnx.Rngs(0))
        >>> layer(jnp.array([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 2.0, 3.0]]
    """

    def __init__(
        self,
        in_size: tuple[int, ...],
        *,
        shared_weight: bool = False,
        use_bias: bool = False,
        param_dtype: Any = jnp.float32,
        kernel_init: Any = nnx.initializers.normal(1.0),  # noqa: B008
        bias_init: Any = ZEROS,
        rngs: nnx.Rngs,
    ) -> None:
        self.in_size, self.shared_weight, self.use_bias = in_size, shared_weight, use_bias
        self.kernel = shared_or_each(kernel_init, rngs, in_size, shared_weight, param_dtype)
        self.bias = parameter(bias_init, rngs, in_size, param_dtype) if use_bias else None

    def __call__(self, x: Any) -> Any:
        """Multiply each entry, and add the bias.

        Raises:
            ValueError: if the input does not end in the shape of the weights.
        """
        rank = len(self.in_size)
        if rank and jnp.shape(x)[-rank:] != tuple(self.in_size):
            raise ValueError(f"OneToOne has weights of shape {self.in_size}, got {jnp.shape(x)}.")
        y = x * value(self.kernel)
        return y if self.bias is None else y + value(self.bias)


def shared_or_each(
    init: Any, rngs: nnx.Rngs, shape: tuple[int, ...], shared: bool, dtype: Any
) -> Any:
    """Weights of a shape, or one number: the first that the initializer makes."""
    made = init(rngs.params(), shape, dtype)
    if not shared:
        return nnx.Param(made)
    # Abstract initializers say the shape alone, and one that draws needs axes to draw along.
    return nnx.Param(made.ravel()[0] if hasattr(made, "ravel") else init(None, (), dtype))
