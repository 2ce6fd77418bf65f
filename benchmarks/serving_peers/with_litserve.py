"""LitServe: the four methods of its documentation, all settings as they are by default."""

import os
import sys

import joblib
import litserve as ls
import numpy as np


class Served(ls.LitAPI):
    def setup(self, device):
        self.model = joblib.load(os.environ["SERVED_MODEL"])

    def decode_request(self, request):
        return np.array(request["rows"])

    def predict(self, rows):
        return self.model.predict_proba(rows)[:, 1]

    def encode_response(self, output):
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    ls.LitServer(Served()).run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
