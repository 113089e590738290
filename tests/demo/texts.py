"""The texts of refusals, as examples/PROTOCOL.md lists them: a part of bad_input.py."""

import os
import re

PROTOCOL = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "PROTOCOL.md"
)


def listed(page):
    """Of each row `| status | reason |` the status and a pattern: what <stands so> may be any."""
    rows = re.findall(r"^\| (\d{3}) \| `(.*)` \|$", page, re.MULTILINE)
    return [
        (int(status), re.compile(re.sub(r"<[^>]*>", ".+", re.escape(reason)), re.DOTALL))
        for status, reason in rows
    ]


with open(PROTOCOL, encoding="utf-8") as protocol:
    LISTED = listed(protocol.read())


def is_listed(status, reason):
    return any(status == s and pattern.fullmatch(reason) for s, pattern in LISTED)
