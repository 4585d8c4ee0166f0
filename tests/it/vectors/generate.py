#!/usr/bin/env python3
"""Generates the files of this directory.

They are made-up events in the formats of docs/protocol, written by an encoder that shares no code
with skytail: DAG-CBOR, CIDs, v1 lines, v2 frames, archive segments. Needs the command `zstd` and
the Python package `xxhash`. The files are committed; run this again only to change them.
"""

import base64
import hashlib
import json
import struct
import subprocess

import xxhash

SEQ = 7_000_001
TIME_US = 1_783_175_888_085_434


class Link:
    def __init__(self, cid):
        self.cid = cid


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | code]) + n.to_bytes(size, "big")
    raise ValueError(n)


def cbor(value):
    if value is None or isinstance(value, bool):
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, Link):
        return head(6, 42) + cbor(b"\0" + value.cid)
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
    return head(5, len(keys)) + b"".join(cbor(key) + cbor(value[key]) for key in keys)


def cid(payload, codec=0x71):
    return bytes([1, codec, 0x12, 32]) + hashlib.sha256(payload).digest()


def spell(cid):
    return "b" + base64.b32encode(cid).decode().lower().rstrip("=")


def plain(value):
    """The JSON value of a record."""
    if isinstance(value, Link):
        return {"$link": spell(value.cid)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode().rstrip("=")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value, key=str.encode)}
    return value


def text(value):
    """The JSON text that servers write: compact, and with these characters escaped."""
    out = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        out = out.replace(char, "\\u%04x" % ord(char))
    return out


def did(n):
    letters = base64.b32encode(hashlib.sha256(b"account %d" % n).digest()).decode().lower()
    return "did:plc:" + letters[:24]


def tid(n):
    alphabet = "234567abcdefghijklmnopqrstuvwxyz"
    number = (TIME_US + 1_009 * n) << 10 | n % 1024
    return "".join(alphabet[number >> 5 * i & 31] for i in reversed(range(13)))


def blob(n):
    content = cid(b"picture %d" % n, codec=0x55)
    return {"$type": "blob", "ref": Link(content), "mimeType": "image/jpeg", "size": 1_000 + n}


def subject(n):
    uri = "at://%s/app.bsky.feed.post/%s" % (did(n), tid(n))
    return {"cid": spell(cid(uri.encode())), "uri": uri}


def records(n):
    when = "2026-07-04T14:38:%02d.%03dZ" % (n % 60, n * 37 % 1000)
    link = "https://example.com/?a=%d&b=<%d>" % (n, n)
    return [
        ("app.bsky.feed.like", {"subject": subject(n), "createdAt": when}),
        ("app.bsky.feed.post", {"text": "post %d" % n, "langs": ["en"], "createdAt": when}),
        ("app.bsky.graph.follow", {"subject": did(n + 7), "createdAt": when}),
        ("app.bsky.feed.post", {
            "text": "看 \U0001f389 \"quoted\" \\ tab\t line\n<b>&amp;</b> \u2028 e\u0301 %d" % n,
            "langs": ["zh", "en"],
            "createdAt": when,
            "facets": [{
                "index": {"byteStart": 0, "byteEnd": 3},
                "features": [{"$type": "app.bsky.richtext.facet#link", "uri": link}],
            }],
        }),
        ("app.bsky.feed.repost", {"subject": subject(n + 1), "createdAt": when}),
        ("app.bsky.feed.post", {
            "text": "",
            "createdAt": when,
            "reply": {"root": subject(n), "parent": subject(n + 2)},
            "embed": {
                "$type": "app.bsky.embed.images",
                "images": [{"alt": "seq\":1,\"did", "image": blob(n)}],
            },
        }),
        ("com.example.odd.record", {
            "createdAt": when,
            "seq": n, "time": "x", "did": None, "kind": True, "rkey": [], "commit": {},
            "numbers": [0, -1, 23, 24, 255, 256, 65_536, 2**32, 2**53, -(2**53), 0.5, -1234.75],
            "bytes": bytes(range(n % 5)), "nested": [[[{"a": [{}]}]], "\u007f\u0001"],
        }),
    ]


def events():
    found = []
    for n in range(42):
        kind, operation = "commit", "create"
        collection, record = records(n)[n % 7]
        record = {"$type": collection, **record}
        if n % 11 == 5:
            operation = "update"
        elif n % 9 == 7:
            operation, record = "delete", None
        elif n in (20, 33):
            kind, record = "identity", {"handle": "h%d.example.com" % n}
            if n == 33:
                record = {}
        elif n in (21, 34):
            kind, record = "account", {"active": n == 21}
            if n == 34:
                record["status"] = "deactivated"
        if kind != "commit":
            when = "2026-07-04T14:38:%02d.000Z" % n
            record = {**record, "did": did(n % 13), "seq": 31_527_015_470 + n, "time": when}
        found.append({
            "did": did(n % 13), "time_us": TIME_US + 2_113 * n, "seq": SEQ + n, "kind": kind,
            "operation": operation, "collection": collection, "rkey": tid(n), "rev": tid(n + 500),
            "record": record,
        })
    return found


