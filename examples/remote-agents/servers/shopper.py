"""A shopping list kept by a pydantic-ai agent, served as AG-UI.

Its model is a function, so that it needs no key; a real one takes its place: `Agent("openai:gpt-5-mini", …)`.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from ag_ui.core import StateDeltaEvent, StateSnapshotEvent
from pydantic import BaseModel
from pydantic_ai import Agent, RunContext, ToolReturn
from pydantic_ai.messages import ModelMessage, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.ui import StateDeps
from pydantic_ai.ui.ag_ui import AGUIAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Item(BaseModel):
    name: str
    done: bool = False


class Shopping(BaseModel):
    """The state that is shared with everybody who has the thread open."""

    items: list[Item] = []


async def model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Answers as a model would: in words that stream, and in calls of the tools that it was offered."""
    last = messages[-1].parts[-1]
    offered = {tool.name for tool in info.function_tools}
    if isinstance(last, ToolReturnPart):
        async for word in words(f"{last.content}."):
            yield word
        return
    asked = str(last.content) if isinstance(last, UserPromptPart) else ""
    what, _, rest = asked.partition(" ")
    if what == "add":
        async for word in words("I write it down."):
            yield word
        yield call("add_item", name=rest)
    elif what == "bought":
        yield call("tick_item", name=rest)
    elif what == "theme" and "set_theme_color" in offered:
        yield call("set_theme_color", color=rest or "teal")
    elif what == "story":
        async for word in words("Once upon a time there was a list. " * 100):
            yield word
    else:
        async for word in words(f"You said: {asked}. Try “add milk”, “bought milk”, “theme teal” or “story”."):
            yield word


async def words(text: str) -> AsyncIterator[str]:
    for word in text.split():
        await asyncio.sleep(0.02)
        yield f"{word} "


def call(name: str, /, **arguments: str) -> DeltaToolCalls:
    return {1: DeltaToolCall(name=name, json_args=json.dumps(arguments))}


agent = Agent(FunctionModel(stream_function=model), deps_type=StateDeps[Shopping])


@agent.tool
def add_item(ctx: RunContext[StateDeps[Shopping]], name: str) -> ToolReturn:
    """Puts something on the list. The browser is told of the one new entry."""
    item = Item(name=name)
    ctx.deps.state.items.append(item)
    added = StateDeltaEvent(delta=[{"op": "add", "path": "/items/-", "value": item.model_dump()}])
    return ToolReturn(f"{name} is on the list, {len(ctx.deps.state.items)} in all", metadata=[added])


@agent.tool
def tick_item(ctx: RunContext[StateDeps[Shopping]], name: str) -> ToolReturn:
    """Ticks off what was bought. The browser is told of the whole list: what others changed meanwhile stays."""
    for item in ctx.deps.state.items:
        item.done = item.done or item.name == name
    left = sum(not item.done for item in ctx.deps.state.items)
    return ToolReturn(f"{left} left to buy", metadata=[StateSnapshotEvent(snapshot=ctx.deps.state.model_dump())])


async def run(request: Request) -> Response:
    return await AGUIAdapter.dispatch_request(request, agent=agent, deps=StateDeps(Shopping()))


app = Starlette(routes=[Route("/", run, methods=["POST"])])
