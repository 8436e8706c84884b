"""The SDK's own client: ``client.py URL MODE [IDLE_URL]`` adds numbers twice, with a POST to IDLE_URL in between."""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.request

from mcp import Client, MCPError


async def main(url: str, mode: str, idle_url: str = "") -> None:
    async with Client(url, mode=mode) as client:
        try:
            sums = [await client.call_tool("add", {"a": 1, "b": 2})]
            if idle_url:
                request = urllib.request.Request(idle_url, method="POST")
                await asyncio.to_thread(lambda: urllib.request.urlopen(request).close())
            sums.append(await client.call_tool("add", {"a": 3, "b": 4}))
        except MCPError as error:
            # It would wait for its stream of events, which has no end.
            os.write(1, str(error).encode())
            os._exit(1)
        sys.stdout.write(" ".join(str(each.structured_content["result"]) for each in sums))


asyncio.run(main(*sys.argv[1:]))
