"""Each engine's profile in the classes of the contract: parsers on small traces made here."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from harness.contract import Layer, ops
from harness.contract.ops import Op

LAYERS = [
    Layer(type="conv2d", activation="relu"),
    Layer(type="max_pooling2d"),
    Layer(type="flatten"),
    Layer(type="dense", activation="softmax"),
]


class Events:
    """Stands for a report: what operations it is told of."""

    def __init__(self):
        self.found = []

    def ops(self, name, kind, part=None, layer=None, **more):
        self.found.append((Op(name, kind, part, layer), more))


def classes(tally):
    """{(class, pass, layer): seconds} of a tally."""
    found = {}
    for op in tally.ops():
        key = op["kind"], op["part"], op["layer"]
        found[key] = found.get(key, 0.0) + op["seconds"]
    return found


# PyTorch


def event(name, start, end, *, parent=None, sequence=-1, thread=1):
    return SimpleNamespace(
        name=name,
        thread=thread,
        sequence_nr=sequence,
        cpu_parent=parent,
        time_range=SimpleNamespace(start=start, end=end),
    )


def pytorch_step():
    """One step of a convolution and a dense layer, in microseconds."""
    conv = event("aten::conv2d", 0, 100, sequence=1)
    inner = event("aten::mkldnn_convolution", 10, 90, parent=conv)
    relu = event("aten::relu", 100, 110, sequence=2)
    linear = event("aten::linear", 120, 150, sequence=3)
    addmm = event("aten::addmm", 125, 145, parent=linear, sequence=3)
    loss = event("aten::cross_entropy_loss", 150, 170)
    nll = event("aten::nll_loss_forward", 155, 165, parent=loss)
    node = "autograd::engine::evaluate_function: "
    backward = event(f"{node}AddmmBackward0", 200, 260, sequence=3)
    first = event("aten::mm", 205, 225, parent=backward)
    second = event("aten::mm", 230, 250, parent=backward)
    bias = event("aten::sum", 250, 258, parent=backward)
    both = event(f"{node}ConvolutionBackward0", 300, 400, sequence=1)
    gradients = event("aten::convolution_backward", 310, 390, parent=both)
    update = event("aten::_foreach_add_", 400, 420)
    strange = event("aten::magic", 420, 440)
    return [
        conv, inner, relu, linear, addmm, loss, nll, backward, first, second, bias, both, gradients,
        update, strange,
    ]  # fmt: skip


def test_pytorch_operators_are_put_into_classes_passes_and_layers():
    profile = pytest.importorskip("engines.profile_pytorch")
    modules = [("Conv2d", 0), ("ReLU", 0), ("Flatten", 2), ("Linear", 3)]
    modules = [pair for pair in modules if pair[0] != "Flatten"]
    spans = profile.spans(pytorch_step(), modules, {0: 0.25})
    found = {key: 1e6 * s for key, s in classes(ops.own_times(spans, 0, 500e-6)).items()}
    assert {key: value for key, value in found.items() if key[0] != "dispatch"} == {
        ("convolution", "forward", 0): pytest.approx(80),
        ("activation", "forward", 0): pytest.approx(10),
        ("matrix product", "forward", 3): pytest.approx(20),
        ("loss", "forward", None): pytest.approx(10),
        ("matrix product", "input gradient", 3): pytest.approx(20),
        ("matrix product", "kernel gradient", 3): pytest.approx(28),
        ("convolution", "input gradient", 0): pytest.approx(20),
        ("convolution", "kernel gradient", 0): pytest.approx(60),
        ("optimizer", "update", None): pytest.approx(20),
        ("unattributed", None, None): pytest.approx(20),
    }
    assert sum(found.values()) == pytest.approx(500)


def test_pytorch_names_of_a_real_trace_are_known():
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    from engines import profile_pytorch

    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(2, 2, 3),
        torch.nn.Flatten(), torch.nn.Linear(2, 3),
    )  # fmt: skip
    places = [0, 0, 1, 2, 3, 4]
    images, labels = torch.ones(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)
    with profiler(activities=[ProfilerActivity.CPU]) as recorded:
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        parameters = list(network.parameters())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-0.1)
    ours = SimpleNamespace(steps=network, step_layers=places)
    shares = profile_pytorch.gradient_shares(ours, [images])
    assert list(shares) == [2]
    assert 0 < shares[2] < 1
    modules = [(type(step).__name__, n) for step, n in zip(network, places, strict=True)]
    spans = list(profile_pytorch.spans(recorded.events(), modules, shares))
    unknown = {span.op.name for span in spans if span.op.kind == ops.UNATTRIBUTED}
    assert not unknown
    found = {(span.op.kind, span.op.part, span.op.layer) for span in spans}
    assert {
        ("convolution", "forward", 0),
        ("convolution", "kernel gradient", 0),
        ("convolution", "input gradient", 2),
        ("convolution", "kernel gradient", 2),
        ("pooling", "forward", 1),
        ("pooling", "input gradient", 1),
        ("matrix product", "forward", 4),
        ("matrix product", "input gradient", 4),
        ("matrix product", "kernel gradient", 4),
        ("activation", "forward", 0),
        ("loss", "forward", None),
        ("optimizer", "update", None),
    } <= found
    assert ("convolution", "input gradient", 0) not in found


# JAX

TEXT = """
%body (arg: f32[2]) -> f32[2] {
  %copy.1 = f32[3,3,1,2]{3,2,1,0} copy(%arg)
  %conv.0 = f32[4,6,6,2]{3,2,1,0} convolution(%x, %copy.1), metadata={op_name="jit(epoch)/while/body/closed_call/jvp(layer0)/conv_general_dilated"}
  %max_fusion = f32[4,6,6,2]{3,2,1,0} fusion(%conv.0), kind=kLoop, calls=%f, metadata={op_name="jit(epoch)/while/body/closed_call/jvp(layer0)/jit(relu)/max"}
  %wrapped_iota = s32[4,6,6,2]{3,2,1,0} fusion(), kind=kLoop, calls=%g, metadata={op_name="jit(epoch)/while/body/closed_call"}
  %scatter = f32[4,6,6,2]{3,2,1,0} fusion(%wrapped_iota), calls=%h, metadata={op_name="jit(epoch)/while/body/closed_call/transpose(jvp(layer1))/select_and_scatter"}
  %dot.1 = f32[18,10]{1,0} dot(%a, %b), metadata={op_name="jit(epoch)/while/body/closed_call/transpose(jvp(layer3))/transpose"}
  %dot.2 = f32[4,18]{1,0} dot(%a, %b), metadata={op_name="jit(epoch)/while/body/closed_call/transpose(jvp(layer3))/dot_general"}
  %bias = f32[10]{0} fusion(%a), calls=%h, metadata={op_name="jit(epoch)/while/body/closed_call/transpose(jvp(layer3))/reduce_sum"}
  %log = (f32[4], f32[4]) fusion(%a), calls=%h, metadata={op_name="jit(epoch)/while/body/closed_call/jvp(loss)/log"}
  %sub = f32[10]{0} fusion(%a), calls=%h, metadata={op_name="jit(epoch)/while/body/closed_call/update/sub"}
  %scale = f32[4]{0} fusion(%a), calls=%h, metadata={op_name="jit(epoch)/while/body/closed_call/div"}
  %lost = f32[4]{0} fusion(%a), calls=%h
}
"""  # noqa: E501
EXPECTED = {
    "copy.1": Op("copy.1", "data movement"),
    "conv.0": Op("conv.0", "convolution", "forward", 0),
    "max_fusion": Op("max_fusion", "activation", "forward", 0),
    "wrapped_iota": Op("wrapped_iota", "pooling", "input gradient", 1),
    "scatter": Op("scatter", "pooling", "input gradient", 1),
    "dot.1": Op("dot.1", "matrix product", "kernel gradient", 3),
    "dot.2": Op("dot.2", "matrix product", "input gradient", 3),
    "bias": Op("bias", "matrix product", "kernel gradient", 3),
    "log": Op("log", "loss"),
    "sub": Op("sub", "optimizer", "update"),
    "scale": Op("scale", "data movement"),
    "lost": Op("lost", "unattributed"),
    "elsewhere": Op("elsewhere", "unattributed"),
    "while.3": Op("while.3", "dispatch"),
}


@pytest.fixture(scope="module")
def jax_profile():
    pytest.importorskip("jax")
    from engines import profile_jax

    return profile_jax


@pytest.fixture
def names(jax_profile):
    return jax_profile.Names(TEXT, LAYERS, {"0.kernel": (3, 3, 1, 2), "3.kernel": (18, 10)})


@pytest.mark.parametrize("instruction", EXPECTED)
def test_xla_instructions_of_jax_are_explained_by_the_text(names, instruction):
    assert names.op(instruction, True) == EXPECTED[instruction]


def test_jax_trace_is_cut_to_the_epoch_and_closes(jax_profile, names):
    def line(name, *events):
        made = [
            SimpleNamespace(
                name=n, start_ns=1e9 * s, duration_ns=1e9 * d, stats=[("hlo_op", n)] if own else []
            )
            for n, s, d, own in events
        ]
        return SimpleNamespace(name=name, events=made)

    main = line("python", (jax_profile.EPOCH, 1, 8, False), ("PjitFunction", 1, 8, False))
    worker = line("worker", ("conv.0", 0, 3, True), ("dot.1", 4, 2, True))
    planes = [
        SimpleNamespace(name="/host:CPU", lines=[main, worker]),
        SimpleNamespace(name="/host:metadata", lines=[line("x", ("conv.0", 0, 9, True))]),
    ]
    found = classes(jax_profile.read(planes, names))
    assert {key: value for key, value in found.items() if value} == {
        ("convolution", "forward", 0): pytest.approx(2),
        ("matrix product", "kernel gradient", 3): pytest.approx(2),
        ("dispatch", None, None): pytest.approx(4),
    }
    with pytest.raises(ValueError, match="holds no epoch"):
        jax_profile.read([], names)


# TensorFlow


def xspace(*lines, module=None):
    """An XSpace with lines of events (name, start, seconds, instruction), as TensorFlow writes."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/host:CPU")
    plane.stat_metadata[1].name = "hlo_op"
    numbers = {}
    for identity, events in enumerate(lines):
        line = plane.lines.add(id=identity, timestamp_ns=10**9)
        for name, start, seconds, instruction in events:
            number = numbers.setdefault(name, len(numbers) + 1)
            plane.event_metadata[number].name = name
            event = line.events.add(
                metadata_id=number, offset_ps=int(start * 1e12), duration_ps=int(seconds * 1e12)
            )
            if instruction:
                event.stats.add(metadata_id=1, str_value=instruction)
    if module is not None:
        metadata = space.planes.add(name="/host:metadata")
        metadata.event_metadata[1].stats.add(bytes_value=module.SerializeToString())
    return space


