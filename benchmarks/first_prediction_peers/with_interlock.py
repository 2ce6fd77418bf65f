"""Interlock: one call."""

from lead import Lead, fitted

import interlock

model, rows = fitted()
expected = model.predict_proba(rows[:1])[0, 1]

lead = Lead("interlock")
lead.step("interlock.deploy(model, example=X, name='delay')")
endpoint = interlock.deploy(model, example=rows, name="delay")
inputs = [
    {"name": f"x{at}", "shape": [1], "datatype": "FP64", "data": [value]} for at, value in enumerate(rows[0].tolist())
]
answer = lead.ask(endpoint.url + "/infer", {"inputs": inputs})
lead.also(interlock.open().servers.find().pid)
lead.end(next(output["data"][0] for output in answer["outputs"] if output["name"] == "probability"), expected)
endpoint.stop()
