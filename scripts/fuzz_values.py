"""What the fuzzer gives the parameters of constructors: values by parameter name.

Likely values and odd ones alike; whatever a constructor or its call refuses is drawn anew. A
parameter without a list here gets values by its default, so that one of a new release is tried too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interop_core.nn import init

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


def masks(draw: Draw) -> Any:
    """No mask mostly; else one of some shape."""
    if draw.random() < 0.5:
        return None
    shape = tuple(draw.choice((1, 2, 3, 4)) for _ in range(draw.choice((1, 2, 2, 3, 4))))
    return np.random.default_rng(draw.randrange(99)).integers(0, 2, shape).astype(np.float32)


initializers = one_of(None, init.ZeroInit(), init.Constant(0.5), init.Normal(0.3), 0.5)

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
    "num_in": small,
    "num_out": small,
    "in_kv_features": one_of(None, 2, 4),
    "num_kv_heads": one_of(None, 1, 2),
    "prob": one_of(0.0, 0.3, 0.5, 1.0),
    "dropout_rate": one_of(0.0, 0.3),
    "dropout_p": one_of(0.0, 0.3),
    "w_init": initializers,
    "b_init": initializers,
    "weight_init": initializers,
    "bias_initializer": initializers,
    "scale_initializer": initializers,
    "state_init": initializers,
    "gate_activation": functions,
    "w_mask": masks,
    "w_sign": masks,
    "mask": masks,
    "sizes": one_of((2, -1), (-1, 2), (1, -1), (3, 2), (2, 2)),
    "source": one_of(-1, 0, 1, -2, (0, 1)),
    "destination": one_of(-1, 0, 1, -2, (1, 0)),
    "start_axis": one_of(0, 1, -2, -1),
    "end_axis": one_of(-1, 1, -2),
    "start_dimension": one_of(0, 1, -2),
    "stop_dimension": one_of(None, 2, 3, -1),
    "dim": one_of(-1, -2, 0, 1, None),
    "norm_type": one_of(1.0, 2.0, 3.0, 1.5, 0.5, float("inf")),
    "threshold": one_of(0.0, 0.1, -0.5, 1.0),
    "value": one_of(0.0, 0, 1.5, -2.0),
    "lower": one_of(0.125, 0.0, 0.3),
    "upper": one_of(0.3333, 0.3, 0.5),
    "min_val": one_of(-1.0, 0.0, -0.1),
    "max_val": one_of(1.0, 0.2, 6.0),
    "lambd": one_of(0.5, 0.0, 0.1),
    "alpha": one_of(1.0, 0.5, 2.0, 0.0),
    "negative_slope": one_of(0.01, 0.3, 0.0, 1.0),
    "target_size": sizes(1, 3),
    "channel_axis": one_of(-1, 0, 1, -2, -3, None),
    "feature_axis": one_of(-1, 0, 1, -2),
    "max_norm": one_of(None, 1.0, 0.1),
    "padding_idx": one_of(None, 0, 1, -1),
    "efferent_target": one_of("post", "pre"),
    "num_parameters": one_of(1, 2, 3, 4),
    "rhs_dilation": sizes(1, 2),
    "lhs_dilation": sizes(1, 2),
    "force_float32_reductions": flag,
    "axis_name": one_of(None, "batch", "i"),
    "seed": one_of(None, 0, 3),
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
    "channels", "embedding_size", "num_in", "in_kv_features",
)  # fmt: skip
"""Parameters that mostly have to be the size of the input, or of its channels."""

LEFT_OUT = ("rngs", "key", "parent", "name")
"""Parameters that say nothing of what is computed."""


def fitted(
    options: Mapping[str, Any], shape: tuple[int, ...], *, first: bool, draw: Draw
) -> dict[str, Any]:
    """Options with the sizes of the input as an input of this shape has them.

    Args:
        options: options that fit some other shape.
        shape: of one input.
        first: whether the framework has the channels first.
        draw: where chance comes from.
    """
    made = dict(options)
    for name in TAKEN_IN:
        if isinstance(made.get(name), tuple):
            made[name] = shape if name != "shape" or draw.random() < 0.5 else shape[-1:]
        elif isinstance(made.get(name), int) and shape:
            ends = (shape[0], shape[-1]) if first else (shape[-1],)
            made[name] = draw.choice(ends)
    return made


def value_for(name: str, default: Any, shape: tuple[int, ...], draw: Draw) -> Any:
    """A value for a parameter, by its name or else by its default.

    Args:
        name: the parameter.
        default: its default, or a mark that there is none.
        shape: of one input, whose first or last size is taken where one has to be.
        draw: where chance comes from.
    """
    if name in TAKEN_IN and shape and draw.random() < 0.8:
        return draw.choice((shape, shape[0], shape[-1], shape[-1]))
    if name in ("kernel_size", "window_shape", "target_size") and draw.random() < 0.7:
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
    if isinstance(default, str):
        return draw.choice((default, default.lower(), "relu", "sigmoid"))
    if callable(default):
        return draw.choice((default, default, own_function))
    return default