GRAPH = "StatefulPartitionedCall/"
BACK = f"{GRAPH}gradient_tape/sequential_1/"
TF_EVENTS = {
    f"{GRAPH}sequential_1/layer0_1/Relu:_MklNativeFusedConv2D": ("convolution", "forward", 0),
    f"{GRAPH}sequential_1/layer1_1/MaxPool2d:_MklNativeMaxPool": ("pooling", "forward", 1),
    f"{GRAPH}sequential_1/layer3_1/BiasAdd:_MklNativeFusedMatMul": ("matrix product", "forward", 3),
    f"{BACK}layer3_1/MatMul/MatMul:_MklMatMul": ("matrix product", "input gradient", 3),
    f"{BACK}layer3_1/MatMul/MatMul_1:_MklMatMul": ("matrix product", "kernel gradient", 3),
    f"{BACK}layer3_1/BiasAdd/BiasAddGrad:BiasAddGrad": ("matrix product", "kernel gradient", 3),
    f"{BACK}layer0_1/ReluGrad:ReluGrad": ("activation", "input gradient", 0),
    f"{BACK}layer0_1/convolution/Conv2DBackpropFilter:_MklNativeConv2DBackpropFilter": (
        "convolution",
        "kernel gradient",
        0,
    ),
    f"{GRAPH}compile_loss/sparse_categorical_crossentropy/Sum:Sum": ("loss", "forward", None),
    f"{GRAPH}sgd_1/AssignSubVariableOp_2:AssignSubVariableOp": ("optimizer", "update", None),
    "ExecutorState::Process": ("dispatch", None, None),
    "Iterator::Root::Prefetch::BatchV2": ("data movement", None, None),
    "Iterator::Root::Prefetch": ("dispatch", None, None),
    f"{GRAPH}magic:Magic": ("unattributed", None, None),
}


