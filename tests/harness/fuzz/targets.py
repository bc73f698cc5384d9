"""What is fuzzed: each target gets changed input and may end well or in its typed error only."""

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from harness.analysis.analysis import analyze_run
from harness.errors import BenchError
from harness.profile import model as profile_model
from harness.profile.trace import trace
from harness.records import store
from harness.records.store import MANIFEST, RECORDS, read_run
from harness.report.as_json import report_document
from harness.report.page import context
from harness.report.plots.process import read_timeline
from harness.report.profile_tables import profile_context
from harness.report.render import render
from harness.run.sweep import DEFINITION, points, read_axes
from harness.trial.answer import Fault, check_report, check_weights, read_predictions, read_report
from harness.verify.deviation import largest
from harness.workload import format as workloads
from harness.workload import shapes, start
from tests.fakes import profiles, runs
from tests.harness.fuzz.changes import as_json, changed, changed_bytes

WORKLOAD = shapes.resolve(workloads.load("smoke").document(), (8, 8, 1), 10)
CLASSES, IMAGES = 10, 20
NONCE = "0" * 32


def fuzz_report(data: st.DataObject) -> None:
    """The report of an engine, against its job."""
    lines = [
        {"event": "phase", "name": "import", "seconds": 0.001},
        {"event": "epoch", "epoch": 1, "seconds": 0.001, "loss": 0.5, "examples": IMAGES},
        {
            "event": "done", "nonce": NONCE, "dtype": "float32", "batch_size": 1, "threads": 1,
            "parameters": shapes.parameter_count(WORKLOAD["model"]),
            "layers": shapes.layer_types(WORKLOAD["model"]), "versions": {"numpy": "2"},
        },
    ]  # fmt: skip
    content = b"\n".join(map(as_json, data.draw(changed(lines))))
    with _file("report.jsonl", data.draw(_maybe_bytes(content))) as path:
        try:
            check_report(read_report(path), _job(path), 1.0, IMAGES)
        except Fault as fault:
            _one_line(fault.reason)


def fuzz_weights(data: st.DataObject) -> None:
    """An archive of weights."""
    content = io.BytesIO()
    np.savez(content, **start.initial_weights(WORKLOAD["model"], 0, "float32"))
    with _file("weights.npz", data.draw(changed_bytes(content.getvalue()))) as path:
        try:
            check_weights(_job(path))
        except Fault as fault:
            _one_line(fault.reason)


def fuzz_predictions(data: st.DataObject) -> None:
    """An array of predictions, its header above all."""
    content = io.BytesIO()
    np.save(content, np.zeros(IMAGES, np.uint8))
    with _file("predictions.npy", data.draw(changed_bytes(content.getvalue()))) as path:
        try:
            assert len(read_predictions(_job(path), IMAGES)) == IMAGES
        except Fault as fault:
            _one_line(fault.reason)


def fuzz_verification(data: st.DataObject) -> None:
    """Weights that an engine answers a verification with: finite, and otherwise anything."""
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    ours, theirs = (
        {"0.kernel": np.array(data.draw(st.lists(numbers, min_size=4, max_size=4))).reshape(2, 2)}
        for _ in range(2)
    )
    found = largest(ours, theirs, 1e-4)
    json.dumps([found.size, found.where, found.hint], allow_nan=False)


def fuzz_manifest(data: st.DataObject) -> None:
    """The manifest of a run, and all that is written of the run by it."""
    with _run() as folder:
        document = json.loads((folder / MANIFEST).read_text())
        content = as_json(data.draw(changed(document)))
        (folder / MANIFEST).write_bytes(data.draw(_maybe_bytes(content)))
        _read_all(folder)


def fuzz_records(data: st.DataObject) -> None:
    """The records of a run, and all that is written of the run by them."""
    with _run() as folder:
        lines = (folder / RECORDS).read_text().splitlines()
        document = [json.loads(line) for line in lines]
        content = b"".join(as_json(line) + b"\n" for line in data.draw(changed(document)))
        (folder / RECORDS).write_bytes(data.draw(_maybe_bytes(content)))
        _read_all(folder)


