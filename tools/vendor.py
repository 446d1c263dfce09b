"""Fetch a vendored file of the dashboard anew: `python tools/vendor.py NAME VERSION`, or all as recorded: `python tools/vendor.py`.

Reads and writes `src/sendryd/dashboard/vendor.toml`. Needs npm, which fetches the package; nothing of it is run.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "src/sendryd/dashboard"
RECORD = FOLDER / "vendor.toml"


def main(arguments: list[str]) -> None:
    """Fetches what is named, or everything."""
    record = tomllib.loads(RECORD.read_text("utf-8"))
    if len(arguments) == 2:
        record[arguments[0]]["version"] = arguments[1]
    wanted = arguments[:1] or list(record)
    for name in wanted:
        entry = record[name]
        with tempfile.TemporaryDirectory() as scratch:
            package = fetch(f"{entry['package']}@{entry['version']}", Path(scratch))
            if "icons" in entry:
                content = sprite(package / entry["path"], entry["icons"], entry["version"])
            else:
                content = (package / entry["path"]).read_bytes()
            (FOLDER / "static" / name).write_bytes(content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()
            (FOLDER / "licences").mkdir(exist_ok=True)
            (FOLDER / "licences" / f"{name}.txt").write_bytes((package / "LICENSE").read_bytes())
    RECORD.write_text(written(record), "utf-8")


def fetch(package: str, scratch: Path) -> Path:
    """The unpacked package."""
    done = subprocess.run(["npm", "pack", "--silent", package], cwd=scratch, check=True, capture_output=True, text=True)
    with tarfile.open(scratch / done.stdout.split()[-1]) as archive:
        archive.extractall(scratch, filter="data")
    return scratch / "package"


def sprite(folder: Path, icons: dict[str, str], version: str) -> bytes:
    """One SVG with a symbol for each icon, by the name that pages use."""
    symbols = []
    for name, source in sorted(icons.items()):
        text = (folder / f"{source}.svg").read_text("utf-8")
        inner = re.sub(r"\s+", " ", re.sub(r"^.*?<svg[^>]*>|</svg>\s*$", "", text, flags=re.DOTALL)).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner.replace(" />", "/>")}</symbol>')
    head = f"<!-- lucide-static {version}, ISC -->"
    return f'{head}<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'.encode()


def written(record: dict[str, dict[str, object]]) -> str:
    """The record as TOML."""
    lines = ["# Files of the dashboard that others made. tools/vendor.py writes the hashes; nobody edits the files.", ""]
    for name, entry in record.items():
        lines.append(f'["{name}"]')
        for key, value in entry.items():
            if isinstance(value, dict):
                pairs = ", ".join(f'{each} = "{source}"' for each, source in sorted(value.items()))
                lines.append(f"{key} = {{ {pairs} }}")
            else:
                lines.append(f'{key} = "{value}"')
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
