#!/usr/bin/env python3
"""What includes cannot show, read from the objects of the build: no call against the arrows between rooms, no circle of
files, and nothing that is offered and used by nobody.

Two graphs must be free of circles. Of files: an arrow for every include, and from source to source for every call. Of
units, a source with its header: an arrow for every include, where a header without a source of its own (a private one of
several sources) stands for what it includes."""
import re
from collections import defaultdict
from pathlib import Path

import house

# Offered for tests and fuzzers alone, and why. Whatever else only they call must be called in its own source too.
SEAMS = {
    "gt_gguf_open_bytes": "hostile files from memory", "gt_safetensors_open_bytes": "hostile files from memory",
    "gt_gguf_key_at": "the fuzzer asks for every value", "gt_gguf_key_count": "the fuzzer asks for every value",
    "gt_safetensors_metadata": "that what was written is there", "gt_tokenizer_is_control": "that text makes no control token",
    "gt_chat_render": "the template's text beside Jinja's", "gt_comm_barrier": "ranks of a test in step",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


class Tree:
    """sources: {path: (defined, undefined)}; texts: {path: text} of sources and headers; tests: words of tests."""

    def __init__(self, sources, texts, tests):
        self.sources, self.texts, self.tests = sources, texts, tests
        self.home = {name: path for path, (defined, _) in sources.items() for name in defined}
        self.by_name = {path.name: path for path in texts if path.suffix in (".h", ".cuh")}

    def calls(self, path):
        """{source it calls: a name} without itself."""
        return {self.home[n]: n for n in sorted(self.sources[path][1]) if n in self.home and self.home[n] != path}

    def includes(self, path):
        return {self.by_name[n] for n in INCLUDE.findall(self.texts[path]) if n in self.by_name} - {path}

    def has_source(self, header):
        return any(header.with_suffix(s) in self.sources for s in (".c", ".cpp", ".cu"))

    def unit_includes(self, path, seen=frozenset()):
        """Stems of units that a file includes, sourceless headers opened."""
        units = set()
        for header in self.includes(path) - seen:
            if self.has_source(header):
                units.add(header.with_suffix(""))
            else:
                units |= self.unit_includes(header, seen | {header})
        return units


def circle_complaints(tree):
    files = {p: tree.includes(p) | (set(tree.calls(p)) if p in tree.sources else set()) for p in tree.texts}
    units = defaultdict(set)
    for path in tree.texts:
        if path in tree.sources or tree.has_source(path):
            units[path.with_suffix("")] |= tree.unit_includes(path) - {path.with_suffix("")}
    return [f"a circle of {what}: {', '.join(map(str, c))}"
            for what, arrows in (("files", files), ("units", units)) for c in house.circles(arrows)]


def link_complaints(tree, rooms):
    found = []
    for path in tree.sources:
        room = house.room_of(rooms, path)
        for other, name in tree.calls(path).items():
            target = house.room_of(rooms, other).target
            if target != room.target and target not in room.sees:
                found.append(f"{path} calls {name} of {other}: {room.folder} has no arrow there")
    return found


def unused_complaints(tree):
    used = set().union(*(undefined for _, undefined in tree.sources.values()))
    found = []
    for name, path in sorted(tree.home.items()):
        if name in used or name == "main":
            continue
        at_home = len(re.findall(rf"\b{name}\b", tree.texts[path])) > 1
        if name not in tree.tests:
            found.append(f"{path}: {name} is called {'in its own file alone: make it static' if at_home else 'by nobody'}")
        elif not at_home and name not in SEAMS:
            found.append(f"{path}: only tests call {name}")
    return found + [f"{name} is no seam: something else calls it, or it is gone"
                    for name in SEAMS if name in used or name not in tree.home]


def sample(a_calls=frozenset(), a_source="", a_header=""):
    """low/a and high/b, which includes the header of a and calls it."""
    texts = {Path("low/a.c"): a_source, Path("high/b.c"): '#include "a.h"', Path("low/a.h"): a_header, Path("high/b.h"): ""}
    return Tree({Path("low/a.c"): ({"gt_a"}, a_calls), Path("high/b.c"): ({"gt_b"}, {"gt_a"})}, texts, set())


two = house.rooms_of([dict(target="low", folder="low", links="", interface=""),
                      dict(target="high", folder="high", links="low", interface="low")])
assert not circle_complaints(sample()) and not link_complaints(sample(), two)
house.must_complain(circle_complaints(sample({"gt_b"})), "circle of files: high/b.c, low/a.c")
house.must_complain(circle_complaints(sample(a_source='#include "b.h"')), "circle of units: high/b, low/a")
house.must_complain(link_complaints(sample({"gt_b"}), two), "low has no arrow there")
house.must_complain(unused_complaints(sample()), "gt_b is called by nobody")
house.must_complain(unused_complaints(sample()), "is no seam")

rooms = house.rooms()
texts = {p: house.text(p) for r in rooms.values() for p in house.files(*house.CODE, under=(r.folder,))
         if p.parent == Path(r.folder)}
ours = {p: words for p, words in reversed(house.compiles()) if p in texts}
ours = dict(zip(ours, house.each(house.symbols, list(ours.values()))))
tree = Tree(ours, texts, set(re.findall(r"\bgt_\w+", "".join(map(house.text, house.files(".c", ".h", under=("tests",)))))))
missing = sorted(str(p) for p in texts if p.suffix == ".c" and p not in ours)
house.report([f"{p} is in no target" for p in missing] + circle_complaints(tree) + link_complaints(tree, rooms)
             + unused_complaints(tree), "calls")
