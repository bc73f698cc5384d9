"""What an engine's environment holds."""

from harness.machine.environment import CACHE_VARIABLES, engine_environment, recorded_environment

BASE = {
    "PATH": "/bin",
    "PYTHONPATH": "/evil",
    "PYTHONSTARTUP": "/evil.py",
    "LD_PRELOAD": "evil.so",
    "DYLD_INSERT_LIBRARIES": "evil.dylib",
    "OMP_NUM_THREADS": "64",
    "MALLOC_ARENA_MAX": "2",
    "MYAD_CACHE": "/elsewhere",
    "HOME": "/home/me",
}


def test_what_changes_python_or_the_loader_is_removed(tmp_path):
    found = engine_environment(tmp_path, threads=1, base=BASE)
    assert not {"PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES"} & set(found)
    assert (found["PATH"], found["HOME"]) == ("/bin", "/home/me")


def test_threads_are_limited_in_every_library(tmp_path):
    found = engine_environment(tmp_path, threads=2, base=BASE)
    threads = {key: value for key, value in found.items() if key.endswith("_THREADS")}
    assert len(threads) >= 9
    assert set(threads.values()) == {"2"}


def test_caches_are_the_engines_own(tmp_path):
    found = engine_environment(tmp_path, threads=1, base=BASE)
    assert {found[name] for name in CACHE_VARIABLES} == {str(tmp_path)}
    assert "MYAD_CACHE" not in found  # myad's lies in XDG_CACHE_HOME then


def test_manifest_says_what_matters_and_what_was_scrubbed():
    assert recorded_environment(BASE) == {
        "DYLD_INSERT_LIBRARIES": "(scrubbed)",
        "LD_PRELOAD": "(scrubbed)",
        "MALLOC_ARENA_MAX": "2",
        "MYAD_CACHE": "(scrubbed)",
        "OMP_NUM_THREADS": "64",
        "PYTHONPATH": "(scrubbed)",
        "PYTHONSTARTUP": "(scrubbed)",
    }


def test_another_program_s_variables_are_not_recorded():
    secrets = ("TF_TOKEN_app_terraform_io", "TF_VAR_password", "JAX_API_KEY", "OMP_SECRET")
    base = dict.fromkeys((*secrets, "PYTHON_KEYRING_PASSWORD"), "secret")
    assert recorded_environment({**base, "TF_XLA_FLAGS": "1"}) == {"TF_XLA_FLAGS": "1"}
