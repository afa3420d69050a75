"""What the checks of the house share: the files of the tree, the rooms and arrows as CMake holds them, the objects of the
build, and how a check reports. A check is a list of complaints: empty is good. GT_BUILD names the build folder."""
import json, os, re, shlex, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("GT_BUILD", TOP / "build"))
CODE = (".c", ".h", ".cu", ".cuh")


def files(*suffixes, under=("",)):
    """Files of the repository with these suffixes, relative to it. Build folders, runs and hidden folders are none of it."""
    found = []
    for start in under:
        for folder, inner, names in os.walk(TOP / start):
            inner[:] = sorted(d for d in inner if not d.startswith((".", "build", "__")) and Path(folder, d) != TOP / "runs")
            found += [Path(folder, n).relative_to(TOP) for n in sorted(names) if not suffixes or n.endswith(suffixes)]
    return found


def text(path):
    return (TOP / path).read_text(encoding="utf-8")


def comments(source):
    """[(line, text)] of the comments of a C source; strings are stepped over."""
    found = []
    for m in re.finditer(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', source, re.S):
        if m[0].startswith("/"):
            found.append((source.count("\n", 0, m.start()) + 1, m[0]))
    return found


class Room:
    """A folder with its target. `direct`: what its CMake line names, rooms only; `sees`: whose headers its sources may
    include, which is what it links and what these pass on; `libraries`: what it links that is not ours."""

    def __init__(self, target, folder):
        self.target, self.folder = target, folder
        self.direct, self.passed_on, self.libraries = [], [], []

    def headers(self):
        return sorted(p.name for p in (TOP / self.folder).glob("*.h"))


def rooms_of(entries):
    """{target: Room} from what CMake wrote; a target without a folder (gt_all) stands for what it links."""
    bundle = {e["target"]: e["interface"].split() for e in entries if not e["folder"]}
    rooms = {e["target"]: Room(e["target"], e["folder"]) for e in entries if e["folder"]}

    def opened(words):
        return [w for word in words for w in (opened(bundle[word]) if word in bundle else [word])]

    for e in entries:
        if e["target"] not in rooms:
            continue
        room, words = rooms[e["target"]], opened(e["links"].split())
        room.direct = [w for w in words if w in rooms]
        room.libraries = [w for w in words if w not in rooms]
        room.passed_on = [w for w in opened(e["interface"].split()) if w in rooms]
    for room in rooms.values():
        room.sees, todo = set(), list(room.direct)
        while todo:
            target = todo.pop()
            if target not in room.sees:
                room.sees.add(target)
                todo += rooms[target].passed_on
    return rooms


def rooms():
    path = BUILD / "rooms.json"
    if not path.exists():
        sys.exit(f"{path} is absent: configure and build first, or name the build folder by GT_BUILD")
    return rooms_of(json.loads(path.read_text()))


def room_of(rooms_, path):
    """The room whose folder holds the file, or None (tests, fuzzers)."""
    return next((r for r in rooms_.values() if Path(path).parent == Path(r.folder)), None)


def compiles():
    """[(source relative to the tree, words of its compile command)] of the build."""
    return [(Path(e["file"]).relative_to(TOP), shlex.split(e["command"]))
            for e in json.loads((BUILD / "compile_commands.json").read_text()) if Path(e["file"]).is_relative_to(TOP)]


def symbols(words):
    """(defined, undefined) global symbols of the object that a compile command makes; constants and weak ones too."""
    target = BUILD / words[words.index("-o") + 1]
    if not target.exists():
        sys.exit(f"{target} is absent: build everything first")
    defined, undefined = set(), set()
    for line in subprocess.run(["nm", "-g", "-P", str(target)], capture_output=True, text=True, check=True).stdout.splitlines():
        name, kind = line.split()[:2]
        (undefined if kind == "U" else defined).add(name)
    return defined, undefined


def each(function, things):
    """map over the processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, things))


def circles(arrows):
    """Strongly connected groups of more than one node in {node: set of nodes}, each sorted."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(n):
        index[n] = low[n] = len(index)
        stack.append(n)
        on.add(n)
        for m in sorted(arrows.get(n, ())):
            if m not in index:
                visit(m)
                low[n] = min(low[n], low[m])
            elif m in on:
                low[n] = min(low[n], index[m])
        if low[n] == index[n]:
            group = []
            while not group or group[-1] != n:
                group.append(stack.pop())
                on.discard(group[-1])
            if len(group) > 1 or n in arrows.get(n, ()):
                found.append(sorted(group))

    sys.setrecursionlimit(10000)
    for n in sorted(arrows):
        if n not in index:
            visit(n)
    return found


def must_complain(complaints, about):
    """The check can fail: on a sample made wrong it did."""
    if not any(about in c for c in complaints):
        sys.exit(f"this check cannot fail: a sample with the fault '{about}' gave {complaints}")


def report(complaints, what):
    for c in complaints:
        print(c)
    print(f"{what}: {len(complaints)} complaints")
    sys.exit(1 if complaints else 0)
