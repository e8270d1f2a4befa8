"""Where a sparse matrix has entries, read off the formats that sparse libraries share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._content import same

__all__ = ["Sparsity"]

_Indices = np.ndarray[Any, Any]


class Sparsity:
    """The positions of the entries of a sparse matrix, without their values.

    Two of them are equal when all positions are, in the same order. The arrays are never written.

    Args:
        matrix: a sparse matrix of two axes: an object with ``shape`` and with ``row`` and ``col``
            (coordinates), ``indptr`` and ``indices`` (compressed rows or columns), or ``indices``
            of shape ``(entries, 2)``. Those of `jax.experimental.sparse`, SciPy and the libraries
            of BrainX are of these kinds.

    Attributes:
        shape: shape of the matrix.
        row: row of each entry, as a NumPy array.
        col: column of each entry.
        stored: number of positions that the matrix stores. Formats of fixed size may store more
            than there are entries, for padding.
        kept: which of the stored positions are entries; None for all.
        values: shape of the values that the matrix had.

    Raises:
        TypeError: if ``matrix`` is no sparse matrix.
        ValueError: if it has other than two axes, or positions that contradict each other.

    Example:
        >>> from jax.experimental import sparse
        >>> Sparsity(sparse.BCSR.fromdense(np.array([[0.0, 2.0], [3.0, 4.0]])))
        Sparsity(shape=(2, 2), entries=3)
    """

    compares_by_content = True

    def __init__(self, matrix: Any) -> None:
        if isinstance(matrix, Sparsity):
            self.__dict__.update(matrix.__dict__)
            return
        shape = tuple(int(length) for length in getattr(matrix, "shape", ()))
        if not hasattr(matrix, "data") or not (
            hasattr(matrix, "indices") or (hasattr(matrix, "row") and hasattr(matrix, "col"))
        ):
            raise TypeError(
                "A sparse matrix is needed, with the attributes shape, data and either row and "
                f"col, or indices and indptr; got an object of type {type(matrix).__name__}."
            )
        if len(shape) != 2:
            raise ValueError(f"A sparse matrix of two axes is needed, got shape {shape}.")
        row, col = _positions(matrix, shape)
        if row.shape != col.shape or row.ndim != 1:
            raise ValueError(
                "A sparse matrix needs one row and one column for each entry, got "
                f"{row.shape} rows and {col.shape} columns."
            )
        if row.size and min(row.min(), col.min()) < 0:
            raise ValueError("A sparse matrix has entries at negative positions.")
        # Where a format pads, it does so with positions behind the last.
        inside = (row < shape[0]) & (col < shape[1])
        self.shape = shape
        self.values = tuple(np.shape(matrix.data))
        self.stored = row.size
        self.kept: _Indices | None = None if inside.all() else np.flatnonzero(inside)
        self.row: _Indices = row[inside].astype(np.int32)
        self.col: _Indices = col[inside].astype(np.int32)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(other) is Sparsity and same(self.__dict__, other.__dict__)

    def __hash__(self) -> int:
        # Positions decide equality alone: reading them at every call would take long.
        return hash((Sparsity, self.shape, self.row.size))

    def __repr__(self) -> str:
        return f"Sparsity(shape={self.shape}, entries={self.row.size})"


def _positions(matrix: Any, shape: tuple[int, ...]) -> tuple[_Indices, _Indices]:
    """Read row and column of every stored value; padding stands at ``shape``."""
    if hasattr(matrix, "row") and hasattr(matrix, "col"):
        return np.asarray(matrix.row), np.asarray(matrix.col)
    indices = np.asarray(matrix.indices)
    if not hasattr(matrix, "indptr"):
        if indices.ndim != 2 or indices.shape[1] != 2:
            raise ValueError(
                "A sparse matrix of coordinates without batch axes needs indices of shape "
                f"(entries, 2), got {indices.shape}."
            )
        return indices[:, 0], indices[:, 1]
    by_column = _by_column(matrix)
    major = shape[by_column]
    pointers = np.asarray(matrix.indptr)
    lengths = np.diff(pointers)
    if pointers.shape != (major + 1,) or pointers[0] != 0 or (lengths < 0).any():
        raise ValueError(
            f"A compressed matrix of shape {shape} needs an indptr of {major + 1} numbers that "
            f"start at 0 and do not fall, got {pointers}."
        )
    if indices.ndim != 1 or pointers[-1] > indices.size:
        raise ValueError(
            f"A compressed matrix with indptr up to {pointers[-1]} needs as many indices, got "
            f"shape {indices.shape}."
        )
    along = np.full(indices.size, major)
    along[: pointers[-1]] = np.repeat(np.arange(major), lengths)
    return (indices, along) if by_column else (along, indices)


def _by_column(matrix: Any) -> bool:
    """Tell whether a compressed matrix goes by columns: by its own word or its name.

    The shapes do not tell where a matrix is square.
    """
    word = getattr(matrix, "format", None)
    if isinstance(word, str):
        return word.lower() == "csc"
    return any(cls.__name__.upper().startswith("CSC") for cls in type(matrix).__mro__)
