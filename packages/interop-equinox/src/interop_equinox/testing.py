"""How tests make and call Equinox layers: the harness that the generated checks run on.

For `interop_core.testing`, and for tests of one's own rows on top of this bridge.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from interop_core import nn
from interop_core.functions import with_keywords
from interop_core.mapping import Config
from interop_core.options import parameters
from interop_core.testing import Harness

from . import BRIDGE, from_equinox, to_equinox


def _concrete(value: Any) -> Any:
    """A layer with arrays where it has shapes, which a layer around it may compute with."""

    def filled(leaf: Any) -> Any:
        shape = isinstance(leaf, jax.ShapeDtypeStruct)
        return jnp.ones(leaf.shape, leaf.dtype) if shape else leaf

    return jax.tree.map(filled, value) if isinstance(value, eqx.Module) else value


class EquinoxHarness(Harness):
    """Equinox layers are modules, or pairs of module and `eqx.nn.State`."""

    def construct(self, target: Any, options: Config, x: Any) -> Any:
        """Run the constructor, with a key of its own."""
        if not isinstance(target, type):
            return eqx.nn.Lambda(with_keywords(target, options))
        key = {"key": jax.random.key(0)} if "key" in parameters(target) else {}
        options = {name: _concrete(value) for name, value in options.items()}
        model, state = eqx.nn.make_with_state(target)(**options, **key)
        return (model, state) if jax.tree.leaves(state) else model

    def export(self, model: nn.Module, sample_input: Any = None) -> Any:
        """A core model as an Equinox one, with its state where it has any."""
        converted, state = to_equinox(model, sample_input=sample_input, stateful=True)
        return (converted, state) if jax.tree.leaves(state) else converted


HARNESS = EquinoxHarness(BRIDGE, to_equinox, from_equinox)
