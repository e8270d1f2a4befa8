"""Layers that multiply with other weights than those that they store, and connections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen
from jax import lax

__all__ = ["AllToAll", "LoRA", "MaskedLinear", "OneToOne", "ScaledWSLinear", "SignedWLinear"]

KERNEL = linen.initializers.lecun_normal()
ZEROS = linen.initializers.zeros_init()
ONES = linen.initializers.ones_init()


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


class MaskedLinear(linen.Module):
    """A dense layer whose kernel has a mask: ``y = x @ (W * w_mask) + b``.

    Attributes:
        features: number of output features.
        w_mask: factor on the kernel in every call: an array that broadcasts to its shape, or a
            number. Where it is zero no gradient reaches the kernel.
        use_bias: whether there is a bias.
        dtype: what input and parameters are cast to; ``None`` for what `jax.numpy` promotes them
            to.
        precision: precision of the product.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.

    Example:
        >>> import jax
        >>> layer, x = MaskedLinear(4, w_mask=0.0), jnp.ones(3)
        >>> layer.init_with_output(jax.random.key(0), x)[0].tolist()
        [0.0, 0.0, 0.0, 0.0]
    """

    features: int
    w_mask: Any = None
    use_bias: bool = True
    dtype: Any = None
    precision: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL
    bias_init: Any = ZEROS

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Multiply the last axis, and add the bias."""
        shape = (jnp.shape(inputs)[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, shape[1:], self.param_dtype)
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        return product(inputs, kernel, bias, self.dtype, self.precision)


class SignedWLinear(linen.Module):
    """A dense layer whose weights keep their signs: ``y = x @ (abs(W) * w_sign)``.

    Attributes:
        features: number of output features.
        w_sign: the signs: an array that broadcasts to the shape of the kernel, a number, or
            ``None`` for 1.
        dtype: what input and kernel are cast to; ``None`` for what `jax.numpy` promotes them to.
        precision: precision of the product.
        param_dtype: the dtype that the kernel starts in.
        kernel_init: initializer of the kernel.

    Example:
        >>> import jax
        >>> y, _ = SignedWLinear(4, w_sign=-1).init_with_output(jax.random.key(0), jnp.ones(3))
        >>> bool((y < 0).all())
        True
    """

    features: int
    w_sign: Any = None
    dtype: Any = None
    precision: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Multiply the last axis."""
        shape = (jnp.shape(inputs)[-1], self.features)
        kernel = jnp.abs(self.param("kernel", self.kernel_init, shape, self.param_dtype))
        if self.w_sign is not None:
            kernel = kernel * self.w_sign
        return product(inputs, kernel, None, self.dtype, self.precision)


class ScaledWSLinear(linen.Module):
    """A dense layer whose kernel is standardised for each output in every call.

    ``y = x @ (S * w_mask) + b`` with ``S = (W - mean) / sqrt(max(in * var, eps)) * gain``.

    Attributes:
        features: number of output features.
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
        scale_init: initializer of the gain.

    Example:
        >>> import jax
        >>> ScaledWSLinear(4).init_with_output(jax.random.key(0), jnp.ones((2, 3)))[0].shape
        (2, 4)
    """

    features: int
    w_mask: Any = None
    ws_gain: bool = True
    eps: float = 1e-4
    use_bias: bool = True
    dtype: Any = None
    precision: Any = None
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL
    bias_init: Any = ZEROS
    scale_init: Any = ONES

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Standardise the kernel, multiply the last axis, and add the bias."""
        shape = (jnp.shape(inputs)[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = gain = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, shape[1:], self.param_dtype)
        if self.ws_gain:
            gain = self.param("gain", self.scale_init, shape[1:], self.param_dtype)
        kernel = standardised(kernel, self.eps, gain)
        if self.w_mask is not None:
            kernel = kernel * self.w_mask
        return product(inputs, kernel, bias, self.dtype, self.precision)


def first_of(init: Any, key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """One number: the first of what an initializer makes."""
    # Where nothing is connected there is no first one, and a weight all the same.
    return jnp.ravel(init(key, shape if math.prod(shape) else (1,), dtype))[0]


class AllToAll(linen.Module):
    """Connects every input to every output, or to every one but that at its own position.

    ``y = x @ W + b``, where the diagonal of ``W`` counts as 0 with ``include_self=False``.

    Attributes:
        in_features: number of inputs.
        out_features: number of outputs.
        shared_weight: whether ``W`` is one number for all connections.
        include_self: whether input ``i`` is connected to output ``i``.
        use_bias: whether there is a bias.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the weights.
        bias_init: initializer of the bias.

    Example:
        >>> import jax
        >>> layer = AllToAll(3, 3, include_self=False, kernel_init=ONES)
        >>> layer.init_with_output(jax.random.key(0), jnp.array([1.0, 2.0, 4.0]))[0].tolist()
        [6.0, 5.0, 3.0]
    """

    in_features: int
    out_features: int
    shared_weight: bool = False
    include_self: bool = True
    use_bias: bool = False
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL
    bias_init: Any = ZEROS

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Send the last axis along the connections.

        Raises:
            ValueError: if the last axis has another length.
        """
        x, shape = jnp.asarray(inputs), (self.in_features, self.out_features)
        if x.shape[-1:] != shape[:1]:
            raise ValueError(f"AllToAll takes {self.in_features} inputs, got shape {x.shape}.")
        if self.shared_weight:
            kernel = self.param(
                "kernel", lambda key: first_of(self.kernel_init, key, shape, self.param_dtype)
            )
            y = self._sum(x.astype(jnp.result_type(x, kernel))) * kernel
        else:
            kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
            own = jnp.eye(*shape, dtype=bool)
            y = jnp.dot(x, kernel if self.include_self else jnp.where(own, 0, kernel))
        if self.use_bias:
            y = y + self.param("bias", self.bias_init, shape[1:], self.param_dtype)
        return y

    @linen.nowrap
    def _sum(self, x: Any) -> Any:
        """The product with a matrix of ones: all outputs are one sum, but for their own input."""
        total = jnp.sum(x, axis=-1, keepdims=True)
        if self.include_self:
            return jnp.broadcast_to(total, (*x.shape[:-1], self.out_features))
        longer = (0, self.out_features - self.in_features, 0)
        own = lax.pad(x, jnp.zeros((), x.dtype), [*[(0, 0, 0)] * (x.ndim - 1), longer])
        return total - own


class OneToOne(linen.Module):
    """Multiplies each input by a weight of its own: ``y = x * W + b``.

    Attributes:
        in_size: shape of one example, which is that of the weights.
        shared_weight: whether ``W`` is one number for all inputs.
        use_bias: whether there is a bias.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of the weights.
        bias_init: initializer of the bias.

    Example:
        >>> import jax
        >>> layer = OneToOne((3,), kernel_init=ONES)
        >>> layer.init_with_output(jax.random.key(0), jnp.array([[1.0, 2.0, 3.0]]))[0].tolist()
        [[1.0, 2.0, 3.0]]
    """

    in_size: Sequence[int]
    shared_weight: bool = False
    use_bias: bool = False
    param_dtype: Any = jnp.float32
    kernel_init: Any = linen.initializers.normal(1.0)
    bias_init: Any = ZEROS

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Multiply each entry, and add the bias.

        Raises:
            ValueError: if the input does not end in the shape of the weights.
        """
        shape = tuple(self.in_size)
        if shape and jnp.shape(inputs)[-len(shape) :] != shape:
            raise ValueError(f"OneToOne has weights of shape {shape}, got {jnp.shape(inputs)}.")
        if self.shared_weight:
            kernel = self.param(
                "kernel", lambda key: first_of(self.kernel_init, key, shape, self.param_dtype)
            )
        else:
            kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        y = inputs * kernel
        if self.use_bias:
            y = y + self.param("bias", self.bias_init, shape, self.param_dtype)
        return y


class LoRA(linen.Module):
    """A product of two narrow matrices, alone or added to a layer: ``y = base(x) + x @ A @ B``.

    Attributes:
        lora_rank: how many numbers pass between them.
        out_features: number of output features.
        param_dtype: the dtype that the parameters start in.
        kernel_init: initializer of both.
        base_module: the layer; None for the product alone.

    Example:
        >>> import jax
        >>> LoRA(2, 4).init_with_output(jax.random.key(0), jnp.ones((5, 3)))[0].shape
        (5, 4)
    """

    lora_rank: int
    out_features: int
    param_dtype: Any = jnp.float32
    kernel_init: Any = KERNEL
    base_module: Any = None

    @linen.compact
    def __call__(self, inputs: Any) -> Any:
        """Multiply the last axis."""
        narrow = (jnp.shape(inputs)[-1], self.lora_rank)
        wide = (self.lora_rank, self.out_features)
        a = self.param("lora_a", self.kernel_init, narrow, self.param_dtype)
        b = self.param("lora_b", self.kernel_init, wide, self.param_dtype)
        y = jnp.dot(jnp.dot(inputs, a), b)
        return y if self.base_module is None else self.base_module(inputs) + y
