"""Send requests at a constant rate, regardless of the responses, and record each.

    constant_rate.py URL BODIES RATE SECONDS OUTPUT

BODIES holds one JSON body per line. OUTPUT gets one line per request: the due time (seconds since 1970), the
time from then to the response (seconds), and the status of the response or the name of the error. The
latency of a request that was sent late starts at its due time.
"""

import asyncio
import itertools
import sys
import time
from pathlib import Path
from typing import TextIO

import aiohttp

TIMEOUT_SECONDS = 60
HEADERS = {"Content-Type": "application/json"}


async def send(session: aiohttp.ClientSession, url: str, body: bytes, due: float, output: TextIO) -> None:
    """Send one request, and record its outcome."""
    try:
        async with session.post(url, data=body, headers=HEADERS) as response:
            await response.read()
            outcome = str(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        outcome = type(error).__name__
    output.write(f"{due:.4f} {time.time() - due:.4f} {outcome}\n")


async def main(url: str, bodies: list[bytes], rate: float, seconds: float, output: TextIO) -> None:
    """Send all requests, and wait for the last response."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    # No limit: one connection per waiting request.
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        start = time.time()
        async with asyncio.TaskGroup() as tasks:
            for number, body in zip(range(int(rate * seconds)), itertools.cycle(bodies)):
                due = start + number / rate
                await asyncio.sleep(due - time.time())
                tasks.create_task(send(session, url, body, due, output))


if __name__ == "__main__":
    to, source, a_second, duration, target = sys.argv[1:]
    with Path(target).open("w", encoding="utf-8") as stream:
        lines = Path(source).read_bytes().splitlines()
        asyncio.run(main(to, lines, float(a_second), float(duration), stream))
