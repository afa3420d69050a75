#!/usr/bin/env python3
"""Whatever a comment or a page cites is there: files by path or by name, the numbered sections of pages, tests, links and
their anchors. The specification is docs/model, nothing else. Needs no build."""
import io, re, tokenize
from pathlib import Path

import house

# Other programs' files whose names could be ours; `x` in a name stands for any; golden/ and shared/ lie beside us.
FOREIGN = {"gguf.md", "dnnl_version.h", "dnnl.h", "cuda_runtime_api.h", "record_writer.h", "ggml-common.h", "omp.h"}
ANY = re.compile(r"(?:^|[/_])x[/.]|^(?:golden|shared)/")
NAMED = re.compile(r"(?<![\w./<>*{$…-])((?:\.\./|[\w.-]+/)*[\w-][\w.-]*\.(?:c|h|cu|cuh|md|py|cmake|sh))(?![\w/*<{-])")
SECTIONS = re.compile(r"(docs/[\w./-]+\.md|(?<![\w/])[\w-]+\.md),? sections? ((?:\d+(?:\.\d+)*(?:, | and | to )?)+)")
TESTS = re.compile(r"`((?:test|fuzz|bench)_\w+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def found_at(path, name, paths):
    """The path that a name means from here: from the top, from beside, or from a folder that ends so; or None."""
    beside = str((house.TOP / path.parent / name).resolve().relative_to(house.TOP)) if ".." in name else \
        str(path.parent / name)
    for candidate in (name, beside):
        if candidate in paths:
            return candidate
    return next((p for p in sorted(paths) if p.endswith("/" + name)), None)


def headings(page):
    """(section numbers, anchors as GitHub makes them) of a page."""
    numbers, anchors = set(), set()
    for title in re.findall(r"^#+ (.*)$", page, re.M):
        m = re.match(r"(\d+(?:\.\d+)*)\.? ", title)
        if m:
            numbers.add(m[1])
        anchors.add(re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-"))
    return numbers, anchors


def words_of(path, source):
    """[(line, text)] that cites: pages as they are, of sources the comments, of Python the docstrings too."""
    if path.suffix in house.CODE:
        return house.comments(source)
    if path.suffix == ".md":
        return list(enumerate(source.splitlines(), 1))
    if source.startswith("#!/usr/bin/env python3") or path.suffix == ".py":
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        return [(t.start[0], t.string) for t in tokens if t.type == tokenize.COMMENT or t.string.startswith('"""')]
    return [(i, line[line.index("#"):]) for i, line in enumerate(source.splitlines(), 1) if re.search(r"(^|\s)#", line)]


def foreign(path, name):
    """The pages of docs/model cite the references they were read from: Python, CUDA and ggml's."""
    return name.rsplit("/", 1)[-1] in FOREIGN or ANY.search(name) or \
        path.parent.name == "model" and name.endswith((".py", ".cu", ".cuh")) and not name.startswith("tests/")


def link_complaint(path, target, paths, page_of):
    if re.match(r"[a-z]+:", target):
        return None
    name, _, anchor = target.partition("#")
    at = found_at(path, name, paths) if name else str(path)
    if at is None and not (house.TOP / path.parent / name).exists():
        return f"links to {target}, which is not there"
    if anchor and anchor not in headings(page_of(at))[1]:
        return f"links to {target}, which has no such heading"
    return None


def complaints(path, source, paths, page_of=house.text):
    found = []

    def complain(line, what):
        found.append(f"{path}:{line}: {what}")

    for line, said in words_of(path, source):
        if re.search(r"(?<![\w/])spec/", said):
            complain(line, "cites spec/: the specification is docs/model")
        for name in NAMED.findall(said):
            if not foreign(path, name) and not found_at(path, name, paths):
                complain(line, f"names {name}, which is not there")
        for name in TESTS.findall(said):
            if not any(p.rsplit("/", 1)[-1].startswith(name + ".") for p in paths) and name != "test_x":
                complain(line, f"names the test {name}, which is not there")
        for page, sections in SECTIONS.findall(re.sub(r"\s*\n\s*\*?\s*", " ", said)):
            at = found_at(path, page, paths)
            if at:
                missing = set(re.findall(r"\d+(?:\.\d+)*", sections)) - headings(page_of(at))[0]
                for number in sorted(missing):
                    complain(line, f"cites section {number} of {page}, which has none")
        for target in LINK.findall(said) if path.suffix == ".md" else ():
            what = link_complaint(path, target, paths, page_of)
            if what:
                complain(line, what)
    return found


here, known = Path("core/a/a.c"), {"core/b/y.h", "docs/model/m.md"}
page = lambda _: "# 1. One\n## 1.2 Two: `x`\n"
for wrong, about in (("/* spec/m.md */", "specification"), ("/* as z.h says */", "z.h"), ("// core/c/y.h", "core/c/y.h"),
                     ("/* docs/model/m.md sections 1 and\n * 1.3 */", "section 1.3")):
    house.must_complain(complaints(here, wrong, known, page), about)
for wrong, about in (("[a](b.md)", "not there"), ("`test_z`", "the test test_z"), ("[a](docs/model/m.md#three)", "no such heading")):
    house.must_complain(complaints(Path("R.md"), wrong, known, page), about)
assert not complaints(here, '/* y.h, docs/model/m.md section 1.2 */ char *s = "z.h";', known, page)
assert not complaints(Path("R.md"), "[a](docs/model/m.md#12-two-x)", known, page)

paths = {str(p) for p in house.files()}
found = []
for path in house.files(*house.CODE, ".md", ".py", ".sh", ".cmake", "CMakeLists.txt", "run", "tidy", "quickstart", "same_bits"):
    if "seeds" not in path.parts:
        found += complaints(path, house.text(path), paths)
house.report(found, "citations")
