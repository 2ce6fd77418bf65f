"""Write the page of the Open Inference checks from what `python -m interlock.testing.open_inference --json` printed.

Ours first, others after it: `python -m scripts.open_inference_page ours.json mlserver.json kserve.json`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from interlock.testing.open_inference.report import as_page, from_json

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "open-inference.md"
HEAD = """\
# The Open Inference Protocol, checked

Written by `python -m scripts.open_inference_page`. Every check drives a running server by its address, with the clients
of others as they come or with bytes that no client would send, and says what was expected and what came. Run them
against any server:

```sh
python -m interlock.testing.open_inference http://127.0.0.1:8000 --grpc 127.0.0.1:8001
```

`--json` and `--page` print the outcome for programs and for pages; `INTERLOCK_TOKEN` is shown to a server that wants a
token. The exit code is 1 if a check fails. Checks whose client is not installed are not run and do not count.

## What the server has to offer

All models have the version `1`, and the first dimension of their shapes is the rows.

| model | inputs | outputs |
|---|---|---|
| `echo_bool`, … `echo_bytes`, one for each datatype | `INPUT`, `[-1, -1]` | `OUTPUT`: the input, bit for bit |
| `simple` | `INPUT0`, `INPUT1`, INT32, `[-1, 16]` | `OUTPUT0` the sum, `OUTPUT1` the difference, INT32, `[-1, 16]` |
| `spare`, which is unloaded and loaded | `INPUT`, FP32, `[-1, -1]` | `OUTPUT`: the input |

How Interlock offers them is in `tests/open_inference_server.py`; its tests run every check but those with KServe's
clients, which run wherever that package is installed. How MLServer and KServe's SDK offer them is in
`scripts/open_inference_peers/`: models of their own kind, with all that the library itself brings, and nothing added to
pass a check. Both ran with their defaults, but for MLServer's parallel
workers, which do not start beside a present uvloop. What a library leaves out on purpose (KServe's SDK has no versions,
MLServer no binary tensors over REST) is a failed check here: the table says what works, not what was promised. Many
checks of bad input fail there because those libraries leave the checking of shapes and names to the author of a model.

## Outcome

✓ passes, ✗ fails, – was not run.

"""


def main(paths: Sequence[str]) -> None:
    """Write the page."""
    PAGE.write_text(HEAD + as_page([from_json(Path(path).read_bytes()) for path in paths]))


if __name__ == "__main__":
    main(sys.argv[1:])
