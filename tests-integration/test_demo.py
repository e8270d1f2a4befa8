"""The demo on a small budget: agreement passes, disagreement is noticed, the picture is drawn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import demo
from _table import plain_table
from demo_picture import draw

EPOCHS = 2
IMAGES = 60


@pytest.fixture(scope="module")
def digits() -> demo.Digits:
    """The digits, with few of them to test on."""
    everything = demo.load()
    return replace(
        everything,
        test_images=everything.test_images[:IMAGES],
        test_labels=everything.test_labels[:IMAGES],
    )


@pytest.fixture(scope="module")
def trained(digits: demo.Digits) -> nnx.Sequential:
    return demo.train(digits, epochs=EPOCHS)


@pytest.fixture(scope="module")
def converted(
    digits: demo.Digits, trained: nnx.Sequential
) -> tuple[list[demo.Result], nnx.Sequential]:
    return demo.convert_all(trained, jax.numpy.asarray(digits.test_images))


pytestmark = pytest.mark.xdist_group("demo")


def without_accuracy(complaints: Sequence[str]) -> list[str]:
    """A network that has hardly been trained may miss the accuracy."""
    return [line for line in complaints if "the trained model reaches" not in line]


def test_every_framework_agrees_with_the_trained_model(
    digits: demo.Digits, converted: tuple[list[demo.Result], nnx.Sequential]
) -> None:
    results, _ = converted
    assert without_accuracy(demo.complaints(results, digits)) == []
    assert len({result.name for result in results}) == 7
    assert {result.parameters for result in results} == {results[0].parameters}


def test_the_weights_come_back_bit_for_bit(
    trained: nnx.Sequential, converted: tuple[list[demo.Result], nnx.Sequential]
) -> None:
    _, returned = converted
    assert demo.same_weights(trained, returned)
    assert not demo.same_weights(trained, demo.network(nnx.Rngs(7)))


@pytest.mark.parametrize("how", ["other digit", "far off", "no number"])
def test_a_framework_that_disagrees_is_named(
    how: str, digits: demo.Digits, converted: tuple[list[demo.Result], nnx.Sequential]
) -> None:
    original, second, *_ = converted[0]
    logits = original.logits.copy()
    if how == "other digit":
        logits[3] = -logits[3]
    elif how == "far off":
        logits[3] += 2 * demo.TOLERANCE
    else:
        logits[3, 0] = np.nan
    wrong = replace(second, logits=logits)
    found = without_accuracy(demo.complaints([original, wrong], digits))
    assert found
    assert all(line.startswith(second.name) for line in found)


def test_a_poorly_trained_model_is_a_complaint(
    digits: demo.Digits, converted: tuple[list[demo.Result], nnx.Sequential]
) -> None:
    original = converted[0][0]
    guessing = replace(original, logits=np.zeros_like(original.logits))
    assert "the trained model reaches" in demo.complaints([guessing], digits)[0]


def test_the_picture_and_the_table_show_every_model(
    digits: demo.Digits,
    converted: tuple[list[demo.Result], nnx.Sequential],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, _ = converted
    file = tmp_path / "new folder" / "demo.png"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(file, digits.test_images, digits.test_labels, results, demo.TOLERANCE)
    assert file.read_bytes().startswith(b"\x89PNG")
    demo.report(results, digits)
    printed = capsys.readouterr().out
    assert all(result.name in printed for result in results)


def test_the_exit_status_says_whether_all_agree(
    monkeypatch: pytest.MonkeyPatch,
    digits: demo.Digits,
    converted: tuple[list[demo.Result], nnx.Sequential],
    trained: nnx.Sequential,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results, returned = converted
    original = results[0]
    # As if it had been trained well: what the others say is judged against it.
    labels = replace(digits, test_labels=original.predictions)
    monkeypatch.setattr(demo, "load", lambda: labels)
    monkeypatch.setattr(demo, "train", lambda _, epochs: trained)
    words = ["--output", str(tmp_path / "demo.png")]

    monkeypatch.setattr(demo, "convert_all", lambda *_: (results, returned))
    assert demo.main(words) == 0

    broken = [original, replace(results[1], logits=-original.logits)]
    monkeypatch.setattr(demo, "convert_all", lambda *_: (broken, returned))
    assert demo.main(words) == 1
    assert "predicts 60 digits otherwise" in capsys.readouterr().err


def test_a_table_without_rich_is_aligned() -> None:
    table = plain_table("Sizes", ("layer", "MB"), [("Linear", "67"), ("", ""), ("Norm", "0.1")])
    assert table.splitlines() == [
        "Sizes",
        "layer    MB",
        "------  ---",
        "Linear   67",
        "------  ---",
        "Norm    0.1",
    ]
