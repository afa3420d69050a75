#!/usr/bin/env python3
"""Decodes the event files that test_metrics writes: with a decoder of its own, and with TensorBoard's where there is one."""
import glob, os, struct, subprocess, sys, tempfile


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c ^= b
        for _ in range(8):
            c = (c >> 1) ^ (0x82F63B78 if c & 1 else 0)
    return c ^ 0xFFFFFFFF


def masked(data):
    c = crc32c(data)
    return (((c >> 15) | (c << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    raw, at = open(path, "rb").read(), 0
    while at < len(raw):
        head = raw[at:at + 8]
        n, = struct.unpack("<Q", head)
        assert struct.unpack("<I", raw[at + 8:at + 12])[0] == masked(head), "length checksum"
        data = raw[at + 12:at + 12 + n]
        assert len(data) == n and struct.unpack("<I", raw[at + 12 + n:at + 16 + n])[0] == masked(data), "data checksum"
        yield data
        at += 16 + n


def varint(data, at):
    value = shift = 0
    while True:
        b = data[at]
        at += 1
        value |= (b & 127) << shift
        shift += 7
        if b < 128:
            return value, at


def fields(data):
    at, out = 0, {}
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack("<f", data[at:at + 4])[0], at + 4
        else:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        out[key >> 3] = value
    return out


def decode(path):
    scalars, starts, versions = [], [], []
    for data in records(path):
        event = fields(data)
        assert event[1] > 1e9, "wall time"
        if 3 in event:
            versions.append(event[3])
        if 7 in event:
            starts.append((event.get(2, 0), fields(event[7])[1]))
        if 5 in event:
            value = fields(fields(event[5])[1])
            scalars.append((value[1].decode(), event.get(2, 0), value[2]))
    assert versions == [b"brain.Event:2"]
    return scalars, starts


def main():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.argv[1] if len(sys.argv) > 1 else os.environ["GT_TEST_METRICS"], folder], check=True)
        files = sorted(glob.glob(folder + "/runs/events.out.tfevents.*"))
        assert len(files) == 2, files
        f32 = lambda x: struct.unpack("<f", struct.pack("<f", x))[0]
        scalars, starts = decode(files[0])
        assert scalars == [("train/epoch", 1, 0.5), ("train/loss", 1, 2.5), ("train/learning_rate", 1, f32(2e-5)),
                           ("train/epoch", 300, 1.5), ("eval/loss", 300, 1.75)], scalars
        assert starts == [(0, 1)], starts
        assert decode(files[1]) == ([], [(2, 1)])  # the resume voids steps from 2 on
        print("own decoder: both files are as written")
        try:
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        except ImportError:
            print("SKIP: no tensorboard package; the own decoder alone judged")
            return
        reader = EventAccumulator(folder + "/runs")
        reader.Reload()
        assert [(e.step, e.value) for e in reader.Scalars("train/loss")] == [(1, 2.5)]
        assert "eval/loss" not in reader.Tags()["scalars"] or not reader.Scalars("eval/loss")  # voided by the resume
        print("TensorBoard reads the same")


main()
