"""Send requests at a constant rate, whatever becomes of the answers, and write down each.

    constant_rate.py URL BODIES RATE SECONDS OUTPUT

BODIES holds a JSON body a line. OUTPUT gets a line a request: when it was due (seconds since 1970), how long
after that its answer was there (seconds), and the answer's status or the name of what went wrong. A request
that is sent late, because the sender is, counts from when it was due.
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
    """Send one request, and write down what became of it."""
    try:
        async with session.post(url, data=body, headers=HEADERS) as response:
            await response.read()
            outcome = str(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        outcome = type(error).__name__
    output.write(f"{due:.4f} {time.time() - due:.4f} {outcome}\n")


async def main(url: str, bodies: list[bytes], rate: float, seconds: float, output: TextIO) -> None:
    """Send them all, and wait for the last answer."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    # No limit: a connection for every request that waits.
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
