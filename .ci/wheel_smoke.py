"""Install a wheel into an empty environment without frameworks and use it from an empty folder.

usage: wheel_smoke.py DIST       DIST is a folder that holds one wheel of the project

The installed size is told, with the packages that take most of it, and may not exceed LIMIT_MIB.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

LIMIT_MIB = 500  # as `du -m` counts
MIB = 1 << 20
FRAMEWORKS = ("tensorflow", "keras", "torch", "jax")
ENGINES = "myad,myad-eager"
RUN = ("run", "--preset", "smoke", "--engines", ENGINES, "--repeats", "2", "--warmup", "0")
PINS = Path(__file__).with_name("pins.py")
CHECK = Path(__file__).with_name("check_report.py")


def main(dist: Path) -> None:
    """Exit with a sentence at the first thing that does not work."""
    wheels = sorted(dist.glob("myad_bench-*.whl"))
    if len(wheels) != 1:
        sys.exit(f"{dist}: {len(wheels)} wheels, expected 1; `make wheel` builds it.")
    # the engines may hold a file a moment longer than they live, on Windows
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder).resolve()
        programs = install(wheels[0], place)
        say_size(programs)
        use(programs, place)


def install(wheel: Path, place: Path) -> Path:
    """The folder of programs of a new environment that holds the wheel and what it needs."""
    venv.create(place / "env", with_pip=True)
    programs = place / "env" / ("Scripts" if os.name == "nt" else "bin")
    pins = place / "pins.txt"
    text = subprocess.run([sys.executable, PINS, "locked"], stdout=subprocess.PIPE, check=True)
    pins.write_bytes(text.stdout)
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", pins, wheel.resolve()], check=True)
    return programs


def say_size(programs: Path) -> None:
    """Print the size of what was installed, without pip, the largest packages first."""
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(output([programs / "python", "-c", ask]).strip())
    sizes: dict[str, int] = {}
    for path in site.rglob("*"):
        if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts:
            top = path.relative_to(site).parts[0].removesuffix(".libs")
            sizes[top] = sizes.get(top, 0) + path.stat().st_size
    del sizes["pip"]
    total = sum(sizes.values()) / MIB
    largest = sorted(sizes, key=lambda name: -sizes[name])[:8]
    words = ", ".join(f"{name} {sizes[name] / MIB:.0f}" for name in largest)
    print(f"installed: {total:.0f} MiB without frameworks, byte code and pip; of it {words}")
    if total > LIMIT_MIB:
        sys.exit(
            f"{total:.0f} MiB, allowed are {LIMIT_MIB}: does a new package belong in an extra?"
        )


def use(programs: Path, place: Path) -> None:
    """Version, engines, a run and its report, in an empty folder with a cache of its own."""
    empty = place / "empty"
    empty.mkdir()
    environment = {**os.environ, "MYAD_BENCH_CACHE": str(place / "cache")}
    environment.pop("PYTHONPATH", None)  # the sources beside this file must not answer

    def bench(*arguments: str) -> str:
        print(f"bench {' '.join(arguments)}", flush=True)
        return output([programs / "bench", *arguments], cwd=empty, env=environment)

    present = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    found = output([programs / "python", "-c", present, *FRAMEWORKS], cwd=empty, env=environment)
    if found.strip() != "[]":
        sys.exit(f"the wheel brings frameworks along: {found.strip()}")
    print(bench("--version") + bench("engines") + bench(*RUN))
    print(bench("report"))
    report = place / "report.json"
    report.write_text(bench("report", "--format", "json"), encoding="utf-8")
    check = [sys.executable, CHECK, report, *ENGINES.split(",")]
    subprocess.run(check, check=True)
    pages = sorted(path.name for path in empty.glob("results/*/report/*"))
    if "index.html" not in pages:
        sys.exit(f"bench report wrote no page: {pages}")


def output(command: list, **options) -> str:
    """Standard output of a program that must end well."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=False, **options
    )
    if done.returncode != 0:
        words = " ".join(str(part) for part in command)
        sys.exit(f"{words}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: wheel_smoke.py DIST")
    main(Path(sys.argv[1]))
