#!/usr/bin/env python3
"""A longlink device from the standard library, written from docs/protocol.md: a reference for other
languages. It takes the lanes of its products (no broadcasts, no upstream) and prints JSON lines.
device.py --dispatcher http://127.0.0.1:7100 --device d1 --token T --product demo"""
import argparse, base64, json, os, random, signal, socket, sys
from time import monotonic, sleep
from urllib import parse, request

HELLO, WELCOME, BOUND, BIND, UNBIND, PING, PONG, PUSH, ACK, UP, UPACK, REDIRECT, BYE = range(1, 14)
NAMES = {
    0: "OK", 1002: "HEARTBEAT_TIMEOUT", 1003: "ACK_TIMEOUT", 1004: "RECONNECT", 2001: "RATE_LIMITED",
    2002: "UNAVAILABLE", 2003: "BUSY", 2004: "REPLACED", 2005: "SLOW_CONSUMER", 2007: "INTERNAL",
    2011: "KICKED", 2012: "HELLO_TIMEOUT", 2014: "HOLD", 3001: "SERVER_FULL", 3002: "DRAINING",
    3003: "SHUTDOWN", 4001: "MALFORMED", 4002: "FRAME_TOO_LARGE", 4003: "PROTOCOL_ERROR",
    4004: "VERSION_UNSUPPORTED", 4011: "TOKEN_INVALID", 4012: "TOKEN_EXPIRED",
    4013: "TOKEN_WRONG_DEVICE", 4014: "PRODUCT_NOT_GRANTED", 4015: "UNKNOWN_PRODUCT", 4016: "BANNED",
    4017: "UNBOUND", 4018: "TOO_MANY_BINDINGS", 4021: "INVALID_ARGUMENT", 4022: "PAYLOAD_TOO_LARGE"}
HINTS = {2003: 2000, 2004: 10000, 2011: 5000, 2014: 5000, 3001: 1000, 3003: 500}
PATIENCE, TICK = 15, 0.2  # seconds: for connecting, WELCOME, an answer to PING; between looks around

class Ended(Exception):  # the connection, and why; remote: the room said so with BYE
    def __init__(self, code, reason, retry_ms=0, remote=False):
        self.code, self.reason, self.retry_ms, self.remote = code, reason, retry_ms, remote

