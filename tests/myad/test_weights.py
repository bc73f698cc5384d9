"""Weights on disk and in Keras models."""

import numpy as np
import pytest

import myad
from myad import errors


def model(units=3, seed=0, **options):
    layers = [myad.Conv2D(2, 3), myad.BatchNormalization(), myad.Flatten(), myad.Dense(units)]
    return myad.Sequential(layers, (5, 5, 1), seed=seed, **options)


def test_weights_come_back_bit_for_bit(tmp_path):
    a, b = model(seed=1), model(seed=2)
    myad.save(a, tmp_path / "w.npz")
    myad.load(b, tmp_path / "w.npz")
    assert list(a.parameters) == list(b.parameters)
    for name, value in a.parameters.items():
        np.testing.assert_array_equal(b.parameters[name], value)
        assert b.parameters[name].dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


def test_a_file_of_another_model_is_refused_and_changes_nothing(tmp_path):
    myad.save(model(units=4), tmp_path / "w.npz")
    target = model()
    before = dict(target.parameters)
    with pytest.raises(
        errors.WeightsError, match=r"3\.kernel must be .* \(18, 3\), not .* \(18, 4\)"
    ):
        myad.load(target, tmp_path / "w.npz")
    shorter = myad.Sequential([myad.Flatten(), myad.Dense(3)], (5, 5, 1))
    myad.save(shorter, tmp_path / "w.npz")
    with pytest.raises(
        errors.WeightsError, match=r"(?s)missing: 0\.kernel.*unknown: 1\.kernel, 1\.b"
    ):
        myad.load(target, tmp_path / "w.npz")
    for name, value in before.items():
        assert target.parameters[name] is value


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "w.npz"
    myad.save(model(), path)
    whole = path.read_bytes()
    for damaged in (b"", b"nonsense", whole[:-30], whole[:100] + b"\0" * 40 + whole[140:]):
        path.write_bytes(damaged)
        with pytest.raises(errors.WeightsError, match=r"is no readable \.npz file"):
            myad.load(model(), path)
    np.save(tmp_path / "w.npy", np.zeros(3))
    with pytest.raises(errors.WeightsError, match="is no readable"):
        myad.load(model(), tmp_path / "w.npy")
    with pytest.raises(FileNotFoundError):
        myad.load(model(), tmp_path / "none.npz")


def test_pickles_are_never_read(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **{"0.kernel": np.array([print, 1], dtype=object)})
    with pytest.raises(errors.WeightsError, match=r"no readable \.npz file: .*pickle"):
        myad.load(model(), path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    source = model()
    source.parameters = {**source.parameters, "3.bias": np.array([0, np.nan, 0])}
    myad.save(source, tmp_path / "w.npz")
    with pytest.raises(errors.WeightsError, match=r"NaN or infinity in 3\.bias"):
        myad.load(model(), tmp_path / "w.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    myad.save(model(seed=1), path)
    before = path.read_bytes()

    def full(*args, **options):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="disk full"):
        myad.save(model(seed=2), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


@pytest.mark.tensorflow
def test_weights_travel_to_keras_and_back(keras, rng):
    x = rng.standard_normal((3, 5, 5, 1)).astype(np.float32)
    theirs = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            keras.layers.Conv2D(2, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    ours = model(seed=5)
    myad.to_keras(ours, theirs)
    np.testing.assert_allclose(ours(x).value, theirs(x), rtol=1e-5, atol=1e-6)
    back = model(seed=6)
    myad.from_keras(back, theirs)
    for name, value in ours.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], value)
    with pytest.raises(
        errors.WeightsError, match=r"(?s)other arrays.*3\.bias \(3,\).*3\.bias \(4,\)"
    ):
        myad.from_keras(model(units=4), theirs)
