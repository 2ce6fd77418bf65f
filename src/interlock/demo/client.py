"""Ask an endpoint over HTTP, as any client would: Open Inference Protocol v2 over one kept connection."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from interlock.core.errors import Unavailable
from interlock.core.schema import Signature

_DATATYPES = {"double": "FP64", "string": "BYTES", "long": "INT64", "boolean": "BOOL"}


class EndpointClient:
    """Sends rows and truths to one endpoint.

    Args:
        host: Where the data plane listens.
        port: On which port.
        endpoint: Name of the endpoint.
    """

    def __init__(self, host: str, port: int, endpoint: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        self._endpoint = endpoint
        self.url = f"http://{host}:{port}/v2/models/{endpoint}"

    def infer(
        self,
        signature: Signature,
        columns: Mapping[str, Sequence[Any]],
        *,
        ids: Sequence[str],
        event_times: Sequence[str],
        entities: Sequence[str],
        features: str,
    ) -> dict[str, Any]:
        """Ask about some rows; shape of every column: (rows,).

        The parameters name each row, say what moment it is about, and where its features came from.
        """
        inputs = [
            {
                "name": column.name,
                "datatype": _DATATYPES[column.type],
                "shape": [len(ids)],
                "data": columns[column.name],
            }
            for column in signature.inputs
        ]
        body = {
            "inputs": inputs,
            "parameters": {
                "prediction_ids": list(ids),
                "event_time": list(event_times),
                "context": [{"entity": entity, "features": features} for entity in entities],
            },
        }
        return self._post(f"/v2/models/{self._endpoint}/infer", body)

    def feedback(self, truths: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Say what proved true of earlier answers."""
        return self._post(f"/v2/models/{self._endpoint}/feedback", truths)

    def reload(self) -> None:
        """Have the data plane take up the newest routing before it answers the next request."""
        self._post(f"/v2/repository/models/{self._endpoint}/load", {})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, path: str, body: Any) -> dict[str, Any]:
        try:
            self._connection.request("POST", path, msgspec.json.encode(body), {"content-type": "application/json"})
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"the endpoint '{self._endpoint}' does not answer",
                why=str(error),
                fix="interlock demo goes on from here",
            ) from error
        if response.status != 200:
            raise Unavailable(
                f"the endpoint '{self._endpoint}' answered {response.status} to {path}", why=answer.decode()[:500]
            )
        return msgspec.json.decode(answer or b"{}", type=dict[str, Any])
