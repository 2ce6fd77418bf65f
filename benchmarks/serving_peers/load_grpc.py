"""Ask a server the same thing over gRPC for so long: `load_grpc.py PORT CHANNELS SECONDS MESSAGE_FILE`.

The message is sent as it was written, and what comes back is not decoded; even so Python's gRPC costs the client more
than the server: the speed on the wall is the client's, only the server's CPU says something.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import grpc.aio

METHOD = "/inference.GRPCInferenceService/ModelInfer"


async def one_channel(port: int, message: bytes, end: float, took: list[float], failures: list[str]) -> None:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        call = channel.unary_unary(METHOD)
        await channel.channel_ready()
        while True:
            began = time.perf_counter()
            try:
                await call(message, timeout=60)
            except grpc.aio.AioRpcError as error:
                failures.append(f"{error.code().name} {error.details()}")
            took.append(1e3 * (time.perf_counter() - began))
            if time.perf_counter() > end:
                return


async def main(port: int, channels: int, seconds: float, path: str) -> None:
    message = Path(path).read_bytes()
    took: list[float] = []
    failures: list[str] = []
    start = time.perf_counter()
    await asyncio.gather(*(one_channel(port, message, start + seconds, took, failures) for _ in range(channels)))
    whole = time.perf_counter() - start
    took.sort()
    print(
        json.dumps(
            {
                "replies": len(took),
                "errors": len(failures),
                "reconnects": 0,
                "unanswered": 0,
                "seconds": whole,
                "cpu_s": time.process_time(),
                "p50_ms": took[len(took) // 2],
                "p99_ms": took[int(len(took) * 0.99)],
                "max_ms": took[-1],
                "failed": (failures or [""])[0][:300],
            }
        )
    )


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
