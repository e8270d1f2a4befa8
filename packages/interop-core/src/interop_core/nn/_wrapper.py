"""Modules around a module: settings of the environment, and mapping over an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import environ
from ._mapping import run_mapped, state_axes
from ._module import Module

__all__ = ["EnvironContext", "Vmap"]


def checked_module(module: Any, what: str) -> Any:
    """Refuse what is no module; the type is left open for the attributes of subclasses."""
    if not isinstance(module, Module):
        raise TypeError(f"{what} wraps a module, not {module!r}.")
    return module


class EnvironContext(Module):
    """Runs a layer under settings of the environment.

    Args:
        layer: the layer.
        **context: the settings, as for `environ.context`: ``fit=True`` and others.

    Raises:
        TypeError: if the layer is no module.

    Example:
        >>> class Mode(Module):
        ...     def update(self):
        ...         return environ.get("fit")
        >>> layer = EnvironContext(Mode(), fit=True)
        >>> layer(), layer(context={"fit": False})
        (True, False)
    """

    def __init__(self, layer: Module, **context: Any) -> None:
        super().__init__()
        self.layer = checked_module(layer, "EnvironContext")
        self.context = context

    def update(self, *args: Any, context: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """Call the layer under the settings.

        Args:
            *args: for the layer.
            context: further settings for this call; they come before those of the wrapper.
            **kwargs: for the layer.

        Returns:
            The output of the layer.

        Raises:
            TypeError: if ``context`` is no dict.
        """
        if context is not None and not isinstance(context, Mapping):
            raise TypeError(f"context is a dict of settings, not {context!r}.")
        with environ.context(**{**self.context, **(context or {})}):
            return self.layer(*args, **kwargs)

    def add_context(self, **context: Any) -> None:
        """Add settings, or change them.

        Args:
            **context: the settings by name.
        """
        self.context = {**self.context, **context}

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the size that the layer makes.

        Args:
            in_size: the shape of one input.
        """
        return self.layer.output_size(in_size)  # type: ignore[no-any-return]


class Vmap(Module):
    """Maps a module over an axis of its arguments, like ``jax.vmap``.

    The states of the module are the same for all lanes, unless ``vmap_states`` names them: of
    those each lane has its own value, along an axis of the state's value. Each lane draws random
    numbers of its own.

    Args:
        module: the module.
        in_axes: the mapped axis of the positional arguments: one for all, or a sequence of one for
            each; None for an argument that all lanes share. Keyword arguments are mapped over
            their first axis.
        out_axes: the axis of the lanes in the outputs.
        vmap_states: a filter for the states of which each lane has its own value, along their
            first axis; or a dict from axis to filter.
        vmap_out_states: the same for states that get such a value in the call. Those of
            ``vmap_states`` do without being named.
        axis_name: a name for the axis, for ``jax.lax.psum`` and the like.
        axis_size: the number of lanes, where the arguments do not say.

    Raises:
        TypeError: if ``module`` is no module.

    Example:
        >>> from jax import numpy as jnp
        >>> class Dot(Module):
        ...     def update(self, x, y):
        ...         return jnp.dot(x, y)
        >>> Vmap(Dot(), in_axes=(0, None))(jnp.ones((4, 3)), jnp.ones(3)).shape
        (4,)
    """

    def __init__(
        self,
        module: Module,
        in_axes: int | Sequence[Any] | None = 0,
        out_axes: Any = 0,
        vmap_states: Any = None,
        vmap_out_states: Any = None,
        axis_name: Any = None,
        axis_size: int | None = None,
    ) -> None:
        super().__init__()
        self.module = checked_module(module, "Vmap")
        self.in_axes = in_axes
        self.out_axes = out_axes
        self.vmap_states = vmap_states
        self.vmap_out_states = vmap_out_states
        self.axis_name = axis_name
        self.axis_size = axis_size

    @property
    def vmapped_fn(self) -> Callable[..., Any]:
        """The mapped function of the arguments: `update`."""
        return self.update

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module in each lane.

        Args:
            *args: for the module, with the mapped axes.
            **kwargs: for the module, mapped over their first axis.

        Returns:
            The outputs of all lanes.

        Raises:
            ValueError: if a mapped axis is missing, or two have not one length; or if a state
                that all lanes share was to get a value of each lane.
        """
        states = self.module.states()
        output, _ = run_mapped(
            self.module,
            self.module,
            args,
            kwargs,
            in_axes=self.in_axes,
            out_axes=self.out_axes,
            axis_name=self.axis_name,
            axis_size=self.axis_size,
            mapped=state_axes(states, self.vmap_states),
            mapped_out=state_axes(states, self.vmap_out_states),
        )
        return output

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the size that the module makes in one lane.

        Args:
            in_size: the shape of one input of one lane.
        """
        return self.module.output_size(in_size)  # type: ignore[no-any-return]
