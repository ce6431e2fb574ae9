r"""The program ``serve``: nginx, Multi Model Server, and a supervisor.

    client -> nginx -> Multi Model Server -> workers (inference.py)
                  \-> management: health, metrics, and the models of a multi-model endpoint

Multi Model Server alone lacks four properties: a ``/ping`` that reports the health of the model, a closed
management API, batches of waiting requests, and a stop that completes the requests in flight. An endpoint
plugin (a few lines of Java) could correct ``/ping`` and partly close the management API. It could not add
batches, which bring most of the speed: benchmarks/serving measures both variants. So nginx owns the public
port, with four routes, limits on bodies and on requests in flight, and a graceful stop. The model is
registered through the management API, the only way to set a batch size, and the server listens on unix
sockets only.
"""
