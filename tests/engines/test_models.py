"""What the rivals' models do by themselves: padding, refusals, layouts."""

import subprocess
import sys

import numpy as np
import pytest

from harness.contract import Unsupported, Workload

jax = pytest.importorskip("jax", reason="jax is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")


def workload(*layers: dict, shape=(5, 4, 2)) -> Workload:
    """A workload of the given layers, each with what it needs."""
    return Workload(
        {
            "name": "tiny",
            "model": {"input_shape": list(shape), "classes": 3, "layers": list(layers)},
            "training": {"optimizer": "sgd", "learning_rate": 1, "epochs": 1, "batch_size": 4},
        }
    )


DENSE = {"type": "dense", "units": 3, "activation": "softmax", "use_bias": True}
UNKNOWN = ({"type": "flatten"}, {"type": "attention"}, DENSE)


def test_an_unknown_layer_is_refused_by_name():
    from engines import model_jax, model_pytorch

    with pytest.raises(Unsupported, match=r"layer 1 \('attention'\)"):
        model_jax.forward(workload(*UNKNOWN))
    with pytest.raises(Unsupported, match=r"layer 1 \('attention'\)"):
        model_pytorch.Network(workload(*UNKNOWN))


@pytest.mark.parametrize(
    ("size", "window", "stride", "pads"),
    [(5, 3, 1, (1, 1)), (5, 2, 1, (0, 1)), (5, 2, 2, (0, 1)), (4, 3, 2, (0, 1)), (4, 2, 2, (0, 0))],
)
def test_same_padding_puts_an_odd_pixel_last(size, window, stride, pads):
    from engines.model_pytorch import SamePadding

    padding = SamePadding((size,), (window,), (stride,), 0.0)
    assert tuple(padding.pads) == pads


def test_pytorch_reads_and_writes_the_shared_layout(tmp_path):
    from engines.model_pytorch import Network

    conv = {
        "type": "conv2d",
        "filters": 3,
        "kernel_size": (2, 2),
        "strides": (1, 1),
        "padding": "valid",
        "activation": "relu",
        "use_bias": True,
    }
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
    layer = workload(
        {
            "type": "conv2d",
            "filters": filters,
            "kernel_size": (3, 2),
            "strides": (2, 1),
            "padding": padding,
            "activation": "linear",
            "use_bias": False,
        }
    ).model.layers[0]
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
