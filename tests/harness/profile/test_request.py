"""`bench profile` with fake engines and with one that sleeps in a layer."""

import json
import sys

import pytest

from harness.cli import main
from harness.errors import Interrupted
from harness.profile import request as profiling
from harness.profile.model import Peak, read
from harness.profile.request import PLAIN, WARM_UP, Request, carry_out
from harness.run.options import RunOptions
from harness.run.plan import new_plan
from harness.trial.engines import find, parse_command
from tests.harness.conftest import fake_command

MEASURED_PEAK = profiling._peak
SLEEPY = '''
"""myad, eager, with a pooling that sleeps a millisecond."""
import time
from engines.engine_myad_eager import Eager

class Sleepy(Eager):
    def imports(self):
        super().imports()
        from myad.core import PRIMITIVES
        quick = PRIMITIVES["max_pool2d"].value
        def slow(x, **static):
            time.sleep(0.001)
            return quick(x, **static)
        PRIMITIVES["max_pool2d"].value = slow

if __name__ == "__main__":
    Sleepy.main()
'''
POOLED = """
name = "pooled"
[model]
layers = [
  { type = "conv2d", filters = 2, kernel_size = 3, padding = "same", activation = "relu" },
  { type = "max_pooling2d", pool_size = 2 },
  { type = "flatten" },
  { type = "dense", units = 10, activation = "softmax" },
]
[data]
dataset = "tiny"
[training]
optimizer = "sgd"
learning_rate = 0.01
epochs = 1
batch_size = 4
"""


@pytest.fixture(autouse=True)
def known_peak(monkeypatch):
    """What the machine can do is measured in one test alone."""
    monkeypatch.setattr("harness.report.plots.profile.PLOTS", [])  # seconds, and drawn elsewhere
    monkeypatch.setattr(
        profiling, "_peak", lambda *_: Peak(flop_per_s=1e11, bytes_per_s=1e10, threads=1)
    )


def bench(home, *commands, **more):
    arguments = ["profile", "--preset", str(home / "tiny.toml"), "--results", str(home / "r")]
    for name, behaviour in (command.split("=", 1) for command in commands):
        arguments += ["--command", f"{name}={fake_command(behaviour)}"]
    for option, value in more.items():
        arguments += [f"--{option}", str(value)]
    return main(arguments)


def test_an_engine_that_fails_is_named_and_the_others_go_on(home, capsys):
    code = bench(home, "good=profiled:900", "bad=fail:no profiler here", "mute=ok", name="p")
    assert code == 0
    found = read(home / "r" / "p")
    good, bad, mute = found.engines
    assert [engine.engine for engine in found.measured] == ["good"]
    assert "no profiler here" in bad.failure
    assert "reported no operations" in mute.failure
    assert good.plain_s == [0.0005] * PLAIN
    assert (good.profiled_s, good.inflation) == (0.001, pytest.approx(1.0))
    told = capsys.readouterr().out
    assert "bad: no profile: exit_nonzero: exit code 1" in told
    assert "mute: no profile: it reported no operations" in told
    assert "matrix product, forward" in told


def test_what_is_not_reported_is_unattributed_and_shown(home, capsys):
    bench(home, "a=profiled:700", name="p")
    (engine,) = read(home / "r" / "p").engines
    assert engine.closes
    assert engine.seconds("unattributed") == pytest.approx(0.0003)
    told = capsys.readouterr().out
    assert "a: 30 % of the step is unattributed: time that no operation reported." in told


def test_a_sum_above_the_step_is_not_believed(home, capsys):
    bench(home, "a=profiled:1100", name="p")
    assert not read(home / "r" / "p").engines[0].closes
    assert "a: its operations add up to 10.0 % more than the step" in capsys.readouterr().out


def test_a_class_that_there_is_not_is_a_failure(home, capsys):
    assert bench(home, "a=misnamed:magic", name="p") == 3
    assert "not one of convolution, matrix product" in read(home / "r" / "p").engines[0].failure
    assert "bench: no engine could be profiled." in capsys.readouterr().err


def test_the_job_asks_for_the_last_epoch(home, monkeypatch):
    seen = []
    run = profiling.run_job
    monkeypatch.setattr(
        profiling, "run_job", lambda asked, *a, **k: seen.append(asked) or run(asked, *a, **k)
    )
    bench(home, "a=profiled:900", name="p", steps=3)
    (asked,) = seen
    assert asked["profile"] == {"steps": 3}
    assert asked["workload"]["training"]["epochs"] == WARM_UP + PLAIN + 1
    assert read(home / "r" / "p").steps == 3


def test_there_are_no_more_steps_than_batches(home):
    bench(home, "a=profiled:900", name="p", steps=1000)
    assert read(home / "r" / "p").steps == 10  # 40 images in batches of 4


