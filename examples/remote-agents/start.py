#!/usr/bin/env python3
"""`python3 start.py`: installs what the two agents need, starts them and the runtime; Ctrl-C stops all."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = HERE / ".venv/bin/python"
# The variables name the agents' addresses to agents/*.yaml, too.
AGENTS = {
    "shopper": ("SHOPPER_URL", "http://127.0.0.1:9101/"),
    "researcher": ("RESEARCHER_URL", "http://127.0.0.1:9102/"),
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    listen = os.environ.get("COAGENT_LISTEN", "127.0.0.1:7070")
    refuse_taken("the runtime", listen, "COAGENT_LISTEN=127.0.0.1:7071")
    for name, (variable, _) in AGENTS.items():
        refuse_taken(f"the agent {name}", urlsplit(address(name)).netloc, f"{variable}=http://127.0.0.1:9111/")
    install()
    started = []
    try:
        for name in AGENTS:
            started.append(start_agent(name))
        started.append(start_runtime(listen))
        for url in [*map(address, AGENTS), f"http://{listen}/readyz"]:
            wait_for(url, started)
        print(f"Ready: `{binary()} run shopper 'add milk'`, `… run researcher 'research tea'`, or with a page:")
        print(
            "  cd ../copilotkit-react && npm ci && npm start   # then http://127.0.0.1:5173/?agent=shopper", flush=True
        )
        while all(process.poll() is None for process in started):
            time.sleep(0.2)
        sys.exit("one of the processes ended, so all do")
    except KeyboardInterrupt:
        pass
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def refuse_taken(who: str, place: str, other: str) -> None:
    """Ends here, before anything is installed, if somebody listens there already."""
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return
    sys.exit(
        f"{place} is taken, and {who} is to listen there: stop what runs there (another runtime, perhaps), or choose "
        f"another address: {other} python3 start.py"
    )


def install() -> None:
    """Makes the environment anew when what is needed has changed."""
    needed = hashlib.sha256((HERE / "requirements.txt").read_bytes()).hexdigest()
    mark = HERE / ".venv/needed"
    if mark.exists() and mark.read_text() == needed:
        return
    print("installing pydantic-ai and LangGraph into .venv", flush=True)
    venv.create(HERE / ".venv", clear=True, with_pip=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
    mark.write_text(needed)


def address(agent: str) -> str:
    return os.environ.get(*AGENTS[agent])


def start_agent(name: str) -> subprocess.Popen[bytes]:
    url = urlsplit(address(name))
    command = [PYTHON, "-m", "uvicorn", f"{name}:app", "--host", url.hostname, "--port", str(url.port)]
    return subprocess.Popen([*command, "--log-level", "warning"], cwd=HERE / "servers")


def start_runtime(listen: str) -> subprocess.Popen[bytes]:
    env = {"COAGENT_STORE": f"sqlite:{HERE / 'data/coagent.db'}", **os.environ}
    return subprocess.Popen([binary(), "serve", "--listen", listen, "--agents", HERE / "agents"], env=env)


def binary() -> str:
    """The runtime: `COAGENT_BIN`, else what cargo built, else it is built now."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    known = [os.environ.get("COAGENT_BIN"), target / "release/coagent", target / "debug/coagent"]
    found = next((path for path in known if path and shutil.which(path)), None)
    if found is None:
        subprocess.run(["cargo", "build", "--release"], cwd=ROOT, check=True)
    return str(found or target / "release/coagent")


def wait_for(url: str, processes: list[subprocess.Popen[bytes]]) -> None:
    """Waits until something answers there, whatever it says."""
    while True:
        try:
            return urllib.request.urlopen(url).close()
        except urllib.error.HTTPError as error:
            return error.close()
        except OSError:
            if any(process.poll() is not None for process in processes):
                sys.exit(f"{url} cannot be reached: a process ended")
            time.sleep(0.1)


if __name__ == "__main__":
    main()
