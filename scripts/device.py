#!/usr/bin/env python3
"""A longlink device in plain Python, written from docs/protocol.md: a reference for other
languages. It takes the lanes of its products (no broadcasts) and prints JSON lines.
device.py --dispatcher http://127.0.0.1:7100 --device d1 --token T --product demo"""
import argparse, base64, json, os, random, select, signal, socket, sys, urllib.request
from time import monotonic, sleep
from urllib.parse import urlencode

HELLO, WELCOME, BOUND, BIND, _, PING, PONG, PUSH, ACK, _, _, _, BYE = range(1, 14)
NAMES = {
    0: "OK", 1002: "HEARTBEAT_TIMEOUT", 1003: "ACK_TIMEOUT", 1004: "RECONNECT",
    2001: "RATE_LIMITED", 2002: "UNAVAILABLE", 2003: "BUSY", 2004: "REPLACED",
    2005: "SLOW_CONSUMER", 2007: "INTERNAL", 2011: "KICKED", 2012: "HELLO_TIMEOUT", 2014: "HOLD",
    3001: "SERVER_FULL", 3002: "DRAINING", 3003: "SHUTDOWN", 4001: "MALFORMED",
    4002: "FRAME_TOO_LARGE", 4003: "PROTOCOL_ERROR", 4004: "VERSION_UNSUPPORTED",
    4011: "TOKEN_INVALID", 4012: "TOKEN_EXPIRED", 4013: "TOKEN_WRONG_DEVICE",
    4014: "PRODUCT_NOT_GRANTED", 4015: "UNKNOWN_PRODUCT", 4016: "BANNED", 4017: "UNBOUND",
    4018: "TOO_MANY_BINDINGS", 4021: "INVALID_ARGUMENT", 4022: "PAYLOAD_TOO_LARGE"}
HINTS = {2003: 2000, 2004: 10000, 2011: 5000, 2014: 5000, 3001: 1000, 3003: 500}
PATIENCE, TICK = 15, 0.2  # seconds: for connecting, WELCOME, PONG; between looks at the clock

class Ended(Exception):  # the connection; remote: the room said so with BYE
    def __init__(self, code, reason, retry_ms=0, remote=False):
        self.code, self.reason, self.retry_ms, self.remote = code, reason, retry_ms, remote

