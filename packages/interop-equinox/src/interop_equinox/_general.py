"""Rows of the classes that are told how many spatial axes they have, which are only imported.

What stands for them in the core are the layers of one, two and three axes, which become the
classes of Equinox for this number of axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jax import lax

from interop_core.mapping import Case, Config, LayerMap, Only, Refused, Unconvertible, case

from . import _conv, _conv_transpose, _pooling


def _has(rank: int) -> Callable[[Config], bool]:
    return lambda config: bool(config["num_spatial_dims"] == rank)


def _general(
    row: LayerMap,
    foreign: type,
    *pinned: Only,
    options: Config | None = None,
    refusals: tuple[Refused, ...] = (),
) -> LayerMap:
    """The row of a general class, out of that for one number of axes.

    What does not depend on this number, the ``options`` of a second case, is tried on two.
    """
    core: Any = row.core
    rank: int = core.spatial
    given = {option.name: option.value for option in pinned}
    entry = row.foreign_cases[0]

    def of(options: Config) -> Case:
        every = {**entry.options, "num_spatial_dims": rank, **given, **options}
        return replace(entry, options=every)

    return replace(
        row,
        foreign=foreign,
        options=(*row.options, Only("foreign", "num_spatial_dims", rank), *pinned),
        cases=(),
        foreign_cases=(of({}), *((of(options),) if options and rank == 2 else ())),
        refusals=refusals if rank == 2 else (),
        select=_has(rank),
        exports=False,
    )


_LARGEST = (Only("foreign", "init", -jnp.inf), Only("foreign", "operation", lax.max))


_SUM = Refused(
    "foreign",
    case(init=0.0, operation=lax.add, num_spatial_dims=2, kernel_size=2, input=(4, 4, 1)),
    "operation=.* has no counterpart",
)

_TRANSPOSED = {"stride": 2, "dilation": 2, "groups": 2, "use_bias": False}
_CONVOLUTION = {**_TRANSPOSED, "padding": 1, "padding_mode": "CIRCULAR"}

ROWS: tuple[LayerMap, ...] = (
    *(_general(row, eqx.nn.Conv, options=_CONVOLUTION) for row in _conv.STOCK),
    *(_general(row, eqx.nn.ConvTranspose, options=_TRANSPOSED) for row in _conv_transpose.ROWS),
    *(
        _general(row, eqx.nn.Pool, *_LARGEST, options={"padding": 1}, refusals=(_SUM,))
        for row in _pooling.MAXIMA
    ),
)

UNCONVERTIBLE: tuple[Unconvertible, ...] = (
    Unconvertible(
        eqx.nn.AdaptivePool,
        "it does not keep the number of its axes, and its operation may be any function",
        "use eqx.nn.AdaptiveAvgPool2d, eqx.nn.AdaptiveMaxPool2d and the likes",
    ),
)