@pytest.mark.tensorflow
def test_tensorflow_operations_are_read_from_the_xplane():
    pytest.importorskip("tensorflow")
    from tf_reference import profile

    events = [(name, 1 + 0.1 * n, 0.1, None) for n, name in enumerate(TF_EVENTS)]
    epoch = [(profile.AROUND, 0, 9, None), (profile.EPOCH, 1, 2, None)]
    found = classes(profile.read(xspace(epoch, events), LAYERS))
    wanted = {}
    for key in TF_EVENTS.values():
        wanted[key] = wanted.get(key, 0) + 0.1
    wanted["dispatch", None, None] += 2 - 0.1 * len(events)
    assert {k: v for k, v in found.items() if v} == {k: pytest.approx(v) for k, v in wanted.items()}
    with pytest.raises(ValueError, match="holds no epoch"):
        profile.read(xspace(events), LAYERS)


@pytest.mark.tensorflow
def test_tensorflow_instructions_of_xla_are_explained_by_the_module():
    pytest.importorskip("tensorflow")
    from tensorflow.compiler.xla.service import hlo_pb2

    from tf_reference import profile

    module = hlo_pb2.HloProto()
    computation = module.hlo_module.computations.add()

    def instruction(number, name, opcode, op_name="", op_type="", operands=()):
        one = computation.instructions.add(id=number, name=name, opcode=opcode)
        one.metadata.op_name, one.metadata.op_type = op_name, op_type
        one.operand_ids.extend(operands)

    back = "gradient_tape/sequential_1/"
    instruction(1, "convolution.2", "convolution", "sequential_1/layer0_1/convolution", "Conv2D")
    instruction(2, "wrapped_iota", "fusion")
    pooled = f"{back}layer1_1/MaxPool2d/MaxPoolGrad"
    instruction(3, "wrapped_scatter", "fusion", pooled, "MaxPoolGrad", [2])
    relu = f"{back}layer0_1/ReluGrad"
    instruction(4, "select", "fusion", relu, "ReluGrad", [3])
    instruction(5, "convolution.1", "convolution", operands=[4])
    instruction(6, "copy.7", "copy")
    instruction(7, "subtract", "fusion", "sgd_1/AssignSubVariableOp", "AssignSubVariableOp", [5])
    instruction(8, "alone", "fusion")
    names = [one.name for one in computation.instructions]
    events = [(name, 1 + n, 1, name) for n, name in enumerate(names)]
    space = xspace([(profile.EPOCH, 1, 8, None)], events, module=module)
    found = {op["name"]: (op["kind"], op["part"], op["layer"]) for op in
             profile.read(space, LAYERS).ops() if op["seconds"]}  # fmt: skip
    assert found == {
        "convolution.2": ("convolution", "forward", 0),
        "wrapped_iota": ("pooling", "input gradient", 1),
        "wrapped_scatter": ("pooling", "input gradient", 1),
        "select": ("activation", "input gradient", 0),
        "convolution.1": ("convolution", "kernel gradient", 0),
        "copy.7": ("data movement", None, None),
        "subtract": ("optimizer", "update", None),
        "alone": ("unattributed", None, None),
    }