def v1_line(event):
    outer = {name: event[name] for name in ("did", "time_us", "kind")}
    if event["kind"] != "commit":
        return text({**outer, event["kind"]: plain(event["record"])})
    commit = {name: event[name] for name in ("rev", "operation", "collection", "rkey")}
    if event["record"] is not None:
        commit["record"] = plain(event["record"])
        commit["cid"] = spell(cid(cbor(event["record"])))
    return text({**outer, "commit": commit})


def v2_frame(event):
    us = event["time_us"]
    day, hour, minute = "2026-07-04", 14, 38
    seconds = us - 1_783_175_880_000_000
    payload = {
        "$type": "network.bsky.jetstream.subscribeEvents#" + event["kind"],
        "did": event["did"], "seq": event["seq"],
        "time": "%sT%02d:%02d:%02d.%06dZ" % (day, hour, minute, *divmod(seconds, 1_000_000)),
    }
    if event["kind"] == "commit":
        for name in ("collection", "operation", "rev", "rkey"):
            payload[name] = event[name]
        if event["record"] is not None:
            payload["record"] = plain(event["record"])
            payload["cid"] = spell(cid(cbor(event["record"])))
    else:
        payload[event["kind"]] = plain(event["record"])
    members = {name: payload[name] for name in sorted(payload, key=str.encode)}
    return text({"$type": "message", "payload": members})


def zstd(data):
    return subprocess.run(["zstd", "-q", "-19", "--check"], input=data, stdout=-1, check=True).stdout


KINDS = {1: "create", 2: "update", 3: "delete", 4: "identity", 5: "account", 6: "sync", 7: "create"}


def row(seq, kind, did, collection, rkey, rev, payload, witnessed_at, indexed_at=0):
    return {
        "seq": seq, "witnessed_at": witnessed_at, "indexed_at": indexed_at, "kind": kind, "did": did,
        "collection": collection, "rkey": rkey, "rev": rev, "payload": payload,
    }


def block(rows):
    if not rows:
        return bytes(4)
    columns = [struct.pack("<I", len(rows))]
    for name, form in (("seq", "Q"), ("witnessed_at", "q"), ("indexed_at", "q"), ("kind", "B")):
        columns += [struct.pack("<" + form, row[name]) for row in rows]
    raw = [
        {name: row[name] if name == "payload" else row[name].encode() for name in LENGTHS}
        for row in rows
    ]
    for name, form in LENGTHS.items():
        columns += [struct.pack("<" + form, len(row[name])) for row in raw]
    for name in ("collection", "did", "rkey", "rev", "payload"):
        columns += [row[name] for row in raw]
    return b"".join(columns)


LENGTHS = {"collection": "B", "did": "H", "rkey": "B", "rev": "B", "payload": "I"}


def bounds(rows, name, otherwise=(0, 0)):
    values = [row[name] for row in rows]
    return (min(values), max(values)) if values else otherwise


def filter_of(items, blocks):
    return struct.pack("<BIQQ", 1, 15, blocks, items) + b"\xa5" * (64 * blocks)


def segment(blocks, historical, filter_blocks):
    """`historical` holds the bounds of blocks that have been emptied, by index."""
    frames = [zstd(block(rows)) for rows in blocks]
    rows = [row for block in blocks for row in block]
    body, index = b"", b""
    for i, frame in enumerate(frames):
        seqs, times = historical.get(i, (bounds(blocks[i], "seq"), bounds(blocks[i], "witnessed_at")))
        index += struct.pack("<QIII", 256 + len(body), len(frame), len(block(blocks[i])), len(blocks[i]))
        index += struct.pack("<QQqq", *seqs, *times)
        body += struct.pack("<Q", len(frame)) + frame
    dids = {row["did"] for row in rows}
    filters = [filter_of(len({row["did"] for row in rows}), filter_blocks) for rows in blocks]
    sentinel = {4: "$identity", 5: "$account", 6: "$sync"}
    name = lambda row: sentinel.get(row["kind"], row["collection"])
    names = sorted({name(row) for row in rows})
    counts = [sum(row["collection"] == n for row in rows) for n in names]
    table = b"".join(
        struct.pack("<BI", len(n), count) + n.encode() for n, count in zip(names, counts)
    )
    mask_len = (len(names) + 7) // 8
    for held in blocks:
        mask = sum(1 << i for i, n in enumerate(names) if n in {name(row) for row in held})
        table += mask.to_bytes(mask_len, "little")
    collections = struct.pack("<IIII", len(names), len(blocks), mask_len, len(table)) + zstd(table)
    did_filter = filter_of(len(dids), 1)
    block_filters = struct.pack("<II", len(blocks), len(filters[0])) + b"".join(filters)
    offsets = [256 + len(body)]
    for part in (index, did_filter, block_filters):
        offsets.append(offsets[-1] + len(part))
    footer = index + did_filter + block_filters + collections
    seqs, times = bounds(rows, "seq"), bounds(rows, "witnessed_at")
    head = struct.pack("<HIII", 1, len(blocks), len(rows), len(dids))
    head += struct.pack("<QQqq", *seqs, *times)
    head += struct.pack("<QQQQQ", offsets[0], *offsets[1:], offsets[0])
    head = head.ljust(244, b"\0")
    checksum = xxhash.xxh3_64_intdigest(head + footer)
    return b"jss0" + struct.pack("<Q", checksum) + head + body + footer


