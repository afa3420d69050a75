#!/usr/bin/env python3
"""Every source keeps the house's form: clang-format 14 has nothing to change, lines end at 120 columns in comments too, no
two sources or headers share a name, none is over 600 lines, headers and sources without a header of their own open with
a comment. Needs no build."""
import re, shutil, subprocess, sys
from collections import defaultdict
from pathlib import Path

import house

COLUMNS, LINES = 120, 600
PLAIN = (".c", ".h", ".cu", ".cuh", ".py", ".sh", ".cmake", ".md", ".txt", ".json")


def formatter():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and " version 14" in subprocess.run([path, "--version"], capture_output=True, text=True).stdout:
            return path
    sys.exit("clang-format 14 is absent: install the package clang-format-14")


def format_complaints(tool, paths):
    """What clang-format would change, a line each."""
    said = subprocess.run([tool, "--dry-run", "--ferror-limit=3", *map(str, paths)], cwd=house.TOP, capture_output=True,
                          text=True).stderr
    return [line.replace("code should be clang-formatted", "clang-format -i would change this")
            for line in said.splitlines() if "[-Wclang-format-violations]" in line]


def name_complaints(paths):
    """A source and its header share a stem in one folder; nothing else shares one."""
    where = defaultdict(set)
    for path in paths:
        where[path.stem].add(path.parent)
    return [f"{stem}: sources of one name in {', '.join(sorted(map(str, folders)))}"
            for stem, folders in sorted(where.items()) if len(folders) > 1]


def text_complaints(path, source):
    found = []
    if path.suffix in house.CODE:
        found += [f"{path}:{i}: {len(line)} columns, {COLUMNS} at most"
                  for i, line in enumerate(source.splitlines(), 1) if len(line) > COLUMNS]
        if source.count("\n") > LINES:
            found.append(f"{path}: {source.count(chr(10))} lines, {LINES} at most")
    if path.suffix != ".md":
        found += [f"{path}:{i}: ends in white space" for i, line in enumerate(source.split("\n"), 1) if line != line.rstrip()]
    if "\r" in source or "\t" in source and path.suffix in house.CODE:
        found.append(f"{path}: tabs or carriage returns")
    if source and (not source.endswith("\n") or source.endswith("\n\n")):
        found.append(f"{path}: must end in one newline")
    return found


def opening_complaints(path, source, has_own_header):
    if path.suffix == ".h" and not re.match(r"/\*", source):
        return [f"{path}: opens without a comment that says what it is for"]
    if path.suffix == ".c" and not has_own_header and not re.match(r"/\*", source):
        return [f"{path}: has no header of its own and opens without the rule that a reader would not guess"]
    return []


def complaints(tool, paths):
    code = [p for p in paths if p.suffix in house.CODE]
    found = format_complaints(tool, code) + name_complaints(code)
    for path in paths:
        source = house.text(path)
        found += text_complaints(path, source) + opening_complaints(path, source, path.with_suffix(".h") in code)
    return found


tool = formatter()
x = Path("core/x/x.c")
house.must_complain(name_complaints([x, Path("core/y/x.h")]), "one name")
house.must_complain(text_complaints(x, "/" * 121 + "\n"), "121 columns")
house.must_complain(text_complaints(x, "\n" * 601), "601 lines")
house.must_complain(text_complaints(x, "int a; \n"), "white space")
house.must_complain(text_complaints(x, "int a;"), "one newline")
house.must_complain(opening_complaints(x, "#include <a.h>\n", False), "without the rule")
house.must_complain(opening_complaints(x.with_suffix(".h"), "#ifndef X\n", False), "what it is for")
assert not name_complaints([x, x.with_suffix(".h")]) and not text_complaints(x, "int a;\n")
said = subprocess.run([tool, "--dry-run", "--Werror", "--style=file:" + str(house.TOP / ".clang-format")], input="int  a;\n",
                      capture_output=True, text=True)
if said.returncode == 0:
    sys.exit("this check cannot fail: clang-format finds nothing in 'int  a;'")
house.report(complaints(tool, house.files(*PLAIN)), "sources")