# myad


def test_myad_kernels_are_what_is_heaviest_in_them():
    from engines import profile_myad
    from myad.recording import Origin

    update = ("subtract", Origin("update", "subtract"))
    cases = {
        (("correlate2d", Origin(0, "correlate2d")), ("add", Origin(0, "add"))): (
            "convolution", "forward", 0,
        ),
        (("correlate2d", Origin(0, "correlate2d", 0)),): ("convolution", "input gradient", 0),
        (("matmul", Origin(3, "matmul", 1)), update): ("matrix product", "kernel gradient", 3),
        (("reduce_sum", Origin(0, "add", 1)), update): ("convolution", "kernel gradient", 0),
        (("where", Origin(0, "relu", -1)), ("max_pool2d_gradient", Origin(1, "max_pool2d", -1))): (
            "pooling", "input gradient", 1,
        ),
        (("strided_embed", Origin(0, "correlate2d", 0)),): ("data movement", None, 0),
        (("exp", Origin("loss", "sparse_softmax_cross_entropy")),): ("loss", None, None),
        (update,): ("optimizer", "update", None),
        (): ("data movement", None, None),
        (("erf", Origin(None, "erf")),): ("unattributed", None, None),
    }  # fmt: skip
    for origins, wanted in cases.items():
        assert profile_myad.kernel("k", origins, LAYERS)[1:] == wanted


