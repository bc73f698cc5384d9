"""fit, evaluate, predict, callbacks: what they compute, report and refuse."""

import numpy as np
import pytest

import myad
from myad import errors


def small(**options):
    layers = [
        myad.Conv2D(2, 3, activation="relu"),
        myad.MaxPool2D(2),
        myad.Flatten(),
        myad.Dense(3, activation="softmax"),
    ]
    return myad.Sequential(layers, (8, 8, 1), **options)


@pytest.fixture
def data(rng):
    """Images whose class is the third that is bright."""
    labels = rng.integers(0, 3, 90).astype(np.uint8)
    images = rng.integers(0, 60, (90, 8, 8, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label : 2 * label + 3] += 150
    return images.astype(np.uint8), labels


def test_fit_learns_and_reports(data, capsys):
    model = small()
    history = myad.fit(
        model,
        *data,
        optimizer=myad.Adam(learning_rate=0.01),
        epochs=15,
        batch_size=8,
        validation_data=data,
    )
    assert len(history.loss) == len(history.seconds) == len(history.val_loss) == 15
    assert history.loss[-1] < 0.3 * history.loss[0]
    assert history.val_accuracy[-1] > 0.95
    found = myad.evaluate(model, *data)
    assert found["accuracy"] == pytest.approx(history.val_accuracy[-1])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 15
    assert lines[0].startswith("epoch 1/15  loss 1.")
    assert "  val_loss " in lines[0]
    assert "  val_accuracy " in lines[0]


def test_same_seed_same_result_bit_for_bit(data):
    def weights(seed, dropout=True):
        layers = [myad.Flatten(), myad.Dropout(0.2), myad.Dense(3, activation="softmax")]
        model = myad.Sequential(layers, (8, 8, 1))
        history = myad.fit(model, *data, epochs=2, batch_size=7, seed=seed, progress=False)
        return model.parameters["2.kernel"], history.loss

    first, again, other = weights(1), weights(1), weights(2)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert (first[0] != other[0]).any()


def test_the_last_short_batch_is_a_mean_over_what_it_holds(data):
    images, labels = data[0][:5], data[1][:5]
    model, rate = small(), 0.1
    expected = dict(model.parameters)
    step = myad.training_step(
        model, "sparse_categorical_crossentropy", myad.SGD(learning_rate=rate)
    )
    state = myad.SGD(learning_rate=rate).init(expected)
    losses = []
    for part in (slice(0, 3), slice(3, 5)):
        loss, expected, state = step(expected, state, images[part], labels[part])
        losses.append(float(loss))
    history = myad.fit(
        model,
        images,
        labels,
        optimizer=myad.SGD(learning_rate=rate),
        batch_size=3,
        shuffle=False,
        progress=False,
    )
    for name, value in expected.items():
        np.testing.assert_array_equal(model.parameters[name], value)
    assert history.loss[0] == pytest.approx((3 * losses[0] + 2 * losses[1]) / 5)


def test_an_order_is_followed(data):
    images, labels = data
    order = np.stack([np.random.default_rng(4).permutation(90) for _ in range(2)]).astype(np.int32)
    a, b = small(), small()
    myad.fit(a, images, labels, epochs=2, batch_size=4, order=order, progress=False)
    for one in order:
        myad.fit(b, images[one], labels[one], batch_size=4, shuffle=False, progress=False)
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name])


def test_the_optimizers_state_goes_on(data):
    def run(parts):
        model = small()
        state = None
        for epochs in parts:
            history = myad.fit(
                model, *data, optimizer=myad.SGD(momentum=0.9), epochs=epochs, shuffle=False,
                progress=False, optimizer_state=state,
            )  # fmt: skip
            state = history.optimizer_state
        return model.parameters, state

    whole, state = run([2])
    halves, _ = run([1, 1])
    assert state["step"] == 6
    for name, value in whole.items():
        np.testing.assert_array_equal(value, halves[name])


def test_bytes_are_read_as_numbers_between_0_and_1(data):
    images, labels = data
    found = myad.read_images(images, "float32")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, images / 255, rtol=1e-6)
    a, b = small(), small()
    myad.fit(a, images, labels, shuffle=False, progress=False)
    myad.fit(b, found, labels, shuffle=False, progress=False)
    for name in a.parameters:
        np.testing.assert_array_equal(a.parameters[name], b.parameters[name])
    np.testing.assert_array_equal(myad.predict(a, images), myad.predict(a, found))


def test_predict_in_batches_equals_predict_at_once(data):
    model = small()
    whole = myad.predict(model, data[0], batch_size=90)
    np.testing.assert_allclose(myad.predict(model, data[0], batch_size=7), whole, rtol=1e-5)
    assert whole.shape == (90, 3)
    assert myad.predict(model, data[0][:0]).shape == (0, 3)


def test_early_stopping_stops_and_restores(data):
    seen = []

    class Watch(myad.Callback):
        def epoch_done(self, epoch, model, history):
            seen.append({name: value.copy() for name, value in model.parameters.items()})
            return False

    stopping = myad.EarlyStopping("loss", patience=2, min_delta=10.0, restore_best_weights=True)
    model = small()
    history = myad.fit(model, *data, epochs=9, callbacks=[Watch(), stopping], progress=False)
    # the first epoch always improves on nothing, none after it by 10
    assert (len(history.loss), stopping.best_epoch, len(seen)) == (3, 1, 3)
    assert stopping.best == history.loss[0]
    for name, value in seen[0].items():
        np.testing.assert_array_equal(model.parameters[name], value)