def test_json_is_the_document_and_the_trace_has_a_track_per_engine(home, capsys):
    bench(home, "a=profiled:900", "b=profiled:900", name="p", format="json")
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((home / "r" / "p" / "profile.json").read_text())
    operation = document["engines"][0]["operations"][0]
    assert (operation["class"], operation["pass"]) == ("matrix product", "forward")
    events = json.loads((home / "r" / "p" / "trace.json").read_text())["traceEvents"]
    named = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert named == {1: "a", 2: "b"}
    slices = [event for event in events if event["ph"] == "X"]
    assert [(e["tid"], e["ts"], e["dur"]) for e in slices[:2]] == [(1, 0, 100), (1, 200, 100)]


def test_a_profile_is_not_written_over_and_wrong_options_are_one_line(home, capsys):
    assert bench(home, "a=profiled:900", name="p") == 0
    assert bench(home, "a=profiled:900", name="p") == 2
    assert "exists; choose another --name" in capsys.readouterr().err
    assert main(["profile", "--engines", "nosuch"]) == 2
    assert "no engine 'nosuch'; allowed: " in capsys.readouterr().err
    assert main(["profile", "--run", "x", "--threads", "2"]) == 2
    assert "--run takes the workload" in capsys.readouterr().err


def test_a_run_s_profile_lies_in_its_folder_and_its_report_shows_it(home, capsys):
    results = ["--results", str(home / "r")]
    run = ["run", "--preset", str(home / "tiny.toml"), "--repeats", "1", "--warmup", "0"]
    commands = ["--command", f"a={fake_command('profiled:900')}", "--no-verify", "--name", "made"]
    assert main([*run, *commands, *results]) in (0, 4)
    assert main(["profile", "--run", "made", *results]) == 0
    found = read(home / "r" / "made" / "profile")
    assert [engine.engine for engine in found.measured] == ["a"]
    assert main(["report", "made", *results]) == 0
    page = (home / "r" / "made" / "report" / "index.html").read_text()
    assert 'id="profile"' in page
    assert "matrix product, forward" in page
    assert main(["profile", "--run", "made", *results]) == 0  # anew, in the same place
    assert main(["profile", "--run", "nosuch", *results]) == 2
    assert "no run 'nosuch'" in capsys.readouterr().err


def test_a_narrow_terminal_has_a_line_per_engine(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    bench(home, "first=profiled:900", "second=profiled:900", "third=profiled:900", name="p")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 60
    place = lines.index("matrix product, forward")
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == [
        "first",
        "second",
        "third",
    ]


def request_for(home, engine, settings="", **more):
    (home / "pooled.toml").write_text(POOLED + settings)
    plan = new_plan(RunOptions(preset=str(home / "pooled.toml"), engines="myad-eager"))
    return Request("p", "pooled", plan.workload, plan.dataset, [engine], **more)


def test_a_planted_slow_layer_is_found_in_its_class(home):
    path = home / "engine_sleepy.py"
    path.write_text(SLEEPY)
    engine = parse_command(f"sleepy={sys.executable} {path}")
    (found,) = carry_out(request_for(home, engine, steps=5)).engines
    assert not found.failure
    assert found.closes
    slowest = max(found.operations, key=lambda op: op.seconds)
    assert (slowest.name, slowest.kind, slowest.part) == ("max_pool2d", "pooling", "forward")
    assert slowest.layer == 1
    assert slowest.calls == 5
    assert slowest.seconds >= 5 * 0.001
    assert found.seconds("unattributed") < 0.1 * found.profiled_s


@pytest.mark.parametrize(("name", "module"), [("myad", "llvmlite"), ("pytorch", "torch")])
def test_the_project_s_engines_close_and_attribute(home, name, module):
    pytest.importorskip(module)
    engine = find()[name]
    (found,) = carry_out(request_for(home, engine, "shuffle = true", steps=10)).engines
    assert not found.failure
    assert found.closes
    assert found.seconds("unattributed") < 0.1 * found.profiled_s
    passes = {(op.kind, op.part, op.layer) for op in found.operations if op.seconds}
    assert {
        ("convolution", "forward", 0),
        ("convolution", "kernel gradient", 0),
        ("pooling", "forward", 1),
        ("matrix product", "forward", 3),
        ("matrix product", "input gradient", 3),
        ("matrix product", "kernel gradient", 3),
    } <= passes
    assert ("convolution", "input gradient", 0) not in passes


def test_it_can_be_interrupted(home):
    asked = request_for(home, parse_command(f"a={fake_command('hang')}"))
    asked.control.request_stop()
    with pytest.raises(Interrupted):
        carry_out(asked)


def test_the_peak_is_measured_by_a_process_of_its_own(home, tmp_path):
    asked = request_for(home, parse_command(f"a={fake_command('ok')}"))
    found = MEASURED_PEAK(tmp_path, asked)
    assert 1e8 < found.flop_per_s < 1e14
    assert 1e7 < found.bytes_per_s < 1e13