def away(code, retry_ms):  # how many seconds a code asks to stay away
    default = HINTS.get(code, 1000 if code // 1000 == 2 or code > 5999 else 0)
    return (retry_ms or default) / 1000 * random.uniform(1, 1.25)

def length(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + length(n >> 7)

def number(value):
    return int.from_bytes(value, "big")

def field(ident, value):
    if isinstance(value, int):
        value = value.to_bytes((value.bit_length() + 7) // 8, "big")
    value = value.encode() if isinstance(value, str) else value
    return bytes([ident]) + length(len(value)) + value if value else b""

class Reader:  # takes parts from the front of data; ValueError: it ends early
    def __init__(self, data):
        self.data = data
    def take(self, size):
        if size > len(self.data):
            raise ValueError("a frame is cut short")
        part, self.data = self.data[:size], self.data[size:]
        return part
    def number(self, size):
        return number(self.take(size))
    def length(self):
        n = 0
        for shift in 0, 7, 14:
            byte = self.number(1)
            n |= (byte & 127) << shift
            if byte < 128:
                return n
        raise Ended(4002, "a length of more than three bytes")
    def fields(self):
        while self.data:
            yield self.number(1), self.take(self.length())

class Device:
    def __init__(self, args):
        self.args, self.left, self.stopping, self.failures = args, args.count_messages, False, 0
        self.state = {"epoch": 0, "group": [], "cursors": {}}
        if args.state and os.path.exists(args.state):
            with open(args.state) as f:
                self.state.update(json.load(f))
        self.group, self.cursors = self.state["group"], self.state["cursors"]
        self.failed, self.expires = [], 0  # addresses since the last WELCOME; of the group
        self.backoff = {"base_ms": 500, "max_ms": 60000, "jitter": 0.5}

    def stop(self, *_):  # a signal only leaves word: nothing is cut in two
        self.stopping = True

    def say(self, kind, **more):
        print(json.dumps({"type": kind, "device": self.args.device, **more}), flush=True)

    def store(self):
        if self.args.state:
            with open(self.args.state + ".tmp", "w") as f:
                json.dump(self.state, f)
                f.flush()
                os.fsync(f.fileno())
            os.replace(self.args.state + ".tmp", self.args.state)

    def address(self):  # the last good one, the rest of the group, then what the dispatcher says
        stale = self.failed and monotonic() > self.expires
        if stale or not self.group or self.group[0] in self.failed:
            query = {"device": self.args.device, "transport": "tcp", "failed": ",".join(self.failed)}
            try:
                url = f"{self.args.dispatcher.rstrip('/')}/v1/rooms?{parse.urlencode(query)}"
                with request.urlopen(url, timeout=10) as r:
                    answer = json.loads(r.read(64 << 10))
                self.group[:] = [r["addr"] for r in answer["rooms"] if r["transport"] == "tcp"]
                self.expires, self.backoff = monotonic() + answer["ttl_s"], answer["backoff"]
            except Exception as e:  # round the old group again
                print(f"dispatcher: {e}", file=sys.stderr)
        return self.group[0] if self.group else None

    def send(self, kind, body=b""):
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(bytes([kind]) + length(len(body)) + body)
        self.wrote = monotonic()

    def binding(self, product):
        self.sent[product] = self.cursors.get(product, 0)
        return field(1, product) + field(3, self.sent[product])

    def serve(self, addr):  # one connection, until Ended or OSError
        host, _, port = addr.rpartition(":")
        self.sock = socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
        self.addr, self.began, self.buffer, self.max_frame = addr, monotonic(), b"", 80 << 10
        self.sent, self.bound, self.rebind, self.unacked = {}, {}, {}, set()
        hello = bytes([1, 0, 0, 0, 0]) + field(1, self.args.device) + field(2, self.args.token)
        for product in self.args.product:
            hello += field(3, self.binding(product))
        self.send(HELLO, hello + field(5, self.state["epoch"]) + field(7, "longlink-py/1"))
        while not self.stopping:
            self.look_at_the_clock(monotonic())
            self.sock.settimeout(TICK)
            try:
                data = self.sock.recv(64 << 10)
            except TimeoutError:
                continue
            if not data:
                raise ConnectionError("connection lost")
            self.heard, self.pinged, self.buffer = monotonic(), 0, self.buffer + data
            while self.left != 0 and self.frame():
                pass
            if self.unacked:  # consumed, then stored, then acknowledged, once for all that came
                self.store()
            for p in self.unacked:
                self.send(ACK, bytes([0, len(p)]) + p.encode() + self.cursors[p].to_bytes(8, "big"))
            self.unacked.clear()
            self.stopping = self.stopping or self.left == 0
        raise Ended(0, "stopping")

    def look_at_the_clock(self, now):
        if not self.welcomed:
            if now > self.began + PATIENCE:
                raise Ended(2002, "no WELCOME")
            return
        for product in [p for p, at in self.rebind.items() if now > at]:
            del self.rebind[product]
            self.send(BIND, self.binding(product))
        if self.pinged and now > self.pinged + PATIENCE:
            raise Ended(1002, "no answer to PING")
        if not self.pinged and now > min(self.wrote, self.heard) + self.interval:
            self.send(PING)
            self.pinged = now

    def frame(self):  # handles one of the buffer; False if there is no whole one
        r = Reader(self.buffer)
        try:
            kind, size = r.number(1), r.length()
            if size > self.max_frame:
                raise Ended(4002, f"a frame of {size} bytes")
            body, self.buffer = Reader(r.take(size)), r.data
        except ValueError:
            return False
        if kind in (HELLO, BIND, UNBIND, ACK, UP) or \
                kind in (BOUND, PING, PUSH, UPACK, REDIRECT) and not self.welcomed or \
                kind == WELCOME and self.welcomed:
            raise Ended(4003, f"frame {kind} out of place")
        if kind == WELCOME:
            self.on_welcome(body)
        elif kind == BOUND:
            self.on_bound(dict(body.fields()))
        elif kind == PING:
            self.send(PONG)
        elif kind == PUSH:
            self.on_push(body)
        elif kind == BYE:
            code, retry_ms, f = body.number(2), body.number(4), dict(body.fields())
            raise Ended(code, f.get(1, b"").decode(), retry_ms, remote=True)
        return True