@pytest.mark.parametrize(
    ("monitor", "figures", "patience", "best_epoch", "last"),
    [
        ("val_accuracy", [0.5, 0.7, 0.7, 0.6, 0.9], 2, 2, 4),  # to rise; a tie is no gain
        ("val_loss", [0.5, 0.7, 0.7, 0.6, 0.9], 2, 1, 3),
        ("val_loss", [0.5, 0.4, 0.41, 0.3], 1, 2, 3),
        ("val_loss", [0.5, 0.4, 0.41, 0.3], 0, 2, 3),
    ],
)
def test_early_stopping_counts_as_keras(monitor, figures, patience, best_epoch, last):
    stopping = myad.EarlyStopping(monitor, patience=patience)
    history = myad.History(loss=[1.0])
    for epoch, figure in enumerate(figures, start=1):
        getattr(history, monitor).append(figure)
        if stopping.epoch_done(epoch, None, history):
            break
    assert (stopping.best_epoch, epoch) == (best_epoch, last)
    assert stopping.best == figures[best_epoch - 1]


def test_early_stopping_needs_what_it_watches(data):
    allowed = "monitor 'validation_loss' is none of loss, val_loss, val_accuracy"
    with pytest.raises(errors.OptionError, match=allowed):
        myad.EarlyStopping("validation_loss")
    with pytest.raises(errors.OptionError, match="'val_loss' is not measured here, only loss"):
        myad.fit(small(), *data, callbacks=[myad.EarlyStopping()], progress=False)


def test_targets_that_are_no_classes_have_no_accuracy(data):
    pairs = (data[0], np.eye(3, dtype=np.float32)[data[1]])
    given = {"loss": "mean_squared_error", "validation_data": pairs, "progress": False}
    history = myad.fit(small(), *pairs, **given)
    assert (len(history.val_loss), history.val_accuracy) == (1, [])
    with pytest.raises(errors.OptionError, match="not measured here, only loss, val_loss"):
        myad.fit(small(), *pairs, callbacks=[myad.EarlyStopping("val_accuracy")], **given)


def test_nan_in_the_loss_is_reported_and_the_weights_kept(data):
    images = data[0].astype(np.float32) / 255
    images[70, 0, 0, 0] = np.nan
    model = small()
    before = dict(model.parameters)
    with pytest.raises(errors.NotFiniteError, match="loss became nan in epoch 1"):
        myad.fit(model, images, data[1], epochs=2, progress=False)
    for name, value in before.items():
        np.testing.assert_array_equal(model.parameters[name], value)


def test_a_diverging_run_is_reported(data):
    with pytest.raises(errors.NotFiniteError, match=r"loss became (nan|inf) in epoch \d"):
        myad.fit(small(), *data, optimizer=myad.SGD(learning_rate=1e30), epochs=9, progress=False)


def test_batch_normalization_keeps_its_statistics(data):
    images = data[0].astype(np.float32)
    layers = [myad.BatchNormalization(momentum=0.0), myad.Flatten(), myad.Dense(3, "softmax")]
    model = myad.Sequential(layers, (8, 8, 1))
    myad.fit(model, images, data[1], batch_size=90, progress=False)
    np.testing.assert_allclose(model.parameters["0.moving_mean"], images.mean(), rtol=1e-5)
    np.testing.assert_allclose(model.parameters["0.moving_variance"], images.var(), rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"epochs": 0}, "OptionError", "epochs: must be an integer >= 1, not 0"),
        ({"batch_size": 0}, "OptionError", "batch_size: must be an integer >= 1, not 0"),
        ({"loss": "hinge"}, "OptionError", "'hinge' is none of"),
        ({"optimizer": "lbfgs"}, "OptionError", "'lbfgs' is none of"),
        ({"order": np.zeros((1, 90), int)}, "DataError", "order: needs a permutation of the 90"),
    ],
)
def test_wrong_settings_are_refused(data, change, error, text):
    with pytest.raises(getattr(errors, error), match=text):
        myad.fit(small(), *data, progress=False, **change)


def test_data_that_does_not_fit_is_refused(data):
    images, labels = data
    with pytest.raises(errors.DataError, match="90 images and 89 labels"):
        myad.fit(small(), images, labels[1:])
    with pytest.raises(errors.DataError, match=r"images are \(8, 8\), the model takes \(8, 8, 1\)"):
        myad.fit(small(), images[..., 0], labels)
    with pytest.raises(errors.DataError, match=r"labels must lie in \[0, 3\).*got 0 to 4"):
        myad.evaluate(small(), images, np.where(labels == 1, 4, labels))
    with pytest.raises(errors.DataError, match="0 images and 0 labels"):
        myad.fit(small(), images[:0], labels[:0])


def test_lists_are_arrays(data):
    images, labels = data[0][:12] / 255, data[1][:12].astype(int)
    found = []
    for x, y in ((images, labels), (images.tolist(), labels.tolist())):
        model = small(dtype="float64")
        history = myad.fit(model, x, y, epochs=1, progress=False, validation_data=(x, y))
        outputs = myad.predict(model, x)
        found.append((history.loss, history.val_accuracy, myad.evaluate(model, x, y), outputs))
    assert found[0][:3] == found[1][:3]
    np.testing.assert_array_equal(found[0][3], found[1][3])
