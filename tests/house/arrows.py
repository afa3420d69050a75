#!/usr/bin/env python3
"""usage: arrows.py [--write]: prints the rooms and their arrows as CMake holds them (GT_BUILD: the build folder, default
build); --write puts them into docs/design.md between its two marks."""
import sys

import house

BEGIN, END = "<!-- drawn by tests/house/arrows.py --write -->\n", "<!-- end of the drawing -->\n"
DESIGN = "docs/design.md"


def floors(rooms):
    """{target: floor}: the ground is 1, a room stands one above the highest it links. Circles: an error names them."""
    found = house.circles({t: set(r.direct) for t, r in rooms.items()})
    if found:
        raise ValueError("arrows in a circle: " + ", ".join(" <-> ".join(c) for c in found))
    floor = {}

    def of(t):
        if t not in floor:
            floor[t] = 1 + max((of(d) for d in rooms[t].direct), default=0)
        return floor[t]

    for t in rooms:
        of(t)
    return floor


def picture(rooms):
    """The rooms from the top floor down; after the bar, what is linked that is not ours."""
    floor, lines = floors(rooms), []
    for t in sorted(rooms, key=lambda t: (-floor[t], rooms[t].folder)):
        r = rooms[t]
        down = " ".join(rooms[d].folder for d in sorted(r.direct, key=lambda d: (-floor[d], rooms[d].folder)))
        foreign = " ".join(sorted(w.split("::")[-1] for w in r.libraries))
        lines.append(f"{floor[t]:2d}  {r.folder:18s} {'─▶ ' + down if down else '':60s}{'│ ' + foreign if foreign else ''}".rstrip())
    return "```\n" + "\n".join(lines) + "\n```\n"


def parts(page):
    """The page before, between and after the marks."""
    before, mark, rest = page.partition(BEGIN)
    drawn, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{DESIGN} lost a mark: {BEGIN!r} and {END!r} belong around the drawing")
    return before, drawn, after


if __name__ == "__main__":
    drawn = picture(house.rooms())
    if sys.argv[1:] == ["--write"]:
        before, _, after = parts(house.text(DESIGN))
        (house.TOP / DESIGN).write_text(before + BEGIN + drawn + END + after, encoding="utf-8")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        print(drawn, end="")