def fuzz_timeline(data: st.DataObject) -> None:
    """The sampled memory of a trial."""
    with _run() as folder:
        run = read_run(folder)
        path = run.trial_folder(run.trials[0], "train")
        path.mkdir(parents=True)
        text = b"t_s,rss_bytes,pss_bytes,processes,threads,phase_ended\n0.1,1000,,1,1,\n"
        (path / "memory.csv").write_bytes(data.draw(changed_bytes(text * 2)))
        found = read_timeline(analyze_run(run), run.trials[0])
        assert found is None or np.isfinite(found.to_numpy()).all()


def fuzz_workload(data: st.DataObject) -> None:
    """A workload's TOML, and the sizes that follow from it."""
    text = (workloads.PRESETS / "lenet5.toml").read_bytes()
    with _file("mine.toml", data.draw(changed_bytes(text))) as path:
        _resolve(lambda: workloads.load(path))


def fuzz_workload_document(data: st.DataObject) -> None:
    """The same as a document, which more often is a workload's."""
    document = data.draw(changed(workloads.load("lenet5").document()))
    _resolve(lambda: workloads.parse(document))


def fuzz_sweep(data: st.DataObject) -> None:
    """The definition of a sweep."""
    definition = {"axes": {"training.batch_size": ["1", "8"], "training.epochs": ["1"]}}
    content = as_json(data.draw(changed(definition)))
    with _file(DEFINITION, data.draw(_maybe_bytes(content))) as path:
        try:
            for point in points(read_axes(path.parent)):
                assert not {"/", "\0"} & set(point.name)
        except BenchError as error:
            _one_line(str(error))


def fuzz_profile(data: st.DataObject) -> None:
    """The profile beside a run."""
    document = data.draw(changed(profiles.profile().document()))
    with _file(profile_model.FILE, data.draw(_maybe_bytes(as_json(document)))) as path:
        try:
            found = profile_model.read(path.parent)
        except BenchError as error:
            _one_line(str(error))
            return
        assert found is not None
        json.dumps(trace(found), allow_nan=False)
        shown = {"name": found.name, "profile": {**profile_context(found), "plots": []}}
        for template in ("profile.md.j2", "profile.html.j2"):
            text = render(template, shown)
            assert not {"\x1b", "\0", "\u202e"} & set(text)
            assert "<script>alert" not in text


TARGETS = {name: value for name, value in list(globals().items()) if name.startswith("fuzz_")}


def _read_all(folder: Path) -> None:
    """Read the run in a folder and make of it what needs no drawing."""
    try:
        run = store.read_run(folder)
    except BenchError as error:
        _one_line(str(error))
        return
    for problem in run.problems:
        _one_line(problem)
    analysis = analyze_run(run)
    json.dumps(report_document(analysis), allow_nan=False)
    shown: dict[str, Any] = {**context(analysis), "plots": [], "spread_plots": []}
    for template in ("report.md.j2", "report.html.j2"):
        text = render(template, shown)
        assert not {"\x1b", "\0", "\u202e"} & set(text)
        assert "<script>alert" not in text


def _resolve(read: Any) -> None:
    try:
        shapes.resolve(read().document(), (28, 28, 1), CLASSES)
    except BenchError as error:
        _one_line(str(error))


def _one_line(text: str) -> None:
    assert text.strip()
    assert len(text) < 2_000, text
    assert "\n" not in text, text


def _job(path: Path) -> dict[str, Any]:
    return {
        "phase": "train", "nonce": NONCE, "threads": 1, "workload": WORKLOAD,
        "weights": str(path), "predictions": str(path), "report": str(path),
    }  # fmt: skip


def _maybe_bytes(content: bytes) -> st.SearchStrategy[bytes]:
    """Mostly the content itself, sometimes damaged."""
    return st.one_of(st.just(content), st.just(content), changed_bytes(content))


@contextlib.contextmanager
def _file(name: str, content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


@contextlib.contextmanager
def _run() -> Iterator[Path]:
    """A folder with a small run of two engines and three blocks."""
    folder = Path(tempfile.mkdtemp()) / "made"
    plan = runs.manifest(
        ["myad", "tensorflow"], 3, preset="smoke", workload=workloads.load("smoke").document()
    )
    trials = [
        runs.trial(planned, 0.4 if planned.engine == "myad" else 2.0 + 0.1 * planned.block)
        for planned in plan.schedule
    ]
    try:
        yield runs.write_run(folder, plan, trials)
    finally:
        shutil.rmtree(folder.parent)
