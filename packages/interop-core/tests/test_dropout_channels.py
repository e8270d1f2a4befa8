"""Dropout of channels, with mean and variance kept, and with one mask for a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import environ, nn, random
from interop_core.state import ShortTermState
from interop_core.testing import quick_compilation


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Give both default generators one seed, and ours back afterwards."""
    brainstate.random.seed(7)
    with random.seed_context(7):
        yield


def fitted(layer: Any, x: Any) -> np.ndarray[Any, Any]:
    with environ.context(fit=True):
        return np.asarray(layer(x))


def together(y: np.ndarray[Any, Any]) -> list[int]:
    """The axes along which all entries are the same."""
    return [axis for axis in range(y.ndim) if (y == np.take(y, [0], axis)).all()]


def numbers(shape: tuple[int, ...], dtype: str = "float32") -> jax.Array:
    return jnp.asarray(5 * np.random.default_rng(0).normal(size=shape)).astype(dtype)


CHANNELS = [
    ("Dropout1d", -1, (4, 30), [0]),
    ("Dropout1d", -1, (9, 4, 30), [1]),
    ("Dropout1d", 0, (9, 30, 4), [2]),
    ("Dropout1d", -2, (30, 4), [1]),
    ("Dropout1d", 1, (9, 4, 30), [1]),
    ("Dropout2d", -1, (3, 4, 30), [0, 1]),
    ("Dropout2d", -1, (9, 3, 4, 30), [1, 2]),
    ("Dropout2d", 0, (9, 30, 3, 4), [2, 3]),
    ("Dropout2d", -2, (9, 3, 30, 4), [1, 3]),
    ("Dropout3d", -1, (2, 3, 4, 30), [0, 1, 2]),
    ("Dropout3d", -1, (9, 2, 3, 4, 30), [1, 2, 3]),
    ("Dropout3d", 0, (9, 30, 2, 3, 4), [2, 3, 4]),
    ("FeatureAlphaDropout", -1, (9, 30), []),
    ("FeatureAlphaDropout", -1, (9, 2, 3, 30), [1, 2]),
    ("FeatureAlphaDropout", 1, (9, 30, 2, 3), [2, 3]),
    ("FeatureAlphaDropout", -2, (9, 2, 30, 3), [1, 3]),
    ("FeatureAlphaDropout", 0, (30, 3), [1]),
]


class TestChannels:
    @pytest.mark.parametrize(("name", "axis", "shape", "shared"), CHANNELS)
    def test_a_channel_of_an_example_falls_as_a_whole(
        self, name: str, axis: int, shape: tuple[int, ...], shared: list[int]
    ) -> None:
        y = fitted(getattr(nn, name)(0.4, axis), jnp.ones(shape))
        assert together(y) == shared
        assert len(np.unique(y)) == 2

    @pytest.mark.parametrize(
        ("name", "axis", "shape", "dtype"),
        [
            ("Dropout1d", 0, (9, 30, 4), "float32"),
            ("Dropout1d", -1, (4, 30), "bfloat16"),
            ("Dropout2d", -2, (9, 3, 30, 4), "float32"),
            ("Dropout3d", -1, (9, 2, 3, 4, 30), "float32"),
            ("FeatureAlphaDropout", 1, (9, 30, 2, 3), "float32"),
            ("FeatureAlphaDropout", -1, (9, 30), "bfloat16"),
        ],
    )
    def test_the_same_key_drops_what_the_published_layer_drops(
        self, name: str, axis: int, shape: tuple[int, ...], dtype: str
    ) -> None:
        x = numbers(shape, dtype)
        y = fitted(getattr(nn, name)(0.4, axis), x)
        with brainstate.environ.context(fit=True):
            expected = getattr(brainstate.nn, name)(0.4, axis)(x)
        assert y.dtype == expected.dtype == dtype
        tolerance = 1e-6 if dtype == "float32" else 2e-2
        np.testing.assert_allclose(
            y.astype(np.float64), np.asarray(expected, np.float64), rtol=tolerance, atol=tolerance
        )

    @pytest.mark.parametrize("spatial", [1, 2, 3])
    def test_share_and_size_of_what_is_kept(self, spatial: int) -> None:
        y = fitted(getattr(nn, f"Dropout{spatial}d")(0.2), jnp.ones((*(1,) * spatial, 50_000)))
        assert set(np.unique(y)) == {0.0, 5.0}
        # Four standard deviations of the share; the seed is fixed.
        assert abs((y != 0).mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 50_000)

    @pytest.mark.parametrize("spatial", [1, 2, 3])
    def test_number_of_axes(self, spatial: int) -> None:
        layer = getattr(nn, f"Dropout{spatial}d")()
        for axes in {0, spatial, spatial + 3}:
            for fit in (True, False):
                with environ.context(fit=fit), pytest.raises(ValueError, match="a channel axis"):
                    layer(jnp.ones((2,) * axes))
            with pytest.raises(ValueError, match="a channel axis, got shape"):
                layer.output_size((2,) * axes)
        with pytest.raises(ValueError, match="got shape"):
            layer.output_size((2,) * (spatial + 2))
        assert layer.output_size((2,) * (spatial + 1)) == (2,) * (spatial + 1)

    @pytest.mark.parametrize("axis", [-3, 2, 5])
    def test_channel_axis_that_no_example_has(self, axis: int) -> None:
        # The published layer drops or keeps all of an example for some of these.
        with pytest.raises(ValueError, match="channel_axis"):
            nn.Dropout1d(0.5, axis)

    def test_feature_axis_that_the_input_lacks(self) -> None:
        # The published layer wraps a negative axis around.
        for shape, axis in (((2, 3), 2), ((2, 3), -3), ((), -1)):
            with pytest.raises(ValueError, match="no such axis"):
                fitted(nn.FeatureAlphaDropout(0.5, axis), jnp.ones(shape))

    @pytest.mark.parametrize("dtype", ["int32", "bool"])
    def test_whole_numbers_stay_whole(self, dtype: str) -> None:
        y = fitted(nn.Dropout1d(0.4), jnp.full((2, 30), 10, dtype))
        assert y.dtype == dtype
        assert set(np.unique(y)) == ({0, 25} if dtype == "int32" else {False, True})


