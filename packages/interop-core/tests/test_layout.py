"""The algebra of layouts: inverses, shapes, shardings, and arrays of every kind."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec

from interop_core.batched import batched_axes
from interop_core.beside import Beside
from interop_core.errors import Refusal
from interop_core.layout import (
    IDENTITY,
    Axes,
    Blocks,
    Chain,
    Join,
    Layout,
    Shift,
    Split,
    axes,
    carry,
    chain,
)
from interop_core.mirror import Flip, Negate

Shapes = tuple[tuple[int, ...], ...]
P: Any = PartitionSpec  # its constructor is untyped in some releases of jax

SETTINGS = settings(max_examples=60, derandomize=True, deadline=None, database=None)

EXAMPLES: tuple[tuple[Layout, Shapes], ...] = (
    (IDENTITY, ((2, 3), ())),
    (axes("i o -> o i"), ((2, 3),)),
    (axes("h w i o -> o i h w"), ((2, 3, 4, 5), (1, 1, 2, 2))),
    (axes("1 1 c -> c"), ((1, 1, 3),)),
    (axes("c -> c 1 1"), ((3,),)),
    (axes("1 c -> c 1"), ((1, 3),)),
    (batched_axes("h w c -> c h w"), ((2, 3, 4), (5, 2, 3, 4), (1, 2, 1, 1, 3))),
    (Blocks("igfo", "ifgo"), ((3, 8), (4,))),
    (Blocks("ab", "ba", axis=0), ((4, 3),)),
    (Split((2, 3), axis=0), ((5, 4),)),
    (Split((1, 2, 3), axis=-1), ((2, 6), (6,))),
    (Join((2, 3), axis=0), ((2, 4), (3, 4))),
    (Shift("igfo", "f", 1.0), ((8,), (3, 4))),
    (Negate("rz", "z"), ((3, 8), (4,))),
    (Negate("abc", "b", axis=0), ((6, 2),)),
    (Flip(2), ((2, 3, 4), (2, 2))),
    (Beside(((1, IDENTITY, 1), (2, Join((2, 3), 0), 1))), ((4,), (2, 5), (3, 5))),
    (Beside(((1, Split((1, 2), 0), 2), (1, Negate("rz", "z"), 1))), ((3,), (2, 4))),
    (chain(Blocks("igfo", "ifgo"), Split((2, 3), axis=0), axes("i o -> o i")), ((5, 8),)),
    (chain(Shift("igfo", "f", 0.5), Blocks("igfo", "fiog")), ((12,),)),
)
cases = pytest.mark.parametrize("layout, shapes", EXAMPLES, ids=[str(c[0]) for c in EXAMPLES])


def arrays_of(shapes: Shapes, dtype: Any = np.float32) -> tuple[np.ndarray[Any, Any], ...]:
    """Arrays with numbers that are all different, and halves, which every dtype here holds."""
    counts = [math.prod(shape) for shape in shapes]
    starts = np.cumsum([0, *counts])
    return tuple(
        (np.arange(start, start + count).reshape(shape) / 2).astype(dtype)
        for start, count, shape in zip(starts, counts, shapes, strict=False)
    )


def assert_equal(found: Any, expected: Any) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


class TestLaws:
    @cases
    def test_there_and_back_is_the_identity(self, layout: Layout, shapes: Shapes) -> None:
        arrays = arrays_of(shapes)
        assert_equal(layout.inverse(layout(arrays)), arrays)

    @cases
    def test_back_and_there_is_the_identity(self, layout: Layout, shapes: Shapes) -> None:
        there = layout(arrays_of(shapes))
        assert_equal(layout(layout.inverse(there)), there)

    @cases
    def test_the_inverse_of_the_inverse_is_the_layout(self, layout: Layout, shapes: Shapes) -> None:
        assert layout.inverse.inverse == layout
        assert hash(layout.inverse.inverse) == hash(layout)

    @cases
    def test_shapes_are_those_of_the_result(self, layout: Layout, shapes: Shapes) -> None:
        result = layout(arrays_of(shapes))
        assert layout.shapes(shapes) == tuple(array.shape for array in result)
        assert layout.inverse.shapes(layout.shapes(shapes)) == shapes

    @cases
    def test_specs_come_back(self, layout: Layout, shapes: Shapes) -> None:
        specs = tuple(P(*(f"m{i}" if n > 1 else None for i, n in enumerate(s))) for s in shapes)
        if isinstance(layout, Join):  # joined arrays are sharded alike
            specs = (specs[0],) * len(specs)
        there = layout.spec(specs)
        assert [len(spec) for spec in there] == [len(shape) for shape in layout.shapes(shapes)]
        assert layout.inverse.spec(there) == specs

    @cases
    def test_it_is_linear_where_it_says_so(self, layout: Layout, shapes: Shapes) -> None:
        if layout.linear:
            a, b = arrays_of(shapes), tuple(x * x for x in arrays_of(shapes))
            total = layout(tuple(x + 2 * y for x, y in zip(a, b, strict=True)))
            parts = zip(layout(a), layout(b), strict=True)
            assert_equal(total, tuple(x + 2 * y for x, y in parts))
        else:
            assert not layout.exact

    @cases
    def test_it_is_a_layout_and_data(self, layout: Layout, shapes: Shapes) -> None:
        assert isinstance(layout, Layout)
        assert pickle.loads(pickle.dumps(layout)) == layout
        assert str(layout)

    @cases
    def test_it_traces_under_its_own_name(self, layout: Layout, shapes: Shapes) -> None:
        # jax keeps a weak reference to what it traces.
        shaped = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)
        result = jax.eval_shape(layout, shaped)
        assert tuple(array.shape for array in result) == layout.shapes(shapes)


@st.composite
def chains(draw: Any) -> tuple[Layout, Shapes]:
    """A layout of several steps on a matrix whose axes divide by four, and its shapes."""
    shapes: Shapes = ((4 * draw(st.integers(1, 3)), 4 * draw(st.integers(1, 3))),)
    steps: list[Layout] = []
    for _ in range(draw(st.integers(0, 4))):
        axis = draw(st.sampled_from((0, 1, -1, -2)))
        sizes = {shape[axis] for shape in shapes}
        options: list[Layout] = [axes("i o -> o i")]
        if all(size % 4 == 0 for size in sizes):
            letters = "abcd"
            options.append(Blocks(letters, "".join(draw(st.permutations(letters))), axis))
        if len(sizes) == 1:
            size = sizes.pop()
            cut = draw(st.integers(0, size))
            options.append(Split((cut, size - cut), axis))
        step = draw(st.sampled_from(options))
        shapes = step.shapes(shapes)
        steps.append(step)
    layout = chain(*steps)
    return layout, layout.inverse.shapes(shapes)


@SETTINGS
@given(chains())
def test_any_chain_there_and_back_is_the_identity(drawn: tuple[Layout, Shapes]) -> None:
    layout, shapes = drawn
    arrays = arrays_of(shapes)
    there = layout(arrays)
    assert tuple(a.shape for a in there) == layout.shapes(shapes)
    assert_equal(layout.inverse(there), arrays)
    assert_equal(carry(layout.inverse, carry(layout, arrays)), arrays)


@SETTINGS
@given(st.permutations(["a", "b", "c", "d"]), st.integers(0, 3), st.integers(0, 3))
def test_any_permutation_with_unit_axes_comes_back(
    order: list[str], before: int, after: int
) -> None:
    source = ["a", "b", "c", "d"]
    source.insert(before, "1")
    target = list(order)
    target.insert(after, "1")
    layout = axes(f"{' '.join(source)} -> {' '.join(target)}")
    sizes = {"a": 2, "b": 3, "c": 4, "d": 5, "1": 1}
    array = np.arange(120).reshape([sizes[name] for name in source])
    (there,) = layout((array,))
    assert there.shape == tuple(sizes[name] for name in target)
    moved = array.reshape(2, 3, 4, 5).transpose(["abcd".index(name) for name in order])
    np.testing.assert_array_equal(there.ravel(), moved.ravel())
    assert_equal(layout.inverse((there,)), (array,))


class TestAxes:
    def test_it_moves_what_it_says(self) -> None:
        array = np.arange(24).reshape(2, 3, 4)
        assert_equal(axes("a b c -> c a b")((array,)), (array.transpose(2, 0, 1),))

    def test_nothing_to_move_is_the_identity(self) -> None:
        assert axes("a b -> a b") is IDENTITY

    @pytest.mark.parametrize("pattern", ["a b -> a", "a -> a b", "a a -> a", "a b"])
    def test_a_name_on_one_side_only_is_an_error(self, pattern: str) -> None:
        with pytest.raises(ValueError, match="not invertible"):
            axes(pattern)

    @pytest.mark.parametrize(
        "pattern, shape", [("i o -> o i", (2,)), ("i o -> o i", (2, 3, 4)), ("1 c -> c", (2, 3))]
    )
    def test_another_rank_or_size_is_refused(self, pattern: str, shape: tuple[int, ...]) -> None:
        with pytest.raises(Refusal, match="expected axes"):
            axes(pattern).shapes((shape,))

    def test_a_sharding_follows_its_axis(self) -> None:
        layout = axes("h w i o -> o i h w")
        assert layout.spec((P(None, "x", None, "y"),)) == (P("y", None, None, "x"),)
        assert axes("1 c -> c").spec((P(None, "x"),)) == (P("x"),)
        assert axes("c -> 1 c").spec((P(("x", "y")),)) == (P(None, ("x", "y")),)

    def test_a_short_sharding_means_the_axes_behind_are_whole(self) -> None:
        assert axes("i o -> o i").spec((P("x"),)) == (P(None, "x"),)


class TestBlocks:
    def test_it_reorders_the_gates(self) -> None:
        gates = np.array([0, 0, 1, 1, 2, 2, 3, 3])
        assert_equal(Blocks("igfo", "ifgo")((gates,)), (np.array([0, 0, 2, 2, 1, 1, 3, 3]),))

    def test_unequal_blocks_are_refused(self) -> None:
        with pytest.raises(Refusal, match="not 4 equal blocks"):
            Blocks("igfo", "ifgo").shapes(((3, 6),))


class TestSplitAndJoin:
    def test_the_parts_are_in_order(self) -> None:
        array = np.arange(10).reshape(5, 2)
        assert_equal(Split((2, 3), 0)((array,)), (array[:2], array[2:]))

    def test_each_is_the_inverse_of_the_other(self) -> None:
        assert Split((2, 3), 0).inverse == Join((2, 3), 0)
        assert Join((2, 3), 0).inverse == Split((2, 3), 0)

    def test_sizes_that_do_not_fit_are_refused(self) -> None:
        with pytest.raises(Refusal, match=r"does not split into \(2, 3\)"):
            Split((2, 3), 0).shapes(((6, 2),))
        with pytest.raises(Refusal, match="to join"):
            Join((2, 3), 0).shapes(((2, 4), (2, 4)))
        with pytest.raises(Refusal, match="to join"):
            Join((2, 3), 0).shapes(((2, 4), (3, 5)))


class TestShift:
    def test_it_adds_to_one_block(self) -> None:
        (there,) = Shift("igfo", "f", 1.0)((np.zeros(8, np.float32),))
        assert there.tolist() == [0, 0, 0, 0, 1, 1, 0, 0]

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_it_keeps_the_dtype(self, dtype: str) -> None:
        (there,) = carry(Shift("igfo", "f", 1.0), (jnp.zeros(8, dtype),))
        assert there.dtype == jnp.dtype(dtype)

    def test_gradients_do_not_go_through_it(self) -> None:
        assert not Shift("igfo", "f", 1.0).linear
        assert not chain(Shift("igfo", "f", 1.0), Blocks("igfo", "ifgo")).linear


class TestChain:
    def test_identities_drop_out(self) -> None:
        assert chain() is IDENTITY
        assert chain(IDENTITY, IDENTITY) is IDENTITY
        assert chain(IDENTITY, axes("i o -> o i")) == axes("i o -> o i")

    def test_it_is_exact_and_linear_as_its_steps_are(self) -> None:
        moves = chain(axes("i o -> o i"), Blocks("ab", "ba"))
        assert moves.exact
        assert moves.linear
        assert not chain(Shift("ab", "b", 1.0), Blocks("ab", "ba")).exact

    def test_the_inverse_goes_backwards(self) -> None:
        first, second = axes("i o -> o i"), Split((1, 2), 0)
        assert chain(first, second).inverse == Chain((second.inverse, first.inverse))


class TestIdentity:
    def test_there_is_one(self) -> None:
        assert IDENTITY.inverse is IDENTITY
        arrays = arrays_of(((2, 3),))
        assert carry(IDENTITY, arrays)[0] is arrays[0]
        assert str(IDENTITY) == "="


class TestCarry:
    layout = chain(Blocks("igfo", "ifgo"), Split((2, 3), axis=0), axes("i o -> o i"))
    shapes: Shapes = ((5, 8),)

    def test_numpy_stays_on_the_host(self) -> None:
        arrays = arrays_of(self.shapes)
        there = carry(self.layout, arrays)
        assert all(isinstance(array, np.ndarray) for array in there)
        assert_equal(there, self.layout(arrays))

    def test_jax_arrays_give_the_same(self) -> None:
        arrays = arrays_of(self.shapes)
        there = carry(self.layout, tuple(map(jnp.asarray, arrays)))
        assert all(isinstance(array, jax.Array) for array in there)
        assert_equal(there, self.layout(arrays))

    def test_shapes_give_shapes(self) -> None:
        shaped = tuple(jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in self.shapes)
        there = carry(self.layout, shaped)
        assert there == tuple(
            jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in self.layout.shapes(self.shapes)
        )

    def test_inside_jit_and_under_a_gradient(self) -> None:
        arrays = tuple(map(jnp.asarray, arrays_of(self.shapes)))
        assert_equal(jax.jit(lambda a: carry(self.layout, a))(arrays), carry(self.layout, arrays))
        total = jax.grad(lambda a: sum(part.sum() for part in carry(self.layout, a)))(arrays)
        assert_equal(total, tuple(map(jnp.ones_like, arrays)))

    def test_inside_eval_shape(self) -> None:
        shaped = tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in self.shapes)
        there = jax.eval_shape(lambda a: carry(self.layout, a), shaped)
        assert tuple(array.shape for array in there) == self.layout.shapes(self.shapes)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "int8", "bool"])
    @pytest.mark.parametrize("library", [np, jnp], ids=["numpy", "jax"])
    def test_dtypes_stay(self, library: Any, dtype: str) -> None:
        array = library.asarray(np.ones((5, 8)), dtype=jnp.dtype(dtype))
        assert {part.dtype for part in carry(self.layout, (array,))} == {jnp.dtype(dtype)}

    def test_double_precision_stays_under_x64(self) -> None:
        with jax.enable_x64(True):
            array = jnp.ones((5, 8), jnp.float64)
            assert {part.dtype for part in carry(self.layout, (array,))} == {jnp.dtype("float64")}

    @pytest.mark.parametrize("kind", ["numpy", "jax", "shapes"])
    def test_joining_two_dtypes_is_refused(self, kind: str) -> None:
        shapes, dtypes = ((2, 4), (3, 4)), ("float32", "float16")
        make: dict[str, Any] = {"numpy": np.ones, "jax": jnp.ones, "shapes": jax.ShapeDtypeStruct}
        arrays = [make[kind](s, jnp.dtype(d)) for s, d in zip(shapes, dtypes, strict=True)]
        with pytest.raises(Refusal, match="float16 and float32") as caught:
            carry(Join((2, 3), 0), arrays)
        assert caught.value.advice

    def test_two_dtypes_that_become_three_arrays_are_refused(self) -> None:
        layout = Beside(((1, IDENTITY, 1), (2, Join((2, 3), 0), 1))).inverse
        with pytest.raises(Refusal, match="float16 and float32"):
            carry(layout, (jnp.ones(4), jnp.ones(5, jnp.float16)))

    def test_two_dtypes_side_by_side_stay_two(self) -> None:
        arrays = (jnp.ones((2, 3)), jnp.ones((2, 3), jnp.float16))
        there = carry(axes("i o -> o i"), arrays)
        assert [array.dtype for array in there] == [array.dtype for array in arrays]
        shaped = tuple(jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays)
        assert [a.dtype for a in carry(axes("i o -> o i"), shaped)] == [a.dtype for a in arrays]

    def test_a_shape_that_does_not_fit_is_refused_before_anything_moves(self) -> None:
        with pytest.raises(Refusal, match="does not split"):
            carry(self.layout, (jnp.ones((6, 8)),))

    def test_a_failure_leaves_the_arrays_alone(self) -> None:
        array = np.ones((6, 8))
        before = copy.deepcopy(array)
        with pytest.raises(Refusal):
            carry(self.layout, (array,))
        np.testing.assert_array_equal(array, before)


def test_axes_are_compared_by_what_they_do() -> None:
    assert axes("i o -> o i") == Axes(("i", "o"), ("o", "i"))
    assert axes("i o -> o i") != axes("a b -> b a")
