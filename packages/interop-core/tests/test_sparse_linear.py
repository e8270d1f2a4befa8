"""The linear layer with a sparse matrix: every format, and what is no sparse matrix."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
import saiunit
from jax import numpy as jnp
from jax.experimental import sparse

from interop_core import nn
from interop_core.nn import init
from interop_core.testing import quick_compilation

DENSE = np.array([[1, 0, 2, 0], [0, 3, 0, 0], [4, 0, 0, 5], [0, 0, 0, 0], [0, 6, 7, 0]], np.float32)
SQUARE = DENSE[:4]
X = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
KINDS = [sparse.BCOO, sparse.BCSR, sparse.CSR, sparse.CSC]
PUBLISHED = [saiunit.sparse.COO, saiunit.sparse.CSR, saiunit.sparse.CSC]


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=2e-6)


def made(kind: Any, dense: Any) -> Any:
    """The matrix in a format. That of JAX by hand, since its own way takes seconds to compile."""
    if kind is not sparse.BCOO:
        return kind.fromdense(jnp.asarray(dense))
    places = np.nonzero(dense)
    return kind((jnp.asarray(dense[places]), jnp.stack(places, axis=1)), shape=dense.shape)


def coordinates(**changes: Any) -> SimpleNamespace:
    """The matrix as an object of no library."""
    row, col = np.nonzero(DENSE)
    given = {"shape": DENSE.shape, "data": DENSE[row, col], "row": row, "col": col}
    return SimpleNamespace(**given | changes)


def compressed(**changes: Any) -> SimpleNamespace:
    """The matrix by rows, as an object of no library."""
    row, col = np.nonzero(DENSE)
    pointers = np.append(0, np.cumsum(np.bincount(row, minlength=5)))
    given = {"shape": DENSE.shape, "data": DENSE[row, col], "indices": col, "indptr": pointers}
    return SimpleNamespace(**given | changes)


@pytest.mark.parametrize("kind", KINDS + PUBLISHED)
def test_every_format_is_multiplied_by(kind: Any) -> None:
    layer = nn.SparseLinear(made(kind, DENSE), b_init=jnp.arange(4.0))
    assert layer.weight.value["weight"].shape == (7,)
    assert (layer.in_size, layer.out_size) == ((5,), (4,))
    for x in (X, X[0], np.stack([X, -X])):
        close(layer(x), x @ DENSE + np.arange(4.0))


@pytest.mark.parametrize("kind", KINDS + PUBLISHED)
def test_a_square_matrix_is_not_transposed(kind: Any) -> None:
    matrix = made(kind, SQUARE)
    close(nn.SparseLinear(matrix)(jnp.eye(4)), SQUARE)


@pytest.mark.parametrize("kind", PUBLISHED)
def test_states_and_outputs_are_those_of_the_published_layer(kind: Any) -> None:
    matrix = made(kind, DENSE)
    ours = nn.SparseLinear(matrix, b_init=init.Constant(0.5))
    published = brainstate.nn.SparseLinear(matrix, b_init=brainstate.nn.init.Constant(0.5))
    mine, theirs = ours.weight.value, published.weight.value
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        np.testing.assert_array_equal(value, theirs[name])
    assert list(ours.states()) == list(published.states()) == [("weight",)]
    # The published layer knows its in_size only where it is told.
    assert ours.out_size == published.out_size
    close(ours(X), published(X))


@pytest.mark.parametrize("kind", KINDS + PUBLISHED)
def test_gradients_are_those_of_the_dense_product(kind: Any) -> None:
    # Those of the published layer are in the order of columns also where the matrix goes by rows.
    matrix = made(kind, DENSE)
    got = jax.grad(lambda layer: (layer(X) ** 2).sum())(nn.SparseLinear(matrix))
    expected = np.asarray(jax.grad(lambda dense: ((X @ dense) ** 2).sum())(jnp.asarray(DENSE)))
    by_column = kind in (sparse.CSC, saiunit.sparse.CSC)
    order = np.nonzero(DENSE.T)[::-1] if by_column else np.nonzero(DENSE)
    np.testing.assert_allclose(got.weight.value["weight"], expected[order], rtol=1e-5)


@pytest.mark.parametrize("make", [coordinates, compressed])
def test_any_object_of_that_kind_is_a_matrix(make: Any) -> None:
    close(nn.SparseLinear(make())(X), X @ DENSE)
    close(nn.SparseLinear(make(data=np.float32(2)))(X), X @ (2 * (DENSE != 0)))
    shared = nn.SparseLinear(make(data=np.full(1, 2, np.float32)))
    assert shared.weight.value["weight"].shape == (1,)
    close(shared(X), X @ (2 * (DENSE != 0)))


@pytest.mark.parametrize("word", ["csc", "CSC"])
def test_the_word_for_the_format_decides(word: str) -> None:
    by_row = compressed(shape=(5, 5))
    by_column = compressed(shape=(5, 5), format=word)
    full = np.zeros((5, 5), np.float32)
    full[:, :4] = DENSE
    close(nn.SparseLinear(by_row)(X), X @ full)
    close(nn.SparseLinear(by_column)(X), X @ full.T)


@pytest.mark.parametrize("kind", [sparse.BCOO, sparse.BCSR])
def test_padding_counts_nothing(kind: Any) -> None:
    layer = nn.SparseLinear(kind.fromdense(jnp.asarray(DENSE), nse=10))
    assert layer.weight.value["weight"].shape == (10,)
    close(layer(X), X @ DENSE)
    layer.weight.value = {"weight": layer.weight.value["weight"] + 1.0}
    close(layer(X), X @ (DENSE + (DENSE != 0)))


def test_entries_at_one_position_add_up() -> None:
    matrix = coordinates(shape=(1, 1), data=np.ones(3), row=np.zeros(3, int), col=np.zeros(3, int))
    close(nn.SparseLinear(matrix)(jnp.ones((2, 1))), [[3.0], [3.0]])


@pytest.mark.parametrize("shape", [(3, 2), (0, 2), (3, 0)])
def test_a_matrix_may_have_no_entries(shape: tuple[int, int]) -> None:
    nothing = np.zeros(0, np.float32)
    layer = nn.SparseLinear(
        coordinates(shape=shape, data=nothing, row=nothing.astype(int), col=nothing.astype(int))
    )
    close(layer(jnp.ones((4, shape[0]))), np.zeros((4, shape[1])))


def test_the_values_are_in_the_state_alone() -> None:
    matrix = made(sparse.BCOO, DENSE)
    one, other = nn.SparseLinear(matrix), nn.SparseLinear(2 * matrix)
    assert not hasattr(one.spar_mat, "data")
    assert one.spar_mat == other.spar_mat
    assert hash(one.spar_mat) == hash(other.spar_mat)
    assert structure(one) == structure(other)
    moved = nn.SparseLinear(made(sparse.BCOO, DENSE[::-1]))
    assert moved.spar_mat != one.spar_mat
    assert structure(moved) != structure(one)


def structure(layer: nn.SparseLinear) -> Any:
    """All of a layer but its parameters."""
    return jax.tree.structure(layer)


def test_the_work_grows_with_the_entries() -> None:
    row = np.arange(100)
    layer = nn.SparseLinear(
        coordinates(shape=(10**6, 10**6), data=np.ones(100, np.float32), row=row, col=row)
    )
    program = str(jax.make_jaxpr(layer)(jax.ShapeDtypeStruct((10**6,), jnp.float32)))
    assert "dot_general" not in program
    assert "[1000000,1000000]" not in program


@pytest.mark.parametrize(
    ("matrix", "error", "match"),
    [
        (DENSE, TypeError, "type ndarray"),
        (jnp.asarray(DENSE), TypeError, "A sparse matrix is needed"),
        (None, TypeError, "NoneType"),
        (coordinates(shape=(5,)), ValueError, "two axes"),
        (coordinates(row=np.zeros(6, int)), ValueError, "one row and one column"),
        (coordinates(row=np.full(7, -1)), ValueError, "negative"),
        (coordinates(data=np.ones(6, np.float32)), ValueError, "as many values"),
        (compressed(indptr=np.arange(5)), ValueError, "indptr of 6 numbers"),
        (compressed(indptr=np.array([0, 2, 1, 5, 5, 7])), ValueError, "do not fall"),
        (compressed(indptr=np.array([0, 2, 3, 5, 5, 9])), ValueError, "as many indices"),
        (
            SimpleNamespace(shape=(5, 4), data=np.ones(7), indices=np.zeros((7, 3), int)),
            ValueError,
            "without batch axes",
        ),
    ],
)
def test_what_is_no_sparse_matrix_is_refused(
    matrix: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        nn.SparseLinear(matrix)


@pytest.mark.parametrize("size", [4, (3, 5)])
def test_in_size_must_be_that_of_the_matrix(size: Any) -> None:
    # The published layer takes any number.
    with pytest.raises(ValueError, match="takes inputs of 5 features"):
        nn.SparseLinear(coordinates(), in_size=size)
    assert nn.SparseLinear(coordinates(), in_size=5).in_size == (5,)


@pytest.mark.parametrize("shape", [(), (4,), (2, 6)])
def test_the_last_axis_must_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expects 5 features"):
        nn.SparseLinear(coordinates())(jnp.ones(shape))


def test_positions_alone_make_an_abstract_layer() -> None:
    layer = nn.SparseLinear(sparse.BCOO.fromdense(jnp.eye(3)))
    with nn.init.abstract():
        again = nn.SparseLinear(layer.spar_mat)
    assert again.spar_mat == layer.spar_mat
    assert again.weight.value["weight"].shape == (3,)
    with pytest.raises(ValueError, match="not what they are"):
        nn.SparseLinear(layer.spar_mat)
