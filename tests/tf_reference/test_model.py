"""The Keras model of a workload: its layers, its refusals, its weights' way in and out."""

import numpy as np
import pytest

from harness.contract import Unsupported, Workload

pytestmark = pytest.mark.tensorflow


def workload(*layers: dict) -> Workload:
    """A workload of the given layers on 6x6 pictures with one channel."""
    return Workload(
        {
            "name": "tiny",
            "model": {"input_shape": [6, 6, 1], "classes": 3, "layers": list(layers)},
            "training": {
                "optimizer": "adam",
                "learning_rate": 0.01,
                "beta_1": 0.8,
                "epochs": 1,
                "batch_size": 4,
            },
        }
    )


DENSE = {"type": "dense", "units": 3, "activation": "softmax", "use_bias": True}


@pytest.fixture(scope="module")
def reference():
    """The module, which imports TensorFlow."""
    pytest.importorskip("tensorflow")
    from tf_reference import model

    return model


def test_weights_go_in_and_out_by_layer_index(reference, tmp_path):
    model = reference.build(workload({"type": "flatten"}, DENSE))
    rng = np.random.default_rng(0)
    weights = {"1.kernel": rng.random((36, 3), np.float32), "1.bias": rng.random(3, np.float32)}
    np.savez(tmp_path / "in.npz", **weights)
    reference.read_weights(model, str(tmp_path / "in.npz"))
    reference.write_weights(model, str(tmp_path / "out.npz"))
    found = np.load(tmp_path / "out.npz")
    assert sorted(found.files) == sorted(weights)
    assert all(np.array_equal(found[name], weights[name]) for name in weights)
    assert [reference.TYPES[type(layer)] for layer in model.layers] == ["flatten", "dense"]


def test_an_unknown_layer_is_refused_by_name(reference):
    with pytest.raises(Unsupported, match=r"layer 1 \('attention'\)"):
        reference.build(workload({"type": "flatten"}, {"type": "attention"}))


def test_the_optimizer_has_the_workloads_settings(reference):
    adam = reference.optimizer(workload(DENSE))
    assert (adam.beta_1, adam.beta_2, adam.epsilon) == (0.8, 0.999, 1e-7)
    assert float(adam.learning_rate) == pytest.approx(0.01)
    other = workload(DENSE)
    other.training.optimizer = "lion"
    with pytest.raises(Unsupported, match="optimizer 'lion'"):
        reference.optimizer(other)


def test_images_are_scaled_in_the_workloads_number_type(reference, tmp_path):
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.save(tmp_path / "x.npy", images)
    for dtype in ("float32", "float64"):
        found = reference.load_images(str(tmp_path / "x.npy"), dtype)
        assert found.dtype == dtype
        assert np.array_equal(found, images / np.asarray(255, dtype))
