"""Libraries are asked for only where they have been imported."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa

from interlock.core.loaded import is_array, is_arrow, loaded


def test_what_has_been_imported() -> None:
    assert loaded("pyarrow") is pa and loaded("nothing_of_that_name") is None
    assert is_arrow(pa.table({}), "Table", "RecordBatch") and not is_arrow([1], "Table")
    assert is_array(np.zeros(1)) and not is_array([1])


def test_asking_imports_nothing() -> None:
    code = (
        "import sys; from interlock.core.loaded import is_array, is_arrow;"
        "assert not is_arrow(1, 'Table') and not is_array(1);"
        "assert not {'numpy', 'pyarrow'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
