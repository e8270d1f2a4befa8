"""A module with states of its own for each lane of a mapped axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax

from .._flat import Path
from ..graph import FlatDict
from ..state import State
from ._mapping import checked_size, is_shared, run_mapped, state_axes
from ._module import Module
from ._wrapper import checked_module

__all__ = ["Map"]


class Map(Module):
    """Maps a module over lanes, each with its own copy of the states of a sequence.

    `init_all_states` makes the states that the module's ``init_state`` makes, one for each lane,
    with random numbers of its own. A call then runs the module in each lane, on the lane's states.
    Parameters and whatever else was there before are the same for all lanes.

    Args:
        module: the module.
        init_map_size: the number of lanes.
        init_state_axes: a dict from axis to filter: the axis of the lanes in the states that are
            made. States that no filter takes have it first; those tagged ``INIT_NO_BATCHING`` are
            made once for all lanes.
        state_tag: a tag for every state that is made.
        in_axes: the mapped axis of the positional arguments of a call: one for all, or a tuple of
            one for each; None for an argument that all lanes share. Keyword arguments are mapped
            over their first axis.
        out_axes: the axis of the lanes in the outputs.
        axis_name: a name for the axis, for ``jax.lax.psum`` and the like.
        spmd_axis_name: the mesh axis over which the lanes are spread; see ``jax.vmap``.
        call_state_axes: a dict from axis to filter for further states of which each lane has its
            own value in a call.
        behavior: "vmap", or "pmap" to place each lane on a device of its own.

    Attributes:
        dict_vmap_states: the states that `init_all_states` made, by axis; None before.

    Raises:
        TypeError: if ``module`` is no module or ``init_map_size`` no integer.
        ValueError: if there is no lane, more than devices with "pmap", or another behaviour.

    Example:
        >>> from jax import numpy as jnp
        >>> class Counter(Module):
        ...     def init_state(self):
        ...         self.n = State(jnp.zeros(()))
        ...
        ...     def update(self, x):
        ...         self.n.value += x
        ...         return self.n.value
        >>> counters = Map(Counter(), 3)
        >>> states = counters.init_all_states()
        >>> for _ in range(2):
        ...     total = counters(jnp.array([1.0, 2.0, 3.0]))
        >>> total.tolist()
        [2.0, 4.0, 6.0]
    """

    def __init__(
        self,
        module: Module,
        init_map_size: int,
        init_state_axes: Mapping[int, Any] | None = None,
        state_tag: str | None = None,
        in_axes: Any = 0,
        out_axes: Any = 0,
        axis_name: Any = None,
        spmd_axis_name: Any = None,
        call_state_axes: Mapping[int, Any] | None = None,
        behavior: str = "vmap",
    ) -> None:
        super().__init__()
        self.module = checked_module(module, "Map")
        self.init_map_size = checked_size(init_map_size, "init_map_size")
        if behavior not in ("vmap", "pmap"):
            raise ValueError(f"behavior must be 'vmap' or 'pmap', not {behavior!r}.")
        if behavior == "pmap" and self.init_map_size > jax.device_count():
            raise ValueError(
                f"{self.init_map_size} lanes cannot have a device each: there are "
                f"{jax.device_count()}."
            )
        self.init_state_axes = init_state_axes
        self.state_tag = state_tag
        self.in_axes = in_axes
        self.out_axes = out_axes
        self.axis_name = axis_name
        self.spmd_axis_name = spmd_axis_name
        self.call_state_axes = call_state_axes
        self.behavior = behavior
        self.dict_vmap_states: dict[int, list[State[Any]]] | None = None

    def init_all_states(self, **kwargs: Any) -> FlatDict[State[Any]]:  # type: ignore[override]
        """Make the states of each lane.

        Args:
            **kwargs: for the module's ``init_all_states``, which runs in each lane.

        Returns:
            The states that were made, by path.
        """
        by_axis = list((self.init_state_axes or {}).items())

        def axis_of_new(path: Path, state: State[Any]) -> int | None:
            found: FlatDict[State[Any]] = FlatDict({path: state})
            for axis, chosen in by_axis:
                if found.filter(chosen):
                    return axis
            return None if is_shared(state) else 0

        def make() -> None:
            self.module.init_all_states(**kwargs)

        _, made = run_mapped(
            self.module,
            make,
            in_axes=None,
            out_axes=None,
            axis_name=self.axis_name,
            axis_size=self.init_map_size,
            spmd_axis_name=self.spmd_axis_name,
            axis_of_new=axis_of_new,
            new_axes=(0, *(axis for axis, _ in by_axis)),
        )
        states: dict[int, list[State[Any]]] = {}
        for entry in made:
            entry.state.add_tag(self.state_tag)
            if entry.axis is not None:
                states.setdefault(entry.axis, []).append(entry.state)
                entry.state.value = self._placed(entry.state.value, entry.axis)
        self.dict_vmap_states = states
        return FlatDict((("module", *entry.path), entry.state) for entry in made)

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module in each lane.

        Args:
            *args: for the module, with the mapped axes.
            **kwargs: for the module, mapped over their first axis.

        Returns:
            The outputs of all lanes.

        Raises:
            ValueError: before `init_all_states`; if a mapped axis is missing or has another length
                than the lanes; or if a state that all lanes share was to get a value of each lane.
        """
        return self._run(
            self.module, args, kwargs, self.in_axes, self.out_axes, None, self.call_state_axes
        )

    def map(
        self,
        fn: str | Callable[..., Any],
        in_axes: Any = 0,
        out_axes: Any = 0,
        axis_name: Any = None,
        state_axes: Mapping[int, Any] | None = None,
    ) -> Callable[..., Any]:
        """Give another method of the module, mapped in the same way.

        Args:
            fn: the method's name, or a function that uses the module; it gets the arguments alone.
            in_axes: as for the class, for this function.
            out_axes: as for the class, for this function.
            axis_name: a name for the axis; None for that of the class.
            state_axes: what stands in for ``call_state_axes``; None for the same.

        Returns:
            The mapped function.

        Raises:
            ValueError: before `init_all_states`.
            AttributeError: if the module has no such method.
            TypeError: if ``fn`` is neither a name nor a function.

        Example:
            >>> class Box(Module):
            ...     def init_state(self):
            ...         self.v = State(2.0)
            ...
            ...     def times(self, x):
            ...         return x * self.v.value
            >>> boxes = Map(Box(), 2)
            >>> states = boxes.init_all_states()
            >>> boxes.map("times")(jax.numpy.array([1.0, 3.0])).tolist()
            [2.0, 6.0]
        """
        self._check_states()
        function: Any = fn
        if isinstance(fn, str):
            if not callable(getattr(self.module, fn, None)):
                raise AttributeError(f"{type(self.module).__name__} has no method {fn!r}.")
            function = getattr(self.module, fn)
        elif not callable(fn):
            raise TypeError(f"map takes the name of a method or a function, not {fn!r}.")
        axes = self.call_state_axes if state_axes is None else state_axes

        def mapped(*args: Any, **kwargs: Any) -> Any:
            return self._run(function, args, kwargs, in_axes, out_axes, axis_name, axes)

        return mapped

    def _check_states(self) -> dict[int, list[State[Any]]]:
        """Refuse to go on without states."""
        if self.dict_vmap_states is None:
            raise ValueError("The lanes of this Map have no states yet: call init_all_states().")
        return self.dict_vmap_states

    def _run(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        in_axes: Any,
        out_axes: Any,
        axis_name: Any,
        call_axes: Mapping[int, Any] | None,
    ) -> Any:
        """Call a function in each lane."""
        own = [(s, axis) for axis, states in self._check_states().items() for s in states]
        known = {id(state) for state, _ in own}
        further = state_axes(self.module.states(), call_axes)
        mapped = own + [(state, axis) for state, axis in further if id(state) not in known]
        if self.behavior == "pmap":
            in_axes = tuple(in_axes) if isinstance(in_axes, list) else in_axes
            args = self._placed(args, in_axes)
            kwargs = self._placed(dict(kwargs), 0)
        output, _ = run_mapped(
            self.module,
            function,
            args,
            kwargs,
            in_axes=in_axes,
            out_axes=out_axes,
            axis_name=self.axis_name if axis_name is None else axis_name,
            axis_size=self.init_map_size,
            spmd_axis_name=self.spmd_axis_name,
            mapped=mapped,
        )
        return output

    def _placed(self, tree: Any, axes: Any) -> Any:
        """Spread arrays over the devices along their mapped axes, where each lane has one."""
        if self.behavior == "vmap":
            return tree
        devices = jax.devices()[: self.init_map_size]
        mesh = jax.sharding.Mesh(devices, ("lanes",))

        def place(leaf: Any, axis: int | None) -> Any:
            if axis is None or isinstance(leaf, jax.ShapeDtypeStruct):
                return leaf
            spec = jax.sharding.PartitionSpec(*[None] * (axis % jax.numpy.ndim(leaf)), "lanes")
            return jax.device_put(leaf, jax.sharding.NamedSharding(mesh, spec))

        return jax.tree.map(
            lambda axis, part: jax.tree.map(lambda leaf: place(leaf, axis), part),
            axes,
            tree,
            is_leaf=lambda axis: axis is None,
        )

    def output_size(self, in_size: tuple[int, ...]) -> tuple[int, ...]:
        """Give the size that the module makes in one lane.

        Args:
            in_size: the shape of one input of one lane.
        """
        return self.module.output_size(in_size)  # type: ignore[no-any-return]
