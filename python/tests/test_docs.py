"""What README and the guide show is run as it stands: the blocks of a page are one program."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "python" / "README.md", *sorted((ROOT / "docs/src/python").glob("*.md"))]


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def test_every_page_has_something_to_run():
    assert len(PAGES) >= 7
    assert all(blocks(page) for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs(page, tmp_path):
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks(page)))
    command = [sys.executable, "-X", "dev", "-W", "error", str(program)]
    result = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    if page.name == "README.md":
        assert result.stdout == "applied as number 1\nnode 1 has ['hello']\n"
        # The promise of thirty lines counts code.
        (program_text,) = blocks(page)
        assert len([line for line in program_text.splitlines() if line]) <= 30


def test_the_picture_in_the_guide_is_what_the_page_draws(tmp_path):
    page = ROOT / "docs/src/python/testing.md"
    program = tmp_path / "page.py"
    program.write_text(blocks(page)[0])
    subprocess.run([sys.executable, str(program)], cwd=tmp_path, check=True, timeout=120)
    drawn = (tmp_path / "timeline.svg").read_text()
    assert (page.parent / "timeline.svg").read_text() == drawn
