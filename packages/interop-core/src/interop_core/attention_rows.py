"""What the rows of attention have in common, whichever framework they are for.

Imports the row vocabulary alone.
"""

from __future__ import annotations

from typing import Any

from .errors import Refusal
from .layout import Layout, axes, chain
from .mapping import Config, Iso, Leaf, Opt, leaf
from .reshape import Reshape

PROJECTIONS = ("query", "key", "value", "output")

SELF_ATTENTION = "it is called with query, key and value, which a stack does not pass"


def _total(size: int, config: Config) -> int:
    return size * int(config["num_heads"])


def _per_head(total: int, config: Config) -> int:
    size, rest = divmod(total, config["num_heads"])
    if rest:
        raise Refusal(f"{total} features are not {config['num_heads']} heads of equal size")
    return int(size)


PER_HEAD = Iso(_total, _per_head, "per head")
"""A size of one head in the core, of all heads together in Flax."""


def _one_dtype(dtype: Any, config: Config) -> Any:
    held = {str(d) for name, d in config.items() if name.endswith(".dtype") and d is not None}
    if dtype is None and len(held) > 1:
        raise Refusal(
            f"dtype=None with parameters of {' and '.join(sorted(held))} is not the same product "
            "on both sides",
            "give the layer a dtype, or cast its parameters to one",
        )
    return dtype


COMPUTE_DTYPE = Iso(_one_dtype, _one_dtype, "=")
"""The ``dtype`` option, where the dtypes of the parameters do not leave it open."""

FLAX_BIASES = tuple(Opt(f"use_{name}_bias", "use_bias") for name in PROJECTIONS)
"""Flax's layers have one flag for all four biases."""


def biases_alike(config: Config) -> bool:
    """Whether all four projections have a bias, or none."""
    return len({config[f"use_{name}_bias"] for name in PROJECTIONS}) == 1


def heads_alike(config: Config) -> bool:
    """Whether queries, keys and values have as many heads of the same size."""
    return bool(
        config["qk_size"] == config["vo_size"] and config["num_heads"] == config["num_kv_heads"]
    )


def has_bias(name: str) -> Any:
    """Whether a projection has a bias, as the ``when`` of a leaf."""
    return lambda config: bool(config[f"use_{name}_bias"])


def normalizes(config: Config) -> bool:
    """Whether queries and keys are normalised."""
    return bool(config["normalize_qk"])


_FLAX_NAMES = {"output": "out"}

FLAX_LEAVES: tuple[Leaf, ...] = (
    *(leaf(f"weight.{n}_weight", f"{_FLAX_NAMES.get(n, n)}.kernel") for n in PROJECTIONS),
    *(
        leaf(f"weight.{n}_bias", f"{_FLAX_NAMES.get(n, n)}.bias", when=has_bias(n))
        for n in PROJECTIONS
    ),
    *(leaf(f"weight.{n}_scale", f"{n}_ln.scale", when=normalizes) for n in ("query", "key")),
)
"""Flax stores everything as the core does."""


COMPANION_LEAVES: tuple[Leaf, ...] = (
    *(leaf(f"weight.{n}_weight", f"{n}_weight") for n in PROJECTIONS),
    *(leaf(f"weight.{n}_bias", f"{n}_bias", when=has_bias(n)) for n in PROJECTIONS),
    *(leaf(f"weight.{n}_scale", f"{n}_scale", when=normalizes) for n in ("query", "key")),
)
"""So do the companions for Flax, under the same names."""


def sizes(config: Config) -> dict[str, tuple[int, int, int]]:
    """Shapes of the core's kernels."""
    heads = config["num_heads"]
    groups = config["num_kv_heads"] or heads
    return {
        "query": (config["in_size"][-1], heads, config["qk_size"]),
        "key": (config["key_size"], groups, config["qk_size"]),
        "value": (config["value_size"], groups, config["vo_size"]),
        "output": (heads, config["vo_size"], config["out_size"][-1]),
    }


def matrix(name: str) -> Any:
    """The layout of a kernel as a matrix with a row for each output, heads after each other."""

    def layout(config: Config) -> Layout:
        first, second, third = shape = sizes(config)[name]
        joined = (first * second, third) if name == "output" else (first, second * third)
        return chain(Reshape(shape, joined), axes("i o -> o i"))

    return layout


def vector(name: str) -> Any:
    """The layout of a bias as one vector, heads after each other."""

    def layout(config: Config) -> Layout:
        _, heads, size = sizes(config)[name]
        return Reshape((heads, size), (heads * size,))

    return layout


MATRIX_LEAVES: tuple[Leaf, ...] = (
    *(leaf(f"weight.{n}_weight", f"{n}_proj.weight", matrix(n)) for n in PROJECTIONS),
    *(
        leaf(f"weight.{n}_bias", f"{n}_proj.bias", vector(n), has_bias(n))
        for n in ("query", "key", "value")
    ),
    leaf("weight.output_bias", "output_proj.bias", when=has_bias("output")),
)
"""Equinox has a matrix and a vector for each projection."""
