"""A plan that a LangGraph agent makes and works through, served as AG-UI.

Its chat model is a script, so that it needs no key; a real one takes its place: `init_chat_model("openai:gpt-5-mini")`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

from ag_ui_langgraph import LangGraphAgent, add_langgraph_fastapi_endpoint
from fastapi import FastAPI
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, AnyMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import InjectedState, ToolNode, tools_condition
from langgraph.types import Command
from typing_extensions import TypedDict


class Step(TypedDict):
    title: str
    status: str


class Research(TypedDict, total=False):
    """`topic` and `steps` are shared with everybody who has the thread open; the rest is the graph's own."""

    topic: str
    steps: list[Step]
    messages: Annotated[list[AnyMessage], add_messages]
    tools: list[dict[str, Any]]  # The browser's: ag-ui-langgraph puts them here.


class Script(BaseChatModel):
    """Answers as a model would: in words that stream, and in calls of the tools that it was offered."""

    @property
    def _llm_type(self) -> str:
        return "script"

    def bind_tools(self, tools: list[dict[str, Any]], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(offered=[tool["name"] for tool in tools], **kwargs)

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError("it only streams")

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, offered: list[str], **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for piece in answer(messages[-1], offered):
            yield ChatGenerationChunk(message=piece)


async def answer(last: BaseMessage, offered: list[str]) -> AsyncIterator[AIMessageChunk]:
    for part in parts(last, offered):
        async for piece in part:
            yield piece


def parts(last: BaseMessage, offered: list[str]) -> list[AsyncIterator[AIMessageChunk]]:
    what, _, rest = last.text.partition(" ")
    match last.type, what:
        case "tool", _:
            return [call("work")] if last.name == "plan" else [words(f"{last.text}.")]
        case _, "research":
            return [words(f"I plan what to find out about {rest}."), call("plan", topic=rest)]
        case _, "theme" if "set_theme_color" in offered:
            return [call("set_theme_color", color=rest or "teal")]
        case _, "story":
            return [words("Once upon a time there was a graph. " * 100)]
        case _:
            return [words(f"You said: {last.text}. Try “research tea”, “theme teal” or “story”.")]


async def words(text: str) -> AsyncIterator[AIMessageChunk]:
    for word in text.split():
        await asyncio.sleep(0.02)
        yield AIMessageChunk(content=f"{word} ")


async def call(name: str, /, **arguments: str) -> AsyncIterator[AIMessageChunk]:
    """A call as models stream it: its name first, then its arguments."""
    call_id = str(uuid4())
    for called, args in [(name, ""), (None, json.dumps(arguments))]:
        chunk = {"name": called, "args": args, "id": call_id, "index": 0, "type": "tool_call_chunk"}
        yield AIMessageChunk(content="", tool_call_chunks=[chunk])


@tool
def plan(topic: str, call_id: Annotated[str, InjectedToolCallId]) -> Command:
    """Plans the steps that finding out about a topic takes."""
    titles = [f"Read about {topic}", f"Ask somebody who knows {topic}", "Write it down"]
    steps = [Step(title=title, status="pending") for title in titles]
    done = ToolMessage(f"{len(steps)} steps", name="plan", tool_call_id=call_id)
    return Command(update={"topic": topic, "steps": steps, "messages": [done]})


@tool
def work(state: Annotated[Research, InjectedState], call_id: Annotated[str, InjectedToolCallId]) -> Command:
    """Takes the next step of the plan that is not done, also if a person added it."""
    steps = state["steps"]
    ahead = next((at for at, step in enumerate(steps) if step["status"] != "done"), None)
    said = "Everything is done" if ahead is None else f"Done: {steps[ahead]['title']}"
    steps = [
        Step(title=step["title"], status="done" if at == ahead else step["status"]) for at, step in enumerate(steps)
    ]
    return Command(update={"steps": steps, "messages": [ToolMessage(said, name="work", tool_call_id=call_id)]})


OWN = [plan, work]


async def chat(state: Research) -> Research:
    tools = [*({"name": own.name} for own in OWN), *state.get("tools", [])]
    return {"messages": [await Script().bind_tools(tools).ainvoke(state["messages"])]}


def next_node(state: Research) -> str:
    """The graph calls its own tools. A call for the browser ends the run; its answer comes with the next."""
    calls = state["messages"][-1].tool_calls
    return tools_condition(state) if all(call["name"] in {own.name for own in OWN} for call in calls) else "__end__"


graph = StateGraph(Research)
graph.add_node("chat", chat)
graph.add_node("tools", ToolNode(OWN))
graph.add_edge(START, "chat")
graph.add_conditional_edges("chat", next_node)
graph.add_edge("tools", "chat")

app = FastAPI()
agent = LangGraphAgent(name="researcher", graph=graph.compile(checkpointer=InMemorySaver()))
add_langgraph_fastapi_endpoint(app, agent, "/")
