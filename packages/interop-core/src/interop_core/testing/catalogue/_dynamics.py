"""Rows of dynamics and delays."""

from __future__ import annotations

import jax

from ._row import Row

_STEP = {"dt": 0.1}


def _delay(**options: object) -> Row:
    """A row of a delay of 0.3 in steps of 0.1; its call gives nothing and writes its states."""
    return Row(
        "Delay",
        lambda nn: nn.Delay(jax.numpy.zeros(3), 0.3, **options),
        ((2, 3),),
        ", ".join(options),
        batch=2,
        steps=6,
        context=_STEP,
        differentiable=False,
    )


ROWS: tuple[Row, ...] = (_delay(), _delay(init=2.0), _delay(update_every=0.2))
