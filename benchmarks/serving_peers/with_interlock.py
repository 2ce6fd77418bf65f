"""`interlock serve model:served` with its engine held to one: `native` (scikit-learn itself) or `compiled`.

A server that is started as users start it answers few rows with one engine and many with another, if that is quicker;
this is for having the same engine on both sides, and for seeing whether the choice was right.
"""

import sys

import msgspec

from interlock.cli.main import main
from interlock.registry.models import Models

folder, port, kind = sys.argv[1:]
resolve = Models.resolve


def held(self, ref):
    """Return the version as if there were that one engine alone."""
    version = resolve(self, ref)
    native, *compiled = version.facts["engines"]
    chosen = native if kind == "native" else next(one for one in compiled if one["engine"] == version.engine)
    facts = {name: value for name, value in version.facts.items() if name != "many"}
    facts |= {name: chosen[name] for name in ("one_row_us", "rows512_us")}
    return msgspec.structs.replace(version, engine=chosen["engine"], facts=facts)


Models.resolve = held
sys.exit(main(["serve", "model:served@1", "--port", port, "--dir", folder]))
