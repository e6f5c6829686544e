"""The package as its users get it: the wheel, the README, the pytest plugin."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from coagent_runtime.testing import Runtime

ROOT = Path(__file__).parent.parent
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def _run(runtime: Runtime, python: Path | str, *args: str, cwd: Path) -> str:
    environment = {**os.environ, "COAGENT_URL": runtime.url}
    done = subprocess.run([python, *args], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def runtime_agents() -> dict[str, str]:
    return {"planner.yaml": "agent: { kind: native, name: planner }\n"}


def test_every_snippet_of_the_readme_runs(runtime: Runtime, tmp_path: Path) -> None:
    for number, snippet in enumerate(SNIPPETS):
        if "def test_" not in snippet:
            path = tmp_path / f"snippet_{number}.py"
            path.write_text(snippet)
            _run(runtime, sys.executable, str(path), cwd=tmp_path)


def test_every_snippet_of_the_readme_is_typed(tmp_path: Path) -> None:
    paths = []
    for number, snippet in enumerate(SNIPPETS):
        paths.append(tmp_path / f"snippet_{number}.py")
        paths[-1].write_text(snippet)
    command = [sys.executable, "-m", "mypy", *map(str, paths)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_plugin_gives_tests_a_runtime(pytester: pytest.Pytester) -> None:
    (test,) = [snippet for snippet in SNIPPETS if "def test_" in snippet]
    pytester.makepyfile(test)
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_plugin_says_what_it_misses(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COAGENT_BIN", raising=False)
    monkeypatch.setenv("PATH", "")
    pytester.makepyfile("def test_it(runtime): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*name the runtime's binary in COAGENT_BIN*"])


def test_the_wheel_holds_what_it_should_and_works_in_an_empty_environment(runtime: Runtime, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("coagent_runtime-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    assert modules <= names
    assert "coagent_runtime/py.typed" in names
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names), "the pytest plugin"
    strange = {name for name in names - modules if ".dist-info/" not in name} - {"coagent_runtime/py.typed"}
    assert strange == set()

    home = tmp_path / "empty"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    _run(runtime, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel), cwd=tmp_path)
    (tmp_path / "first.py").write_text(SNIPPETS[0])
    told = _run(runtime, python, "first.py", cwd=tmp_path)
    assert ast.literal_eval(told) == {"messages": ["Hello, world!"], "count": 1}
    # The plugin's module needs pytest, the package does not.
    assert "pytest" not in _run(runtime, python, "-m", "pip", "list", cwd=tmp_path)
