"""Workloads: presets, the user's files, overrides, and one clear line for each mistake."""

import pytest

from harness.workload.format import PRESETS, WorkloadError, load, parse, preset_names

PUBLISHED = {
    "colour", "fashion-90", "keras", "lenet5", "mnist-99", "paper", "quick", "simplechains",
    "smoke", "two-conv", "vgg", "wide",
}  # fmt: skip


def test_the_presets_are_there_and_parse_back_to_themselves():
    assert set(preset_names()) >= PUBLISHED  # people run these by name
    for name in preset_names():
        workload = load(name)
        assert workload.name == name
        assert parse(workload.document()) == workload


def test_paper_is_the_studys_workload():
    workload = load("paper").document()
    assert [layer["type"] for layer in workload["model"]["layers"]] == [
        "conv2d",
        "max_pooling2d",
        "flatten",
        "dense",
    ]
    training = workload["training"]
    assert (training["optimizer"], training["learning_rate"], training["momentum"]) == (
        "sgd",
        0.001,
        0.0,
    )
    assert (training["epochs"], training["batch_size"], training["shuffle"]) == (3, 1, False)
    assert workload["testing"]["batch_size"] == 1
    assert workload["data"] == {"dataset": "mnist", "train_limit": None, "test_limit": None}


@pytest.mark.parametrize(("name", "batch", "train"), [("keras", 32, None), ("quick", 1, 10_000)])
def test_presets_derived_from_paper(name, batch, train):
    workload, paper = load(name), load("paper")
    assert workload.model == paper.model
    assert workload.training.batch_size == batch
    assert workload.data.train_limit == train


