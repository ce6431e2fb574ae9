r"""What ``serve`` stands on: nginx in front, Multi Model Server behind it, and a supervisor over both.

    client -> nginx -> Multi Model Server -> workers (inference.py)
                  \-> control: health, and the models of a multi-model endpoint

Multi Model Server alone cannot keep four promises: a ``/ping`` that tells the truth, a closed management
API, requests batched while they wait, and an end that cuts off none. Endpoint plugins, a few lines of Java
in the server, would give the first and half of the second, and no batching, which is where the speed comes
from: benchmarks/serving measures both sides. So nginx owns the public port. It knows three routes, limits
bodies and requests in flight, and finishes what it has begun when told to stop. The model is registered
through the management API, the only way to a batch size, and the server listens on unix sockets alone.
"""
