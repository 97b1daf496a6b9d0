"""Hits of libCacheSim's policies on the traces of a folder: lines of trace, policy and hits."""

import os
import struct
import sys

import libcachesim

CAPACITY = 100
POLICIES = {
    "LRU": libcachesim.LRU,
    "SIEVE": libcachesim.Sieve,
    "ARC": libcachesim.ARC,
    "W-TinyLFU": libcachesim.WTinyLFU,
    "S3-FIFO": libcachesim.S3FIFO,
    "LIRS": libcachesim.LIRS,
    "MQ": libcachesim.MQ,
}

request = libcachesim.Request()
request.obj_size = 1
for file in sorted(os.listdir(sys.argv[1])):
    data = open(os.path.join(sys.argv[1], file), "rb").read()
    trace = struct.unpack(f"<{len(data) // 4}I", data)
    for name, policy in POLICIES.items():
        # Its tables are for millions of objects unless told otherwise.
        cache = policy(CAPACITY, hashpower=14)
        hits = 0
        for room in trace:
            request.obj_id = room + 1
            hits += cache.get(request)
        print(f"{file.removesuffix('.u32')}\t{name}\t{hits}")
