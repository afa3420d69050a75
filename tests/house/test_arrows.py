#!/usr/bin/env python3
"""The arrows between rooms run one way, every folder of the product is a room, and docs/design.md shows the arrows that
CMake holds."""
import json

import arrows, house

PRODUCT = ("core", "kernels", "datasets", "dist", "launch")


def complaints(entries, page, folders):
    rooms = house.rooms_of(entries)
    found = [f"{f} holds sources and is no room: CMakeLists.txt lacks gt_folder for it"
             for f in sorted(folders - {r.folder for r in rooms.values()})]
    try:
        if arrows.parts(page)[1] != arrows.picture(rooms):
            found.append(f"{arrows.DESIGN} is behind the arrows: run tests/house/arrows.py --write")
    except ValueError as e:
        found.append(str(e))
    return found


def entry(target, links):
    return dict(target=target, folder=target, links=links, interface=links)


good = [entry("top", "ground"), entry("ground", "")]
page = arrows.BEGIN + arrows.picture(house.rooms_of(good)) + arrows.END
assert complaints(good, page, {"top", "ground"}) == []
house.must_complain(complaints([entry("top", "ground"), entry("ground", "top")], page, set()), "circle")
house.must_complain(complaints(good + [entry("attic", "top")], page, set()), "behind")
house.must_complain(complaints(good, page, {"cellar"}), "no room")

sources = {str(p.parent) for p in house.files(".c", ".cu", under=PRODUCT)}
house.report(complaints(json.loads((house.BUILD / "rooms.json").read_text()), house.text(arrows.DESIGN), sources), "arrows")