def test_myad_eager_primitives_are_timed_and_put_back():
    import myad
    import myad.step
    from engines import profile_myad
    from myad.core import PRIMITIVES

    settings = [
        {"type": "conv2d", "filters": 2, "kernel_size": 3, "activation": "relu"},
        {"type": "max_pooling2d", "pool_size": 2},
        {"type": "flatten"},
        {"type": "dense", "units": 10, "activation": "softmax"},
    ]
    model = myad.Sequential(settings, (6, 6, 1))
    rule = myad.optim.optimizer_from("sgd", learning_rate=0.1)
    images, labels = np.zeros((8, 6, 6, 1), np.uint8), np.zeros(8, np.uint8)
    before = [(op.value, op.vjp) for op in PRIMITIVES.values()], myad.step.read_images
    report = Events()
    begun = time.perf_counter()
    with profile_myad.recorded(LAYERS, rule, report, lambda: (begun, time.perf_counter())):
        myad.fit(model, images, labels, optimizer=rule, batch_size=4, progress=False)
    assert ([(op.value, op.vjp) for op in PRIMITIVES.values()], myad.step.read_images) == before
    assert "update" not in vars(rule)
    found = {(op.kind, op.part, op.layer) for op, more in report.found if more["seconds"]}
    assert {
        ("convolution", "forward", 0),
        ("convolution", "kernel gradient", 0),
        ("pooling", "forward", 1),
        ("pooling", "input gradient", 1),
        ("matrix product", "forward", 3),
        ("matrix product", "input gradient", 3),
        ("matrix product", "kernel gradient", 3),
        ("activation", "forward", 0),
        ("activation", "input gradient", 0),
        ("optimizer", "update", None),
        ("data movement", None, None),
        ("dispatch", None, None),
    } <= found
    assert not [op for op, _ in report.found if op.kind == ops.UNATTRIBUTED]
    calls = {op.name: more["calls"] for op, more in report.found if op.layer == 1}
    assert calls["max_pool2d"] == 2


@pytest.mark.parametrize("name", ["profile_myad", "profile_pytorch"])
def test_tables_name_classes_of_the_contract(name):
    module = pytest.importorskip(f"engines.{name}")
    tables = [module.CLASSES, getattr(module, "LAYERS", {}), getattr(module, "WITHIN", {})]
    assert {kind for table in tables for kind in table.values()} <= set(ops.CLASSES)