def hint(code, retry_ms):  # seconds to wait, with up to a quarter more
    default = HINTS.get(code, 1000 if code // 1000 == 2 or code > 5999 else 0)
    return (retry_ms or default) / 1000 * random.uniform(1, 1.25)

def length(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + length(n >> 7)

def pack(ident, body):  # a frame or a field: both are a byte, a length, a body
    return bytes([ident]) + length(len(body)) + body

def unpack(b, limit=1 << 21):  # the first of b: byte, body, what follows; IndexError: cut short
    n = 0
    for at in 1, 2, 3:
        n |= (b[at] & 127) << 7 * (at - 1)
        if b[at] < 128:
            break
    if b[at] > 127 or n > limit:
        raise Ended(4002, f"a length of {n} or more")
    if len(b) <= at + n:
        raise IndexError("cut short")
    return b[0], b[at + 1:at + 1 + n], b[at + 1 + n:]

def fields(b):
    while b:
        ident, value, b = unpack(b)
        yield ident, value

def s8(b):  # a text, and what follows
    return b[1:1 + b[0]].decode(), b[1 + b[0]:]

def u64(n):
    return n.to_bytes(8, "big")

def number(b):
    return int.from_bytes(b, "big")

class Device:
    def __init__(self, args):
        self.args, self.left, self.stopping = args, args.count_messages, False
        self.state = {"epoch": 0, "group": [], "cursors": {}}
        if args.state and os.path.exists(args.state):
            with open(args.state) as f:
                self.state = json.load(f)
        self.group, self.cursors, self.failed = self.state["group"], self.state["cursors"], []
        self.backoff = 500, 60000, 0.5  # base and most in ms, jitter

    def say(self, kind, **more):
        print(json.dumps({"type": kind, "device": self.args.device, **more}), flush=True)

    def store(self):
        if self.args.state:
            with open(self.args.state + ".tmp", "w") as f:
                json.dump(self.state, f)
                f.flush()
                os.fsync(f.fileno())
            os.replace(self.args.state + ".tmp", self.args.state)

    def address(self):  # the last good one, the rest of its group, then what the dispatcher says
        if not self.group or self.group[0] in self.failed:
            query = urlencode({"device": self.args.device, "transport": "tcp",
                               "failed": ",".join(self.failed)})
            try:
                url = f"{self.args.dispatcher.rstrip('/')}/v1/rooms?{query}"
                with urllib.request.urlopen(url, timeout=10) as r:
                    answer = json.loads(r.read(64 << 10))
                self.group[:] = [r["addr"] for r in answer["rooms"] if r["transport"] == "tcp"]
                self.backoff = [answer["backoff"][k] for k in ("base_ms", "max_ms", "jitter")]
            except Exception as e:  # round the old group again
                print(f"dispatcher: {e}", file=sys.stderr)
        if not self.group:
            raise ConnectionError("no address is known")
        return self.group[0]

    def send(self, kind, body=b""):
        self.sock.sendall(pack(kind, body))

    def binding(self, product):
        self.sent[product] = self.cursors.get(product, 0)
        return pack(1, product.encode()) + pack(3, u64(self.sent[product]))

    def serve(self, host, port):  # one connection, until an exception ends it
        self.sock = socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
        self.sent, self.bound, self.rebind, self.unacked, self.reported = {}, {}, {}, set(), False
        self.limit, self.dead, self.ping, self.silence = 80 << 10, 2002, float("inf"), PATIENCE
        hello = bytes([1, 0, 0, 0, 0])  # version 1, no features
        hello += pack(1, self.args.device.encode()) + pack(2, self.args.token.encode())
        hello += b"".join(pack(3, self.binding(p)) for p in self.args.product)
        self.send(HELLO, hello + pack(5, u64(self.state["epoch"])) + pack(7, b"longlink-py/1"))
        buffer, heard = b"", monotonic()
        while not self.stopping:
            if select.select([self.sock], [], [], TICK)[0]:
                buffer, heard, size = buffer + self.sock.recv(64 << 10), monotonic(), len(buffer)
                if len(buffer) == size:
                    raise ConnectionError("connection lost")
            while buffer and not self.stopping:
                try:
                    kind, body, buffer = unpack(buffer, self.limit)
                except IndexError:  # the rest is under way
                    break
                self.receive(kind, body)
            if self.unacked:  # consumed, now stored, then acknowledged: once for all that came
                self.store()
            while self.unacked:
                p = self.unacked.pop()
                self.send(ACK, bytes([0, len(p)]) + p.encode() + u64(self.cursors[p]))
            if monotonic() > heard + self.silence:
                raise Ended(1002 if self.welcomed else 2002, "the room is silent")
            if monotonic() > self.ping:  # whatever else was sent: simpler, and often enough
                self.send(PING)
                self.ping = monotonic() + self.interval
            for product in [p for p, at in self.rebind.items() if monotonic() > at]:
                del self.rebind[product]
                self.send(BIND, self.binding(product))
        raise Ended(0, "stopping")

    def receive(self, kind, b):
        if kind in (WELCOME, BOUND, PING, PUSH) and (kind == WELCOME) == bool(self.welcomed):
            raise Ended(4003, f"frame {kind} out of place")
        if kind == WELCOME:
            self.on_welcome(dict(fields(b[5:])))
        elif kind == BOUND:
            self.on_bound(dict(fields(b)))
        elif kind == PING:
            self.send(PONG)
        elif kind == PUSH and not b[0] & 1:  # not a broadcast
            self.on_push(b[0], *s8(b[1:]))
        elif kind == BYE:
            reason = dict(fields(b[6:])).get(1, b"").decode()
            raise Ended(number(b[:2]), reason, number(b[2:6]), remote=True)
        final = [self.bound.get(p, 2000) // 1000 in (0, 4) for p in self.args.product]
        if self.welcomed and not self.reported and all(final):
            self.store()
            self.say("connected", room=self.room, session=self.session, resumed=False)
            self.reported = True

    def on_welcome(self, f):
        self.session, self.room, self.failed = number(f[1]), f.get(2, b"").decode(), []
        self.state["epoch"] = max(self.state["epoch"], self.session)
        self.limit = number(f.get(6, b"")) or 80 << 10
        self.interval = (number(f.get(3, b"")) or 300000) / 1000 * random.uniform(0.9, 1)
        self.welcomed, self.silence = monotonic(), self.interval + PATIENCE
        self.ping = self.welcomed + self.interval

    def on_bound(self, f):
        product, code, cursor = f[1].decode(), number(f.get(2, b"")), number(f.get(4, b""))
        cut = self.bound.get(product) != 0 and cursor < self.sent.get(product, 0)
        if code == 0 and (cut or cursor > self.cursors.get(product, 0)):
            self.cursors[product] = cursor
            self.store()
        if code // 1000 not in (0, 4):
            self.rebind[product] = monotonic() + hint(code, number(f.get(3, b"")))
        if code:
            print(f"{product}: {NAMES.get(code, code)}", file=sys.stderr)
        self.bound[product] = code

    def on_push(self, flags, product, b):
        seq, (ident, b) = number(b[:8]), s8(b[8:])
        _, ext, payload = unpack(b"_" + b)  # a field without its first byte
        if self.bound.get(product) != 0:
            raise Ended(4003, f"PUSH of {product} before its BOUND")
        if seq:
            self.unacked.add(product)
        if 0 < seq <= self.cursors.get(product, 0):
            return  # consumed before
        more = {"payload": base64.b64encode(payload).decode()}
        try:
            if flags & 6:
                more = {"text": payload.decode()} if flags & 2 else {"json": json.loads(payload)}
        except (ValueError, RecursionError):
            pass  # it is not what the flags say: shown as bytes
        data = [dict(fields(v)) for i, v in fields(ext) if i == 1]
        if data:
            more["data"] = {f[1].decode(): f.get(2, b"").decode() for f in data}
        self.say("message", product=product, id=ident, seq=seq, broadcast=False, **more)
        if seq:
            self.cursors[product] = seq
        self.left = self.left and self.left - 1
        self.stopping = self.stopping or self.left == 0

    def close(self, end):
        try:
            if not end.remote:
                code = end.code if end.code > 3999 else 0
                self.send(BYE, code.to_bytes(2, "big") + bytes(4))
        except OSError:
            pass  # nobody is there to hear it
        self.sock.close()
        self.store()
        if not self.stopping:
            name = NAMES.get(end.code, f"CODE_{end.code}")
            self.say("disconnected", code=name, reason=end.reason)

    def run(self):
        failures = 0
        while not self.stopping:
            self.sock, self.welcomed, addr = None, None, ""
            try:
                addr = self.address()
                host, _, port = addr.rpartition(":")
                self.serve(host, port)
            except (Ended, OSError, ValueError, LookupError) as e:
                code = 2002 if isinstance(e, OSError) else 4001
                end = e if isinstance(e, Ended) else Ended(code, f"{addr}: {e}")
            if self.sock:
                self.close(end)
            if end.remote and end.code // 1000 == 4:
                print(f"refused for good: {end.reason}", file=sys.stderr)
                return 1
            if addr and (end.code // 1000 in (3, 4) or not (end.remote or self.welcomed)):
                self.failed = self.failed[-31:] + [addr]
                self.group.append(self.group.pop(0))
            lasted = self.welcomed and monotonic() > self.welcomed + 10
            failures = 1 if lasted else failures + 1
            base, most, jitter = self.backoff
            wait = min(most, base * 2 ** min(failures - 1, 30)) * random.uniform(1 - jitter, 1)
            if failures == 1:
                wait = base * random.random()
            wait = max(wait / 1000, hint(end.code, end.retry_ms) if end.remote else 0)
            until = monotonic() + wait
            while monotonic() < until and not self.stopping:
                sleep(TICK)
        return 0

if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__)
    for option in "--dispatcher", "--device", "--token":
        p.add_argument(option, required=True)
    p.add_argument("--product", action="append", default=[])
    p.add_argument("--state", metavar="FILE")
    p.add_argument("--count-messages", type=int)
    device = Device(p.parse_args())
    for s in signal.SIGTERM, signal.SIGINT:
        signal.signal(s, lambda *_: setattr(device, "stopping", True))
    sys.exit(device.run())
