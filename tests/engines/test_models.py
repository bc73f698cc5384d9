"""What the rivals' models do by themselves: padding, refusals, layouts."""

import subprocess
import sys

import numpy as np
import pytest

from harness.contract import Unsupported, Workload
from harness.workload.format import parse
from harness.workload.shapes import resolve

jax = pytest.importorskip("jax", reason="jax is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")


TRAINING = {"optimizer": "sgd", "learning_rate": 1, "epochs": 1, "batch_size": 4}


def workload(*layers: dict, shape=(5, 4, 2)) -> Workload:
    """What an engine gets for a workload of these layers and three classes."""
    document = {"name": "tiny", "model": {"layers": list(layers)}, "data": {"dataset": "noise"}}
    return Workload(resolve(parse({**document, "training": TRAINING}).document(), shape, 3))


def unknown() -> Workload:
    """A later harness's layer, between two that are known."""
    model = {"input_shape": [5, 4, 2], "classes": 3, "layers": UNKNOWN}
    return Workload({"name": "tiny", "model": model, "training": TRAINING})


DENSE = {"type": "dense", "units": 3, "activation": "softmax", "use_bias": True}
UNKNOWN = [
    {"type": "flatten", "output_shape": [40]},
    {"type": "attention", "output_shape": [40]},
    {**DENSE, "output_shape": [3]},
]


def test_an_unknown_layer_is_refused_by_name():
    from engines import model_jax, model_pytorch

    with pytest.raises(Unsupported, match=r"layer 1 \('attention'\)"):
        model_jax.forward(unknown())
    with pytest.raises(Unsupported, match=r"layer 1 \('attention'\)"):
        model_pytorch.Network(unknown())


def test_pytorch_reads_and_writes_the_shared_layout(tmp_path):
    from engines.model_pytorch import Network

    conv = {"type": "conv2d", "filters": 3, "kernel_size": 2, "activation": "relu"}
    rng = np.random.default_rng(1)
    shapes = {"0.kernel": (2, 2, 2, 3), "0.bias": (3,), "2.kernel": (36, 3), "2.bias": (3,)}
    weights = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    np.savez(tmp_path / "in.npz", **weights)
    network = Network(workload(conv, {"type": "flatten"}, DENSE))
    network.read(str(tmp_path / "in.npz"))
    network.write(str(tmp_path / "out.npz"))
    found = np.load(tmp_path / "out.npz")
    assert sorted(found.files) == sorted(weights)
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


@pytest.mark.parametrize("rules", ["LAYERS", "TUNED_LAYERS"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("channels", "filters"), [(1, 1), (2, 3)])
def test_jax_convolution_by_hand_is_jaxs_own(rules, padding, channels, filters):
    from engines import model_jax

    rng = np.random.default_rng(2)
    conv = {
        "type": "conv2d",
        "filters": filters,
        "kernel_size": [3, 2],
        "strides": [2, 1],
        "padding": padding,
        "use_bias": False,
    }
    layers = (conv, {"type": "flatten"}, DENSE)
    layer = workload(*layers, shape=(7, 6, channels)).model.layers[0]
    x = rng.random((2, 7, 6, channels), np.float32)
    own = {"kernel": rng.random((3, 2, channels, filters), np.float32)}
    found = getattr(model_jax, rules)["conv2d"](layer, own, x, None)
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(_padded(x, padding)).permute(0, 3, 1, 2),
        torch.from_numpy(own["kernel"]).permute(3, 2, 0, 1),
        stride=(2, 1),
    )
    np.testing.assert_allclose(found, expected.permute(0, 2, 3, 1).numpy(), rtol=1e-5)


def _padded(x: np.ndarray, padding: str) -> np.ndarray:
    # 7 rows, window 3, stride 2: (4 - 1)·2 + 3 - 7 = 2, one each; 6 columns, window 2: 1, last
    return np.pad(x, ((0, 0), (1, 1), (0, 1), (0, 0))) if padding == "same" else x


def test_the_engines_import_their_framework_only_when_asked():
    code = "import sys, engines.engine_jax, engines.engine_pytorch; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"jax", "torch", "numpy"} & set(loaded.stdout.split())