def expected(blocks, numbered=True):
    lines = []
    for i, rows in enumerate(blocks):
        for row in rows:
            found = {"block": i} if numbered else {}
            found |= {name: row[name] for name in row if name != "payload"}
            found["payload_len"] = len(row["payload"])
            if row["kind"] in (1, 2, 7):
                found["cid"] = spell(cid(row["payload"]))
            if "record" in row:
                found["record"] = plain(row["record"])
            lines.append(text({name: found[name] for name in found if name != "record"} | (
                {"record": found["record"]} if "record" in found else {})))
    return "\n".join(lines) + "\n"


def corpus():
    rows = []
    for n, event in enumerate(events()[:36]):
        kinds = {"create": 7 if n % 10 == 8 else 1, "update": 2, "delete": 3}
        kind = {"identity": 4, "account": 5}.get(event["kind"], kinds[event["operation"]])
        body, rev = event["record"], event["rev"]
        is_commit = event["kind"] == "commit"
        if n == 30:
            kind, is_commit = 6, False
            body = {"did": event["did"], "rev": rev, "seq": 31_527_015_500, "blocks": b"\0car\xff",
                    "time": "2026-07-04T14:38:30.000Z"}
        rows.append(row(
            event["seq"], kind, event["did"], event["collection"] if is_commit else "",
            event["rkey"] if is_commit else "", rev if is_commit or kind == 6 else "",
            b"" if body is None else cbor(body), event["time_us"],
            event["time_us"] - 86_400_000_000 if n % 4 == 3 else 0,
        ))
        if body is not None:
            rows[-1]["record"] = body
    return [rows[:16], rows[16:17], rows[17:]]


def write(name, data):
    with open(name, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def main():
    found = events()
    write("sample_v1.jsonl", "".join(v1_line(event) + "\n" for event in found))
    info = {"$type": "network.bsky.jetstream.subscribeEvents#info",
            "message": "starting at seq %d" % SEQ, "name": "OutdatedCursor"}
    write("sample_v2.jsonl", "\n".join(
        [v2_frame(event) for event in found]
        + [text({"$type": "message", "payload": info}),
           text({"$type": "error", "error": "ConsumerTooSlow", "message": "reconnect"})]) + "\n")

    blocks = corpus()
    write("corpus.jss", segment(blocks, {}, 2))
    write("corpus.expected.jsonl", expected(blocks))
    write("corpus.records.tsv", "".join(
        "%s/%s\t%s\n" % (row["collection"], row["rkey"], spell(cid(row["payload"])))
        for rows in blocks for row in rows if row["kind"] in (1, 2, 7)))

    broken = [[
        row(1, 1, "did:plc:a", "app.bsky.feed.post", "k1", "v1", b"p1", 100),
        row(2, 1, "did:plc:b", "app.bsky.feed.like", "k2", "v2", b"p2", 200, 250),
    ]]
    write("broken_records.jss", segment(broken, {}, 1))
    write("broken_records.expected.jsonl", expected(broken))

    wide = [
        [row(n, 1, "did:plc:u%d" % (n % 3), "app.bsky.feed.post", "k%d" % n, "v%d" % n,
             b"payload", n) for n in range(4 * i + 1, 4 * i + 5)]
        for i in range(3)
    ]
    wide[1] = []
    write("wide_filters.jss", segment(wide, {1: ((5, 8), (5, 8))}, 32))
    write("wide_filters.expected.jsonl", expected(wide))

    body = {"hello": 5}
    bare = [
        row(1, 1, did(1), "app.bsky.feed.post", tid(1), tid(2), cbor(body), 1_700_000_000_000_000),
        row(2, 4, "did:web:example.com", "", "", "", b"", 1_700_000_001_000_000,
            1_700_000_000_500_000),
        row(3, 3, did(2), "app.bsky.feed.like", tid(3), tid(4), b"", 1_700_000_002_000_000),
    ]
    bare[0]["record"] = body
    write("block.bin", zstd(block(bare)))
    write("block.expected.jsonl", expected([bare], numbered=False))


main()
