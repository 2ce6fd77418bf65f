"""The seven steps in DVC: stages of a dvc.yaml, each a shell command, as `dvc repro` runs them."""

import json
import os
import subprocess
import sys

COUNT = int(sys.argv[1])
WORK = """
import json, sys
step, *given = sys.argv[1:]
read = lambda path: json.load(open(path))
if step == "load":
    value = list(range(100))
elif step == "prepare":
    value = [2 * one for one in read("load.json")]
elif step == "train":
    value = sum(read("prepare.json")) * int(given[0])
else:
    value = max(read(path) for path in given[:-1])
json.dump(value, open(given[-1] if step in ("train", "select") else step + ".json", "w"))
"""
dvc = os.path.join(os.path.dirname(sys.executable), "dvc")
environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
if not os.path.exists(".dvc"):
    subprocess.run([dvc, "init", "--no-scm", "-q"], check=True, env=environment)
with open("work.py", "w") as out:
    out.write(WORK)
models = [f"model_{alpha}.json" for alpha in range(COUNT)]
python = sys.executable
stages = {
    "load": {"cmd": f"{python} work.py load", "deps": ["work.py"], "outs": ["load.json"]},
    "prepare": {"cmd": f"{python} work.py prepare", "deps": ["work.py", "load.json"], "outs": ["prepare.json"]},
    **{
        f"train_{alpha}": {
            "cmd": f"{python} work.py train {alpha} {models[alpha]}",
            "deps": ["work.py", "prepare.json"],
            "outs": [models[alpha]],
        }
        for alpha in range(COUNT)
    },
    "select": {
        "cmd": f"{python} work.py select {' '.join(models)} best.json",
        "deps": ["work.py", *models],
        "outs": ["best.json"],
    },
}
with open("dvc.yaml", "w") as out:
    json.dump({"stages": stages}, out)  # YAML is a superset of JSON
subprocess.run([dvc, "repro", "-q"], check=True, env=environment)
with open("best.json") as found:
    assert json.load(found) == 9900 * (COUNT - 1)
