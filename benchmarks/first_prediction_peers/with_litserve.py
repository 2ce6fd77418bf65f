"""LitServe: dump the model, write a server, then run it."""

import sys

import joblib
from lead import Lead, fitted, free_port

SERVER = """
import sys

import joblib
import litserve as ls
import numpy as np


class Delay(ls.LitAPI):
    def setup(self, device):
        self.model = joblib.load("model.joblib")

    def decode_request(self, request):
        return np.array(request["rows"])

    def predict(self, rows):
        return self.model.predict_proba(rows)[:, 1]

    def encode_response(self, output):
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    ls.LitServer(Delay()).run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
"""

model, rows = fitted()
expected = model.predict_proba(rows[:1])[0, 1]
port = free_port()

lead = Lead("litserve")
lead.step("joblib.dump(model, 'model.joblib')")
joblib.dump(model, "model.joblib")
lead.write("server.py", SERVER)
lead.serve([sys.executable, "server.py", str(port)])
answer = lead.ask(f"http://127.0.0.1:{port}/predict", {"rows": rows[:1].tolist()})
lead.end(answer["probabilities"][0], expected)