class TestMoments:
    @pytest.mark.parametrize("prob", [0.05, 0.4, 0.9])
    @pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
    def test_mean_and_variance_are_kept(self, name: str, prob: float) -> None:
        n = 400_000
        x = jax.random.normal(jax.random.key(0), (n, 1))
        y = fitted(getattr(nn, name)(prob), x).astype(np.float64)
        # The estimates scatter with the fourth moment, which is below 40 for these shares.
        assert abs(y.mean()) < 5 / np.sqrt(n)
        assert abs(y.var() - 1) < 5 * np.sqrt(40 / n)

    @pytest.mark.parametrize("prob", [0.1, 0.5, 0.8])
    def test_moments_by_the_formula(self, prob: float) -> None:
        """Mean and variance over the mask and a standard normal input, without drawing."""
        layer = nn.AlphaDropout(prob)
        with jax.enable_x64(True):
            y = fitted(layer, jnp.concatenate([jnp.zeros(500), jnp.ones(500)]))
        dropped, offset, top = np.unique(y)
        if abs((y == dropped).sum() - (1 - prob) * 1000) > 100:
            dropped, offset, top = offset, dropped, top
        scale = top - offset
        assert prob * offset + (1 - prob) * dropped == pytest.approx(0, abs=1e-12)
        second = prob * (scale**2 + offset**2) + (1 - prob) * dropped**2
        assert second == pytest.approx(1, abs=1e-12)
        assert (dropped - offset) / scale == pytest.approx(-1.7580993408473766)

    def test_dropped_entries_of_whole_numbers(self) -> None:
        # The published layer rounds the saturation value to a whole number first.
        whole = fitted(nn.AlphaDropout(0.4), jnp.full(30, 10))
        with random.seed_context(7):
            expected = fitted(nn.AlphaDropout(0.4), jnp.full(30, 10.0))
        np.testing.assert_array_equal(whole, expected)

    def test_gradient_is_the_scale_where_kept(self) -> None:
        key = jax.random.key(3)

        def total(x: jax.Array) -> Any:
            with random.seed_context(key), environ.context(fit=True):
                return nn.AlphaDropout(0.4)(x).sum()

        with random.seed_context(key):
            kept = fitted(nn.AlphaDropout(0.4), jnp.full(40, 9.0)) > 1
        grad = jax.grad(total)(jnp.ones(40))
        np.testing.assert_allclose(grad, np.where(kept, 0.9358394, 0.0), rtol=1e-6)

    @pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
    def test_nothing_kept_has_no_variance(self, name: str) -> None:
        with pytest.raises(ValueError, match="must not be 0"):
            getattr(nn, name)(0.0)


LAYERS = {
    "Dropout1d": (2, 3),
    "Dropout2d": (2, 3, 4),
    "Dropout3d": (2, 3, 4, 5),
    "AlphaDropout": (5,),
    "FeatureAlphaDropout": (2, 5),
}


