"""The playground's server: whom it serves, that pages are apart, and the command that starts it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from commands import typed
from websockets.exceptions import ConnectionClosed

from plie.playground import upload

SMALL_NET: dict[str, Any] = {
    "hidden": [6],
    "networks": [["relu"]],
    "data": {"name": "xor", "n": 60},
}


def status(headers: dict[str, str], kind: str = "http", path: str = "/") -> Any:
    """What the application answers first, asked over its own interface."""
    from plie.playground.server import app

    said: list[Any] = []

    class Nobody:
        def start(self) -> None: ...
        def close(self) -> None: ...
        def open(self, *_: Any) -> Any:
            from plie.playground.pool import FullError

            raise FullError

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect" if kind == "websocket" else "http.request"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {
        "type": kind,
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "subprotocols": [],
    }
    made = app(["127.0.0.1", "localhost"], Nobody())  # type: ignore[arg-type]
    asyncio.run(made(scope, receive, send))
    return said[0]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "127.0.0.1:8765"}, 200),
        ({"host": "localhost:1"}, 200),
        ({"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:8765"}, 200),
        ({"host": "evil.example:8765"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "127.0.0.1:8765", "origin": "http://evil.example"}, 403),
        ({"host": "127.0.0.1:8765", "origin": "null"}, 403),
        ({"host": "127.0.0.1:8765", "origin": "http://[::1"}, 403),
        ({"host": "[::1"}, 403),
        ({"host": "LocalHost:1"}, 200),
        ({"host": "localhost.:1"}, 403),
        ({"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:9999"}, 403),
        ({}, 403),
    ],
)
def test_only_its_own_page_is_served(headers: dict[str, str], code: int) -> None:
    answer = status(headers)
    assert answer["status"] == code
    assert b"content-security-policy" in dict(answer["headers"]) or code == 403
    opened = status(headers, "websocket", "/live")
    assert opened["type"] == ("websocket.accept" if code == 200 else "websocket.close")


def test_files_outside_of_the_page_are_not_served() -> None:
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/server.py", "/static/"):
        assert status({"host": "localhost"}, path=path)["status"] in (404, 405)


@pytest.fixture(scope="module")
def served() -> Any:
    """A running server with one process, and its port."""
    from plie.playground.serving import prepare

    server, listening, address = prepare(port=0, processes=1)
    server.config.app.state.pool._sessions = 3  # type: ignore[union-attr]
    running = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    running.start()
    while not server.started:
        time.sleep(0.02)
    yield address.replace("http", "ws") + "/live", server.config.app.state.pool  # type: ignore[union-attr]
    server.should_exit = True
    running.join(10)


def connected(address: str) -> Any:
    from websockets.sync.client import connect

    return connect(address, max_size=None, open_timeout=20)


def _header(frame: bytes) -> dict[str, Any]:
    return json.loads(frame[4 : 4 + int.from_bytes(frame[:4], "little")])


def ask(socket: Any, kind: str, **message: Any) -> Any:
    socket.send(json.dumps(message))
    while True:
        answer = socket.recv(timeout=40)
        found = _header(answer) if isinstance(answer, bytes) else json.loads(answer)
        if found.get("kind", "frame") == kind:
            return found


def test_two_pages_are_apart_and_leave_nothing(served: Any) -> None:
    address, pool = served
    with connected(address) as one, connected(address) as two:
        ask(one, "settings", do="settings", settings=SMALL_NET)
        ask(two, "settings", do="settings", settings={**SMALL_NET, "networks": [["tanh"]]})
        one.send('{"do":"play"}')
        time.sleep(0.3)
        assert ask(one, "frame", do="seen")["step"] > 0
        assert ask(two, "frame", do="seen")["step"] == 0
        assert pool.sessions == 2
    end = time.monotonic() + 10
    while pool.sessions and time.monotonic() < end:
        time.sleep(0.05)
    assert pool.sessions == 0


def test_more_pages_than_there_may_be_are_told(served: Any) -> None:
    address, _ = served
    with ExitStack() as pages:
        for _ in range(3):
            pages.enter_context(connected(address))
        late = pages.enter_context(connected(address))
        assert "as many pages" in json.loads(late.recv(timeout=10))["message"]
        with suppress(ConnectionClosed):
            late.close()


def test_a_process_that_dies_is_replaced(served: Any) -> None:
    address, pool = served
    with connected(address) as page:
        ask(page, "settings", do="settings", settings=SMALL_NET)
        os.kill(pool._processes[0]._process.pid, signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            page.recv(timeout=20)
    with connected(address) as page:
        assert ask(page, "settings", do="settings", settings=SMALL_NET)["restarted"]


def test_binary_and_huge_messages_end_nothing(served: Any) -> None:
    address, _ = served
    with connected(address) as page:
        page.send(b"\x00\xff")
        assert json.loads(page.recv(timeout=20))["kind"] == "error"
    with connected(address) as page:
        page.send("x" * (3 * upload.UPLOAD))
        time.sleep(0.2)
    with connected(address) as page:
        ask(page, "settings", do="settings", settings=SMALL_NET)


def test_a_page_that_floods_keeps_nobody_waiting(served: Any) -> None:
    address, _ = served
    with connected(address) as flood, connected(address) as page:
        ask(flood, "settings", do="settings", settings=SMALL_NET)
        for _ in range(500):
            flood.send('{"do":"step","updates":1000}')
        start = time.monotonic()
        ask(page, "settings", do="settings", settings=SMALL_NET)
        ask(page, "probe", do="probe", x=[0, 0])
        assert time.monotonic() - start < 10


def test_a_page_that_does_not_read_is_given_up() -> None:
    from plie.playground.server import app

    said: list[str] = []

    class Pool:
        def open(self, receive: Any, _: Any) -> Any:
            for _ in range(1000):
                asyncio.get_running_loop().call_soon(receive, "an answer")
            return self

        def close(self) -> None:
            said.append("the place is free")

    async def hear() -> dict[str, Any]:
        if "websocket.accept" in said:
            await asyncio.Event().wait()
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message["type"])
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()

    scope = {"type": "websocket", "path": "/live", "headers": [(b"host", b"localhost")]}
    made = app(["localhost"], Pool())  # type: ignore[arg-type]
    asyncio.run(asyncio.wait_for(made(scope, hear, send), 10))  # type: ignore[arg-type]
    assert said == ["websocket.accept", "websocket.send", "the place is free", "websocket.close"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "many"], "--port takes a whole number, not 'many'"),
        (["--port", "70000"], "from 0 to 65535, not 70000"),
        (["--host", "no.such.host.invalid"], "no address of this machine"),
        (["--processes", "0"], "processes"),
    ],
)
def test_the_command_refuses_in_one_sentence(words: list[str], says: str, capsys: Any) -> None:
    code, _, errors = typed(capsys, "play", "--no-open", *words)
    assert code == 2
    assert says in errors
    assert len(errors.strip().splitlines()) == 1


def test_the_command_warns_of_the_network_and_ends_with_ctrl_c() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "plie", "play", "--no-open", "--port", "0", "--host", "0.0.0.0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout is not None
    assert "the playground is at http://127.0.0.1:" in running.stdout.readline()
    time.sleep(1)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does, also to processes that still load
    _, errors = running.communicate(timeout=30)
    assert "everybody who can reach this machine" in errors
    assert "Traceback" not in errors
    assert running.returncode in (0, 130)


def test_a_script_need_not_ask_for_its_own_name(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import plie\nplie.play(open_page=False, port=0)\n")
    running = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    address = running.stdout.readline().split()[4]
    with suppress(ConnectionClosed), connected(address.replace("http", "ws") + "/live") as page:
        ask(page, "settings", do="settings", settings=SMALL_NET)
        running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert errors == ""
