"""The seven steps in Hamilton, with its cache on; the fan-out is written out as functions."""

import sys

from hamilton import driver

COUNT = int(sys.argv[1])


texts = [f"def model_{alpha}(table: list) -> int:\n    return sum(table) * {alpha}\n" for alpha in range(COUNT)]
arguments = ", ".join(f"model_{alpha}: int" for alpha in range(COUNT))
names = ", ".join(f"model_{alpha}" for alpha in range(COUNT))
texts.append(f"def best({arguments}) -> int:\n    return max([{names}])\n")
texts.insert(0, "def load() -> list:\n    return list(range(100))\n")
texts.insert(1, "def table(load: list) -> list:\n    return [2 * value for value in load]\n")
with open("hamilton_seven.py", "w") as out:
    out.write("\n".join(texts))
sys.path.insert(0, ".")
import hamilton_seven  # noqa: E402

built = driver.Builder().with_modules(hamilton_seven).with_cache().build()
assert built.execute(["best"])["best"] == 9900 * (COUNT - 1)
