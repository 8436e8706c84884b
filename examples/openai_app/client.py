"""OpenAI's own client: ``client.py URL`` writes each token as it arrives, with the seconds since the request."""

from __future__ import annotations

import sys
import time

from openai import OpenAI

client = OpenAI(base_url=f"{sys.argv[1]}/v1", api_key="any", max_retries=0)
start = time.monotonic()
stream = client.chat.completions.create(
    model="echo", messages=[{"role": "user", "content": "one two three four five"}], stream=True
)
for chunk in stream:
    if chunk.choices[0].delta.content:
        sys.stdout.write(f"{time.monotonic() - start:.2f} {chunk.choices[0].delta.content.strip()}\n")
