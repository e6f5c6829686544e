"""A pydantic-ai and a LangGraph agent, hosted by the binary that COAGENT_BIN names, as the example does: `rig.py`."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/remote-agents"
sys.path.insert(0, str(EXAMPLE))
import start  # noqa: E402

Event = dict
PAGE_TOOL = {"name": "set_theme_color", "description": "", "parameters": {"type": "object"}}
ASKED = {"shopper": "add milk", "researcher": "research tea"}


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Place:
    """The example on free ports, with a store of its own."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="coagent-remote-")
        self.listen = free_address()
        os.environ["COAGENT_LISTEN"] = self.listen
        os.environ["COAGENT_STORE"] = f"sqlite:{self.folder}/coagent.db"
        for variable, _ in start.AGENTS.values():
            os.environ[variable] = f"http://{free_address()}/"
        self.agents = {}
        self.runtime = None

    def open(self) -> None:
        for name in start.AGENTS:
            self.start_agent(name)
        self.start_runtime()

    def start_agent(self, name: str) -> None:
        self.agents[name] = start.start_agent(name)
        start.wait_for(start.address(name), [self.agents[name]])

    def start_runtime(self) -> None:
        self.runtime = start.start_runtime(self.listen)
        start.wait_for(f"http://{self.listen}/readyz", [self.runtime])

    @contextmanager
    def without(self, name: str) -> Iterator[None]:
        """While an agent's server is dead."""
        self.agents[name].kill()
        self.agents[name].wait()
        try:
            yield
        finally:
            self.start_agent(name)

    def kill_runtime(self) -> None:
        self.runtime.kill()
        self.runtime.wait()

    def close(self) -> None:
        for process in [self.runtime, *self.agents.values()]:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder)

    def lines(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Iterator[bytes]:
        """What is answered, line by line, as it comes. A refusal is the caller's mistake."""
        connection = http.client.HTTPConnection(self.listen, timeout=20)
        try:
            headers = {"content-type": kind, "connection": "close"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                raise AssertionError(f"{method} {path}: {response.status} {response.read()!r}")
            yield from response
        finally:
            connection.close()

    def read(self, path: str) -> Event:
        return json.loads(b"".join(self.lines("GET", path)))

    def edit(self, agent: str, thread: str, path: str, value: object) -> None:
        """What somebody else writes into the state."""
        ops = [{"op": "add", "path": path, "value": value}]
        list(self.lines("PATCH", f"/v1/state/agent/{agent}:{thread}", ops, "application/json-patch+json"))

    def post(self, agent: str, thread: str, route: str, messages: list[Event]) -> Iterator[Event]:
        """The events of a run, as they come."""
        body = {"threadId": thread, "runId": str(uuid4()), "messages": messages}
        body |= {"tools": [PAGE_TOOL], "context": [], "forwardedProps": {}}
        for line in self.lines("POST", f"/api/copilotkit/agent/{agent}/{route}", body):
            if line.startswith(b"data: "):
                yield json.loads(line[len(b"data: ") :])

    def say(self, agent: str, thread: str, text: str) -> Iterator[Event]:
        return self.post(agent, thread, "run", [user(text)])

    def replay(self, agent: str, thread: str) -> list[Event]:
        return list(self.post(agent, thread, "connect", []))

    def document(self, agent: str, thread: str) -> Event:
        return self.read(f"/v1/state/agent/{agent}:{thread}")


def user(text: str) -> Event:
    return {"id": str(uuid4()), "role": "user", "content": text}


def types(events: list[Event]) -> list[str]:
    """What happened, without how many pieces it came in."""
    kinds = [event["type"] for event in events]
    return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]


def text(events: list[Event]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")


def of(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def listen(events: Iterator[Event], words: int) -> list[Event]:
    """What came until so many words were said."""
    heard = []
    while len(text(heard).split()) < words:
        heard.append(next(events))
    return heard


def told(events: list[Event]) -> list[tuple]:
    """The conversation of events, the same live and replayed."""
    words = {}
    for event in events:
        if "delta" in event and event["type"] != "STATE_DELTA":
            at = event.get("messageId", event.get("toolCallId"))
            words[at] = words.get(at, "") + event["delta"]
    results = [(event["toolCallId"], event["content"]) for event in of(events, "TOOL_CALL_RESULT")]
    return [*words.items(), *results, events[-1]["type"], events[-1].get("code")]


class RemoteAgents(unittest.TestCase):
    place: Place

    @classmethod
    def setUpClass(cls) -> None:
        cls.place = Place()
        cls.addClassCleanup(cls.place.close)
        cls.place.open()

    def setUp(self) -> None:
        self.thread = str(uuid4())

    def test_a_pydantic_ai_agent_streams_words_calls_its_tool_and_changes_the_shared_state_by_deltas(self) -> None:
        events = list(self.place.say("shopper", self.thread, "add milk"))
        message = ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"]
        call = ["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT", "STATE_DELTA"]
        self.assertEqual(types(events), ["RUN_STARTED", "STATE_SNAPSHOT", *message, *call, *message, "RUN_FINISHED"])
        self.assertEqual(text(events), "I write it down. milk is on the list, 1 in all. ")
        self.assertGreater(len(of(events, "TEXT_MESSAGE_CONTENT")), 4, "words come as they are said")
        self.assertEqual(of(events, "TOOL_CALL_START")[0]["toolCallName"], "add_item")
        self.assertEqual(json.loads(of(events, "TOOL_CALL_ARGS")[0]["delta"]), {"name": "milk"})
        document = self.place.document("shopper", self.thread)
        self.assertEqual(document["data"], {"items": [{"name": "milk", "done": False}]})

    def test_a_langgraph_agent_shows_its_nodes_as_steps_and_keeps_its_private_channels_to_itself(self) -> None:
        events = list(self.place.say("researcher", self.thread, "research tea"))
        self.assertEqual([event["stepName"] for event in of(events, "STEP_STARTED")], ["chat", "tools"] * 2 + ["chat"])
        self.assertEqual([event["toolCallName"] for event in of(events, "TOOL_CALL_START")], ["plan", "work"])
        self.assertEqual(json.loads(of(events, "TOOL_CALL_ARGS")[0]["delta"]), {"topic": "tea"})
        results = [event["content"] for event in of(events, "TOOL_CALL_RESULT")]
        self.assertEqual(results, ["3 steps", "Done: Read about tea"])
        self.assertEqual(text(events), "I plan what to find out about tea. Done: Read about tea. ")
        self.assertEqual(of(events, "RAW") + of(events, "MESSAGES_SNAPSHOT"), [])
        self.assertEqual(events[-1]["type"], "RUN_FINISHED")
        state = self.place.document("researcher", self.thread)["data"]
        self.assertEqual(sorted(state), ["steps", "topic"])
        self.assertEqual([step["status"] for step in state["steps"]], ["done", "pending", "pending"])

    def test_what_a_person_writes_between_and_during_runs_is_seen_by_the_agent_and_stays(self) -> None:
        list(self.place.say("shopper", self.thread, "add milk"))
        self.place.edit("shopper", self.thread, "/items/-", {"name": "tea", "done": False})
        events = self.place.say("shopper", self.thread, "bought milk")
        self.assertEqual(next(events)["type"], "RUN_STARTED")
        self.place.edit("shopper", self.thread, "/note", "be quick")
        self.assertIn("1 left to buy", text(list(events)))
        items = [{"name": "milk", "done": True}, {"name": "tea", "done": False}]
        self.assertEqual(self.place.document("shopper", self.thread)["data"], {"items": items, "note": "be quick"})

    def test_a_call_for_the_page_ends_the_run_and_its_answer_goes_on(self) -> None:
        for agent in ASKED:
            with self.subTest(agent):
                thread, asked = str(uuid4()), user("theme teal")
                events = list(self.place.post(agent, thread, "run", [asked]))
                self.assertEqual((events[-1]["type"], of(events, "TOOL_CALL_RESULT")), ("RUN_FINISHED", []))
                call = of(events, "TOOL_CALL_START")[0]
                arguments = "".join(event["delta"] for event in of(events, "TOOL_CALL_ARGS"))
                self.assertEqual((call["toolCallName"], json.loads(arguments)), ("set_theme_color", {"color": "teal"}))
                function = {"name": "set_theme_color", "arguments": arguments}
                calls = [{"id": call["toolCallId"], "type": "function", "function": function}]
                said = {"id": call.get("parentMessageId", call["toolCallId"]), "role": "assistant", "toolCalls": calls}
                result = {"id": str(uuid4()), "role": "tool", "toolCallId": call["toolCallId"], "content": "teal it is"}
                answer = list(self.place.post(agent, thread, "run", [asked, said, result]))
                self.assertEqual((text(answer), answer[-1]["type"]), ("teal it is. ", "RUN_FINISHED"))

    def test_conversations_and_states_survive_a_kill_of_the_runtime_also_in_the_middle_of_a_run(self) -> None:
        before = {}
        for agent, asked in ASKED.items():
            thread = self.thread + agent
            live = list(self.place.say(agent, thread, asked))
            before[agent] = told(live), self.place.document(agent, thread)["data"]
            self.assertEqual(told(self.place.replay(agent, thread)), before[agent][0])
            story = self.place.say(agent, f"{thread}-story", "story")
            self.addCleanup(story.close)
            listen(story, 20)
        self.place.kill_runtime()
        self.place.start_runtime()
        for agent, (words, state) in before.items():
            thread = self.thread + agent
            replay = self.place.replay(agent, thread)
            self.assertEqual(told(replay), words)
            self.assertEqual(of(replay, "STATE_SNAPSHOT")[-1]["snapshot"], state)
            self.assertEqual(self.place.document(agent, thread)["data"], state)
            cut = self.place.replay(agent, f"{thread}-story")
            self.assertEqual((cut[-1]["type"], cut[-1]["code"]), ("RUN_ERROR", "interrupted"))
            self.assertTrue(text(cut).startswith("Once upon a time"), "what was said when the process died stays")

    def test_an_agent_that_dies_in_its_run_ends_it_with_an_error_that_says_so_and_harms_nobody_else(self) -> None:
        for agent, other in zip(ASKED, reversed(ASKED), strict=True):
            with self.subTest(agent):
                thread = str(uuid4())
                story = self.place.say(agent, thread, "story")
                heard = listen(story, 3)
                with self.place.without(agent):
                    heard += story
                    refused = list(self.place.say(agent, thread, "again"))[-1]
                    unharmed = list(self.place.say(other, thread, ASKED[other]))[-1]
                self.assertEqual((heard[-1]["type"], heard[-1]["code"]), ("RUN_ERROR", "upstream_lost"))
                self.assertIn("broke before the run was finished", heard[-1]["message"])
                self.assertIn("TEXT_MESSAGE_END", types(heard))
                self.assertEqual((refused["type"], refused["code"]), ("RUN_ERROR", "upstream_error"))
                self.assertEqual(unharmed["type"], "RUN_FINISHED")
                self.assertEqual(list(self.place.say(agent, thread, ASKED[agent]))[-1]["type"], "RUN_FINISHED")
                replay = self.place.replay(agent, thread)
                self.assertTrue(text(replay).startswith(text(heard)), "what it said stays")


class OneCommand(unittest.TestCase):
    def test_one_command_starts_everything_and_takes_all_of_it_along(self) -> None:
        place = Place()
        self.addCleanup(shutil.rmtree, place.folder)
        command = subprocess.Popen([sys.executable, EXAMPLE / "start.py"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(command.stdout.close)
        self.addCleanup(command.kill)
        self.assertRegex(command.stdout.readline(), "^Ready: ")
        self.assertLessEqual({*ASKED, "default"}, {*place.read("/api/copilotkit/info")["agents"]})
        for agent, asked in ASKED.items():
            said = [start.binary(), "run", agent, asked, "--url", f"http://{place.listen}"]
            run = subprocess.run(said, capture_output=True, text=True, timeout=20)
            self.assertEqual(run.returncode, 0, run.stderr)
        command.send_signal(signal.SIGINT)
        self.assertEqual(command.wait(timeout=20), 0)
        for url in [*map(start.address, ASKED), f"http://{place.listen}/"]:
            with self.assertRaises(ConnectionRefusedError, msg=url):
                socket.create_connection(url.split("/")[2].split(":")).close()


if __name__ == "__main__":
    start.install()
    unittest.main(verbosity=2)
