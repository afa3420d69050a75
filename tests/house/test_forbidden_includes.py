#!/usr/bin/env python3
"""An include against the arrows does not compile. For every pair of rooms with no arrow from the first to the second a
source of the first that includes a header of the second is compiled with the first one's own flags, and must not find it;
for every pair with an arrow it must. Libraries that are not ours lie on the system's path, which no flag hides: there each
room's includes are read, and the room must link what it includes."""
import re, subprocess, tempfile
from pathlib import Path

import house

# header -> the library as CMake names it, and the only room that may (None: whoever links it)
FOREIGN = {"hdf5": ("PkgConfig::HDF5", "core/checkpoint"), "H5": ("PkgConfig::HDF5", "core/checkpoint"),
           "dnnl": ("DNNL::dnnl", "kernels/cpu"), "oneapi/dnnl": ("DNNL::dnnl", "kernels/cpu"),
           "mpi.h": ("MPI::MPI_C", "dist"), "omp.h": (None, "nowhere"),
           "cJSON": ("PkgConfig::CJSON", None), "cjson/": ("PkgConfig::CJSON", None)}
# C17, POSIX, Linux and the compiler's own: whatever else a room includes is a library that docs/dependencies.md must name.
SYSTEM = set("""assert cpuid ctype errno fcntl float immintrin inttypes limits locale math pthread sched semaphore setjmp signal
stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib string strings time unistd dirent dlfcn poll fenv ftw glob
sys/file sys/mman sys/random sys/resource sys/stat sys/statvfs sys/syscall sys/sysinfo sys/time sys/types sys/uio sys/wait
sys/prctl sys/ioctl sys/vfs sys/sysmacros linux/fs linux/futex linux/magic""".split())


def flags(words):
    """Of a compile command: compiler and include paths, definitions and standard."""
    return [words[0]] + [w for w in words[1:] if w.startswith(("-I", "-D", "-std", "-m"))] + \
           [x for i, w in enumerate(words) if w == "-isystem" for x in words[i:i + 2]]


def pair_complaint(a, b, words, header, folder):
    """A source that includes this header alone; with an arrow it compiles, without one the header is not there at all."""
    source = Path(folder, f"{a.target}.{header}.c")
    source.write_text(f'#include "{header}"\n')
    r = subprocess.run([*words, "-fsyntax-only", str(source)], capture_output=True, text=True)
    if b.target in a.sees:
        return None if r.returncode == 0 else \
            f"{a.folder} has an arrow to {b.folder}, yet {header} does not compile there: {r.stderr[:300]}"
    return None if f" {header}: No such file" in r.stderr else f"{a.folder} has no arrow to {b.folder}, yet finds {header}"


def any_found(a, words, headers, folder):
    """Every header at once by __has_include: those of these that a room without an arrow to them finds."""
    source = Path(folder, a.target + ".all.c")
    source.write_text("".join(f'#if __has_include("{h}")\n#warning found <{h}>\n#endif\n' for h in headers))
    said = subprocess.run([*words, "-fsyntax-only", str(source)], capture_output=True, text=True).stderr
    return [f"{a.folder} finds {h} without an arrow to it" for h in re.findall(r"#warning found <([^>]*)>", said)]


def representative(room):
    """A header that stands alone: one with a source of its own if there is one (others may be pieces of a file)."""
    own = [h for h in room.headers() if (house.TOP / room.folder / h).with_suffix(".c").exists()]
    return (own or room.headers() or [None])[0]


def foreign_complaints(room, path, source):
    found = []
    for bracket, name in re.findall(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', source, re.M):
        known = next((v for k, v in FOREIGN.items() if name.startswith(k)), None)
        if known is None and bracket == "<" and name.removesuffix(".h") not in SYSTEM:
            found.append(f"{path} includes <{name}>, which is no system header known to tests/house: a new library?")
        elif known and known[1] and room.folder != known[1]:
            found.append(f"{path} includes <{name}>, which belongs to {known[1]} alone")
        elif known and known[0] not in room.libraries:
            found.append(f"{path} includes <{name}>, but {room.target} does not link {known[0]}")
    return found


def slash_complaints(path, source):
    return [f'{path} includes "{n}" by a path: the arrows alone say where headers are'
            for n in re.findall(r'^\s*#\s*include\s*"([^"]*/[^"]*)"', source, re.M)]


def link_complaints(rooms):
    only = {lib: folder for lib, folder in FOREIGN.values() if lib and folder}
    return [f"{r.target} links {lib}, which belongs to {only[lib]} alone"
            for r in rooms.values() for lib in r.libraries if lib in only and r.folder != only[lib]]


def pair_complaints(rooms, words_of, folder):
    pairs = [(a, b, words_of[a.target], representative(b), folder)
             for a in rooms.values() for b in rooms.values() if a is not b and representative(b)]
    found = [c for c in house.each(lambda p: pair_complaint(*p), pairs) if c]
    for a in rooms.values():
        hidden = [h for b in rooms.values() if b is not a and b.target not in a.sees for h in b.headers()]
        found += any_found(a, words_of[a.target], hidden, folder)
    permitted = sum(b.target in a.sees for a, b, *_ in pairs)
    print(f"{len(pairs)} pairs tried: {permitted} with an arrow, {len(pairs) - permitted} without")
    return found


rooms = house.rooms()
words_of = {}
for source, words in house.compiles():
    room = house.room_of(rooms, source)
    if room:
        words_of.setdefault(room.target, flags(words))
with tempfile.TemporaryDirectory() as folder:
    # The check can fail: a room that is given a path it should not have, one that lost one, and each reading.
    ground, top = rooms["gt_common"], rooms["gt_train"]
    more = words_of["gt_common"] + ["-I" + str(house.TOP / top.folder)]
    house.must_complain([pair_complaint(ground, top, more, representative(top), folder)], "yet finds")
    house.must_complain(any_found(ground, more, top.headers(), folder), "without an arrow")
    house.must_complain([pair_complaint(top, ground, ["cc"], representative(ground), folder)], "does not compile")
    house.must_complain(foreign_complaints(ground, "x.c", "#include <mpi.h>\n"), "belongs to dist alone")
    house.must_complain(foreign_complaints(ground, "x.c", "#include <zlib.h>\n"), "a new library")
    house.must_complain(slash_complaints("x.c", '#include "common/status.h"\n'), "by a path")
    house.must_complain(link_complaints(house.rooms_of([dict(target="a", folder="a", links="DNNL::dnnl", interface="")])),
                        "belongs to kernels/cpu alone")
    found = pair_complaints(rooms, words_of, folder)
for room in rooms.values():
    for path in house.files(*house.CODE, under=(room.folder,)):
        if path.parent == Path(room.folder):
            found += foreign_complaints(room, path, house.text(path))
for path in house.files(*house.CODE):
    found += slash_complaints(path, house.text(path))
house.report(found + link_complaints(rooms), "includes")