class TestAlike:
    @pytest.mark.parametrize(("name", "shape"), LAYERS.items())
    def test_the_input_itself_when_nothing_is_dropped(
        self, name: str, shape: tuple[int, ...]
    ) -> None:
        x = jnp.ones(shape)
        before = random.get_key()
        with environ.context(fit=False):
            assert getattr(nn, name)(0.5)(x) is x
        with environ.context(fit=True):
            assert getattr(nn, name)(1.0)(x) is x
        assert random.get_key() is before

    @pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d", "Dropout3d"])
    def test_all_dropped(self, name: str) -> None:
        x = jnp.full(LAYERS[name], jnp.nan)
        assert not fitted(getattr(nn, name)(0.0), x).any()

    @pytest.mark.parametrize(("name", "shape"), LAYERS.items())
    def test_the_environment_must_say_whether_it_is_a_fit(
        self, name: str, shape: tuple[int, ...]
    ) -> None:
        with pytest.raises(KeyError, match="fit"):
            getattr(nn, name)()(jnp.ones(shape))

    @pytest.mark.parametrize("name", LAYERS)
    @pytest.mark.parametrize("prob", [-0.1, 1.1, float("nan")])
    def test_no_probability(self, name: str, prob: float) -> None:
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            getattr(nn, name)(prob)


class TestDropoutFixed:
    def test_one_mask_until_the_next_sequence(self) -> None:
        layer = nn.DropoutFixed((3, 20), 0.4)
        layer.init_state(2)
        assert type(layer.mask) is ShortTermState
        assert (layer.mask.value.shape, layer.mask.value.dtype) == ((2, 3, 20), np.bool_)
        first = fitted(layer, jnp.ones((2, 3, 20)))
        np.testing.assert_array_equal(first, np.where(layer.mask.value, np.float32(2.5), 0))
        np.testing.assert_array_equal(fitted(layer, jnp.ones((2, 3, 20))), first)
        layer.reset_state(2)
        np.testing.assert_array_equal(fitted(layer, jnp.ones((2, 3, 20))), first)
        layer.init_state(2)
        assert (fitted(layer, jnp.ones((2, 3, 20))) != first).any()

    def test_mask_is_that_of_the_published_layer(self) -> None:
        ours, theirs = nn.DropoutFixed(40, 0.3), brainstate.nn.DropoutFixed(40, 0.3)
        nn.init_all_states(ours, 5)
        brainstate.nn.init_all_states(theirs, 5)
        np.testing.assert_array_equal(ours.mask.value, theirs.mask.value)

    def test_share_of_what_is_kept(self) -> None:
        layer = nn.DropoutFixed(50_000, 0.2)
        layer.init_state()
        assert layer.mask.value.shape == (50_000,)
        assert abs(layer.mask.value.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 50_000)

    def test_all_or_nothing(self) -> None:
        keep, drop = nn.DropoutFixed(4, 1.0), nn.DropoutFixed(4, 0.0)
        for layer in (keep, drop):
            layer.init_state()
        assert not keep.states()
        assert fitted(keep, jnp.ones((3, 4))).all()  # any shape: there is no mask to fit
        assert not fitted(drop, jnp.full(4, jnp.nan)).any()

    def test_nothing_is_dropped_when_not_fitting(self) -> None:
        layer = nn.DropoutFixed(4)
        x = jnp.ones((3, 4))
        with environ.context(fit=False):
            assert layer(x) is x  # not even a mask is needed

    @pytest.mark.parametrize("dtype", ["int32", "bool", "float16"])
    def test_dtype(self, dtype: str) -> None:
        layer = nn.DropoutFixed(30, 0.4)
        layer.init_state()
        y = fitted(layer, jnp.full(30, 10, dtype))
        assert y.dtype == dtype
        assert set(np.unique(y)) == ({False, True} if dtype == "bool" else {0, 25})

    def test_in_a_compiled_sequence(self) -> None:
        @jax.jit
        def run(layer: nn.DropoutFixed, key: jax.Array, xs: jax.Array) -> Any:
            with random.seed_context(key):
                layer.init_state()
            return jax.lax.scan(lambda carry, x: (carry, layer(x)), 0, xs)[1]

        with environ.context(fit=True):
            ys = np.asarray(run(nn.DropoutFixed(30, 0.5), jax.random.key(0), jnp.ones((4, 30))))
        assert together(ys) == [0]
        assert set(np.unique(ys)) == {0.0, 2.0}

    def test_errors(self) -> None:
        layer = nn.DropoutFixed(4)
        with pytest.raises(AttributeError, match="init_state"):
            fitted(layer, jnp.ones(4))
        layer.init_state(2)
        for shape in ((4,), (3, 4), (3, 2, 4)):
            with pytest.raises(ValueError, match=r"the mask \(2, 4\)"):
                fitted(layer, jnp.ones(shape))
        with pytest.raises(KeyError, match="fit"):
            layer(jnp.ones((2, 4)))
        with pytest.raises(ValueError, match=r"\(5,\)"):
            layer.output_size((5,))
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            nn.DropoutFixed(4, 1.5)
        with pytest.raises(TypeError, match="integer"):
            layer.init_state((2, 3))  # type: ignore[arg-type]
