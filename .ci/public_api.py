"""The public API as `cargo doc --all-features` shows it, one line each, to be compared with tests/public-api.txt.

`python3 .ci/public_api.py` compares; `python3 .ci/public_api.py --write` accepts what has changed, which then shows in
the diff of the commit. What every type has anyway (auto traits, blanket implementations) is left out. Where an item has
gone, remove target/doc first: rustdoc leaves its page there.
"""

import difflib
import pathlib
import re
import sys
from html.parser import HTMLParser

DOCS = pathlib.Path("target/doc/tower_qq_auth")
LISTING = pathlib.Path("tests/public-api.txt")
LEFT_OUT = {"synthetic-implementations-list", "blanket-implementations-list"}
IMPLIED = ("fn ", "type ", "impl StructuralPartialEq ")
VOID = {"br", "hr", "img", "input", "link", "meta", "wbr"}


class Page(HTMLParser):
    """Collects the code of declarations: of the item itself, of its variants and methods, of what it implements."""

    def __init__(self):
        super().__init__()
        self.open, self.lines, self.text = [], [], None

    def handle_starttag(self, tag, attrs):
        if tag in VOID:
            return
        attrs = dict(attrs)
        kinds = set((attrs.get("class") or "").split())
        starts = bool(kinds & {"item-decl", "code-header"})
        hidden = attrs.get("id") in LEFT_OUT
        if starts and self.text is None and not any(hidden for _, hidden, _ in self.open):
            self.text = ""
            self.open.append((tag, hidden, True))
        else:
            self.open.append((tag, hidden, False))

    def handle_endtag(self, tag):
        while self.open:
            name, _, started = self.open.pop()
            if started:
                line = re.sub(r"\s+", " ", self.text).strip()
                line = re.sub(r"^(§|Source)+", "", line).strip()
                if line:
                    self.lines.append(line)
                self.text = None
            if name == tag:
                break

    def handle_data(self, data):
        if self.text is not None:
            self.text += data


def listing():
    for file in sorted(DOCS.rglob("*.html")):
        kind, _, name = file.stem.partition(".")
        if kind not in {"struct", "enum", "trait", "fn", "type", "constant", "macro", "union"}:
            continue
        page = Page()
        page.feed(file.read_text())
        if not page.lines:
            continue  # the address of a re-exported item inside its private module
        path = ".".join(file.relative_to(DOCS).parts[:-1])
        yield f"# {kind} {path + '::' if path else ''}{name}"
        first, *rest = page.lines
        yield first
        # The methods of a trait follow from its `impl`.
        yield from sorted({line for line in rest if kind == "trait" or not line.startswith(IMPLIED)})
        yield ""


found = list(listing())
if "--write" in sys.argv:
    LISTING.write_text("\n".join(found) + "\n")
expected = LISTING.read_text().splitlines()
changes = list(difflib.unified_diff(expected, found, str(LISTING), "cargo doc", lineterm="", n=0))
print(f"public API: {len(found)} lines, {'as listed' if not changes else 'changed'}")
sys.exit("\n".join(changes) or None)