def test_overrides_change_settings_in_order():
    changes = ["training.batch_size=4", "training.batch_size=8", "model.layers.0.filters=3"]
    workload = load("paper", [*changes, "data.dataset=fashion-mnist", "training.shuffle=true"])
    assert workload.training.batch_size == 8
    assert workload.model.layers[0].filters == 3
    assert workload.data.dataset == "fashion-mnist"
    assert workload.training.shuffle is True


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.batch_size=0",
            "training.batch_size: input should be greater than or equal to 1",
        ),
        ("training.batch_size=1.5", "training.batch_size: input should be a valid integer"),
        ("training.batch_size=true", "training.batch_size: input should be a valid integer"),
        ("training.bach_size=8", "training.bach_size: no such setting; allowed: optimizer,"),
        (
            "training.optimizer=rms",
            "training.optimizer: input should be 'sgd', 'adam' or 'rmsprop', not 'rms'",
        ),
        ("training.learning_rate=nan", "training.learning_rate: input should be a finite number"),
        ("training.learning_rate=-1", "training.learning_rate: input should be greater than 0"),
        ("training.beta_1=0.5", "training.beta_1 belongs to adam, but training.optimizer is 'sgd'"),
        (
            "model.layers.0.filtres=2",
            "model.layers[0].filtres: no such setting; allowed: type, fil",
        ),
        ("model.layers.0.type=conv", "model.layers[0]: no layer type 'conv'; allowed: 'conv2d', "),
        (
            "model.layers.0.kernel_size=-1",
            "model.layers[0].kernel_size[0]: input should be greater",
        ),
        ("model.layers=[]", "model.layers: tuple should have at least 1 item"),
        ("model.layers.9.units=1", "'9' is not an index; allowed: 0 to 3."),
        ("model.layers.0.activation=softmax", "model.layers[0] (conv2d): only the last layer may "),
        ("model.layers.3.activation=relu", "model.layers[3] (dense): the last layer must have "),
        ("name=../x", "name: string should match pattern"),
        ("data.dataset=/etc", "data.dataset: string should match pattern"),
        ("data.dataset.x=1", "'dataset' has no settings inside it."),
        ("nonsense", "--set nonsense: expected section.setting=value."),
        (
            "speed.fast=1",
            "speed: no such setting; allowed: name, model, data, training, testing, ta",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_with_what_is_allowed(override, message):
    with pytest.raises(WorkloadError) as caught:
        load("paper", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


MALFORMED = {
    "empty": ("", "mine.toml: name: missing."),
    "not toml": ("name = ", "mine.toml: not valid TOML: Invalid value"),
    "twice": ("name = 'a'\nname = 'b'", "mine.toml: not valid TOML: Cannot overwrite a value"),
    "bytes": ("name = '\udcff'", "mine.toml: not valid TOML: 'utf-8' codec can't decode"),
    "deep": ("x = " + "[" * 5000, "mine.toml: not valid TOML: "),
    "no model": ("name = 'a'", "mine.toml: model: missing."),
    "model is text": ("name = 'a'\nmodel = 'cnn'", "mine.toml: model: input should be a valid"),
    "layers is a table": ("name = 'a'\n[model.layers]", "mine.toml: model.layers: input should be"),
    "layer without type": (
        "name = 'a'\n[[model.layers]]\nunits = 3",
        "mine.toml: model.layers[0]: no layer type None; allowed: 'conv2d', ",
    ),
    "a layer that is none": (
        "name = 'a'\nmodel.layers = [7]",
        "mine.toml: model.layers[0]: ",
    ),
    "huge": ("#" + "x" * 1_000_001, "mine.toml: larger than 1000000 bytes."),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_one_line(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(WorkloadError) as caught:
        load(path)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)
    assert "\n" not in str(caught.value)


def test_a_file_or_preset_that_is_not_there(tmp_path):
    with pytest.raises(WorkloadError, match=r"mine\.toml: No such file or directory\."):
        load(tmp_path / "mine.toml")
    with pytest.raises(
        WorkloadError, match=r"no preset 'papr'; allowed: colour, fashion-90, .*wide"
    ):
        load("papr")


def test_a_users_file_works_as_a_preset_does(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        name = "mine"
        [model]
        layers = [{ type = "flatten" }, { type = "dense", units = 10, activation = "softmax" }]
        [data]
        dataset = "mnist"
        [training]
        optimizer = "adam"
        learning_rate = 0.01
        epochs = 1
        batch_size = 16
        """
    )
    workload = load(path, ["training.beta_1=0.8"])
    assert workload.training.beta_1 == 0.8
    assert workload.testing.batch_size == 1


@pytest.mark.parametrize("name", ["\n", "\x1b[31m", "a\u202eb", "x" * 5_000])
def test_a_name_of_a_setting_is_shown_and_not_obeyed(name):
    document = {**load("paper").document(), name: None}
    with pytest.raises(WorkloadError, match="no such setting; allowed: name, model") as caught:
        parse(document)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 200


SCHEDULED = ["training.schedule={type='piecewise', boundaries=[1, 2.5], factors=[1, 0.1, 0.01]}"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.schedule=fast", "training.schedule: no schedule 'fast'; allowed: 'constant', "),
        (
            "training.schedule.boundaries=[1]",
            "training.schedule.factors: needs one factor more than there are boundaries, not",
        ),
        (
            "training.schedule.boundaries=[2, 1]",
            "training.schedule.boundaries: each has to be above the one before, not [2, 1].",
        ),
        (
            "training.schedule.warm_up=0.1",
            "training.schedule.warm_up: no such setting; allowed: epochs, type, boundaries,",
        ),
        ("training.nesterov=true", "training.nesterov needs a training.momentum above 0."),
        ("training.rho=0.5", "training.rho belongs to rmsprop, but training.optimizer is 'sgd'."),
        ("target.accuracy=99", "target.accuracy: input should be less than or equal to 1, not 99."),
        (
            "target={accuracy=0.9, max_epochs=5}",
            "target.max_epochs is 5, training.epochs 3; a workload with a target trains for max_ep",
        ),
    ],
)
def test_a_wrong_schedule_or_target_is_one_line(override, message):
    with pytest.raises(WorkloadError) as caught:
        load("paper", [*SCHEDULED, override])
    assert message in str(caught.value)


def test_a_workload_with_a_target_trains_for_its_epochs(tmp_path):
    path = tmp_path / "mine.toml"
    text = (PRESETS / "paper.toml").read_text().replace("epochs = 3\n", "")
    path.write_text(f"{text}\n[target]\naccuracy = 0.9\nmax_epochs = 7\n")
    workload = load(path)
    assert (workload.training.epochs, workload.target.accuracy) == (7, 0.9)
    assert parse(workload.document()) == workload
    assert load(path, ["target.max_epochs=2"]).training.epochs == 2


def test_settings_younger_than_runs_are_left_out_where_they_change_nothing():
    plain = load("paper").document()
    assert not {"schedule", "weight_decay", "nesterov", "rho"} & plain["training"].keys()
    assert "target" not in plain
    changed = load("paper", [*SCHEDULED, "training.weight_decay=0.1"]).document()["training"]
    assert (changed["weight_decay"], changed["schedule"]["factors"]) == (0.1, [1.0, 0.1, 0.01])
