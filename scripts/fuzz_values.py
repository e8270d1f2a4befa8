"""What the fuzzer gives the parameters of a framework's constructors: values by parameter name.

Likely values and odd ones alike; whatever a constructor or its call refuses is drawn anew. A
parameter without a list here gets values by its default, so that one of a new release is tried too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Draw = random.Random
Drawn = Callable[[Draw], Any]


def one_of(*values: Any) -> Drawn:
    """One of the values."""
    return lambda draw: draw.choice(values)


def sizes(low: int, high: int, ranks: Sequence[int] = (1, 2, 3)) -> Drawn:
    """A number, or a tuple of up to three."""

    def pick(draw: Draw) -> Any:
        if draw.random() < 0.3:
            return draw.randint(low, high)
        return tuple(draw.randint(low, high) for _ in range(draw.choice(ranks)))

    return pick


def pairs(draw: Draw) -> Any:
    """Padding by pairs."""
    return tuple((draw.randint(0, 2), draw.randint(0, 2)) for _ in range(draw.randint(1, 3)))


def either(*ways: Drawn) -> Drawn:
    """What one of the ways gives."""
    return lambda draw: draw.choice(ways)(draw)


def own_function(x: Any) -> Any:
    """A function that no row can know."""
    return jnp.sin(x) * 2


small = one_of(1, 2, 3, 4, 6)
flag = one_of(True, False)
dtypes = one_of(None, jnp.float32, jnp.bfloat16, jnp.float16, np.dtype("float32"), "float32")
stored = one_of(jnp.float32, jnp.bfloat16, jnp.float16)
axes = one_of(-1, 0, 1, -2, (-1,), (-2, -1), (1, 2), (0,), (1,), (-1, -2), None)
functions = one_of(
    jax.nn.relu, jax.nn.gelu, jax.nn.silu, jnp.tanh, jax.nn.sigmoid, jax.nn.hard_tanh,
    partial(jax.nn.gelu, approximate=False), partial(jax.nn.leaky_relu, negative_slope=0.2),
    jnp.sin, jnp.square, own_function, lambda x: x + 1,
)  # fmt: skip

VALUES: dict[str, Drawn] = {
    **dict.fromkeys(
        (
            "in_features",
            "out_features",
            "num_features",
            "features",
            "num_embeddings",
            "embedding_size",
            "in_channels",
            "out_channels",
            "input_size",
            "hidden_size",
            "hidden_features",
            "channels",
            "in_size",
            "out_size",
            "width_size",
            "num_heads",
            "qkv_features",
            "query_size",
            "lora_rank",
            "size",
            "max_length",
        ),
        small,
    ),
    "kernel_size": sizes(1, 3),
    "window_shape": sizes(1, 3),
    "strides": either(sizes(1, 3), one_of(None, 1)),
    "stride": sizes(1, 3),
    "padding": either(
        one_of("SAME", "VALID", "CIRCULAR", "CAUSAL", "REFLECT", "SAME_LOWER", "same", 0, 1, 2),
        pairs,
    ),
    "padding_mode": one_of("ZEROS", "REFLECT", "REPLICATE", "CIRCULAR", "zeros"),
    "input_dilation": sizes(1, 2),
    "kernel_dilation": sizes(1, 3),
    "dilation": sizes(1, 3),
    "output_padding": sizes(0, 1),
    "feature_group_count": one_of(1, 2, 3),
    "groups": one_of(1, 2, 3),
    "num_groups": one_of(None, 1, 2, 3),
    "group_size": one_of(None, 1, 2),
    "dtype": dtypes,
    "param_dtype": stored,
    "embedding_dtype": dtypes,
    "precision": one_of(None, "highest", "high", jax.lax.Precision.HIGHEST),
    "epsilon": one_of(1e-6, 1e-5, 1e-2, 0.5),
    "eps": one_of(1e-6, 1e-5, 1e-2, 0.5),
    "momentum": one_of(0.99, 0.9, 0.5, 0.0, 1.0),
    "axis": axes,
    "reduction_axes": axes,
    "feature_axes": axes,
    "channel_axes": axes,
    "broadcast_dims": one_of((), (0,), (1,), (-1,), 0),
    "rate": one_of(0.0, 0.3, 0.5, 1.0),
    "p": one_of(0.0, 0.3, 0.5, 1.0),
    "negative_slope_init": one_of(0.01, 0.3),
    "init_alpha": one_of(None, 0.25, 0.3),
    "ceil_mode": flag,
    "count_include_pad": flag,
    "target_shape": sizes(1, 3),
    "shape": either(small, sizes(1, 4)),
    "mask": one_of(None),
    "activation": functions,
    "activation_fn": functions,
    "final_activation": functions,
    "gate_fn": functions,
    "fn": functions,
    "depth": one_of(0, 1, 2),
    "theta": one_of(10_000.0, 100.0),
    "mode": one_of("ema", "batch"),
    "approx_bias": flag,
    "promote_dtype": one_of(lambda x, **_: x),
    "transpose_kernel": flag,
    "channelwise_affine": flag,
    "use_bias": one_of(True, False, True, False, "scalar"),
}


TAKEN_IN = (
    "in_features", "num_features", "in_channels", "input_size", "in_size", "query_size", "shape",
    "channels", "embedding_size",
)  # fmt: skip
"""Parameters that mostly have to be the size of the input's channels."""


def value_for(name: str, default: Any, shape: tuple[int, ...], draw: Draw) -> Any:
    """A value for a parameter, by its name or else by its default.

    Args:
        name: the parameter.
        default: its default, or a mark that there is none.
        shape: of one input, whose first or last size is taken where one has to be.
        draw: where chance comes from.
    """
    if name in TAKEN_IN and draw.random() < 0.8:
        return draw.choice((shape[0], shape[-1], shape[-1]))
    if name in ("kernel_size", "window_shape") and draw.random() < 0.7:
        return tuple(draw.randint(1, 3) for _ in shape[1:])
    if name in VALUES:
        return VALUES[name](draw)
    if isinstance(default, bool):
        return draw.choice((True, False))
    if isinstance(default, int):
        return draw.choice((default, default + 1, 1))
    if isinstance(default, float):
        return draw.choice((default, default / 2, 0.0))
    if default is None:
        return draw.choice((None, None, 1, "highest", own_function))
    if callable(default):
        return draw.choice((default, default, own_function))
    return default
