"""The load generator where there is no C compiler: does what `load.c` does, and costs more."""

import json
import selectors
import socket
import sys
import time
from pathlib import Path

port, connections, seconds, path = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
request = Path(path).read_bytes()
took, errors, reconnects, failed = [], 0, 0, ""


def connect(selector):
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    selector.register(link, selectors.EVENT_READ, [time.perf_counter(), b""])
    link.sendall(request)


def is_whole(reply):
    head, found, body = reply.partition(b"\r\n\r\n")
    low = head.lower()
    if b"\r\ntransfer-encoding:" in low:
        return body.endswith(b"0\r\n\r\n")
    length = low.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return bool(found) and len(body) >= int(length or 0)


with selectors.DefaultSelector() as selector:
    for _ in range(connections):
        connect(selector)
    start = time.perf_counter()
    while selector.get_map() and time.perf_counter() < start + seconds + 60:
        for key, _ in selector.select(timeout=1):
            part = key.fileobj.recv(1 << 20)
            if not part:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                reconnects += 1
                connect(selector)
                continue
            key.data[1] += part
            if not is_whole(key.data[1]):
                continue
            done = time.perf_counter()
            took.append(1e3 * (done - key.data[0]))
            if key.data[1][8:12] != b" 200":
                errors += 1
                failed = failed or key.data[1][:300].decode("latin-1")
            if done >= start + seconds:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                continue
            key.data[:] = [time.perf_counter(), b""]
            key.fileobj.sendall(request)
    unanswered = len(selector.get_map() or ())
    whole = time.perf_counter() - start
took.sort()
print(
    json.dumps(
        {
            "replies": len(took),
            "errors": errors,
            "reconnects": reconnects,
            "unanswered": unanswered,
            "seconds": whole,
            "cpu_s": time.process_time(),
            "p50_ms": took[len(took) // 2] if took else 0,
            "p99_ms": took[int(len(took) * 0.99)] if took else 0,
            "max_ms": took[-1] if took else 0,
            "failed": failed,
        }
    )
)
