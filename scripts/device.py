#!/usr/bin/env python3
"""A longlink device from the standard library, written from docs/protocol.md: a
reference for other languages and a proof that the page suffices. It takes the
lanes of its products (no broadcasts, no upstream) and prints JSON lines.

    device.py --dispatcher http://127.0.0.1:7100 --device d1 --token T --product demo
"""
import argparse, base64, json, os, random, signal, socket, struct, sys, time, urllib.parse, urllib.request

HELLO, WELCOME, BOUND, BIND, UNBIND, PING, PONG, PUSH, ACK, UP, UPACK, REDIRECT, BYE = range(1, 14)
NAMES = {0: "OK", 1002: "HEARTBEAT_TIMEOUT", 1003: "ACK_TIMEOUT", 1004: "RECONNECT", 2001: "RATE_LIMITED", 2002: "UNAVAILABLE",
         2003: "BUSY", 2004: "REPLACED", 2005: "SLOW_CONSUMER", 2007: "INTERNAL", 2011: "KICKED", 2012: "HELLO_TIMEOUT", 2014: "HOLD",
         3001: "SERVER_FULL", 3002: "DRAINING", 3003: "SHUTDOWN", 4001: "MALFORMED", 4002: "FRAME_TOO_LARGE", 4003: "PROTOCOL_ERROR",
         4004: "VERSION_UNSUPPORTED", 4011: "TOKEN_INVALID", 4012: "TOKEN_EXPIRED", 4013: "TOKEN_WRONG_DEVICE",
         4014: "PRODUCT_NOT_GRANTED", 4015: "UNKNOWN_PRODUCT", 4016: "BANNED", 4017: "UNBOUND", 4018: "TOO_MANY_BINDINGS",
         4021: "INVALID_ARGUMENT", 4022: "PAYLOAD_TOO_LARGE"}
HINTS = {2003: 2000, 2004: 10000, 2011: 5000, 2014: 5000, 3001: 1000, 3003: 500}  # other 2xxx: 1000
PATIENCE = 15  # seconds for connecting, for WELCOME, and for an answer to PING


class Stop(BaseException):
    """SIGTERM, SIGINT, or enough messages."""


class Ended(Exception):
    """The connection is over; leave says whether to try another address next."""
    def __init__(self, code, reason, retry_ms=0, remote=False, leave=False):
        self.code, self.reason, self.remote, self.leave = code, reason, remote, leave or remote and code // 1000 == 3
        self.retry = retry_ms or HINTS.get(code, 1000 if code // 1000 == 2 or code > 5999 else 0)


def stop(*_):
    raise Stop

class Waiting:
    """Signals come only in here: never between consuming a message and storing its cursor."""
    def __enter__(self): signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM, signal.SIGINT])
    def __exit__(self, *_): signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])

def name(code):
    return NAMES.get(code, f"CODE_{code}")

def leb(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + leb(n >> 7)

def length(b, at):  # the number at b[at:], and what follows it; None while b is too short
    n = 0
    for i in range(3):
        if at + i >= len(b):
            return None, at
        n |= (b[at + i] & 127) << 7 * i
        if b[at + i] < 128:
            return n, at + i + 1
    raise Ended(4002, "a length of more than three bytes", leave=True)

def field(ident, value):
    value = value.to_bytes((value.bit_length() + 7) // 8, "big") if isinstance(value, int) else value.encode() if isinstance(value, str) else value
    return bytes([ident]) + leb(len(value)) + value if value else b""

def piece(b, at, n):
    if n is None or at + n > len(b):
        raise ValueError("a body ends early")
    return b[at:at + n], at + n

def fields(b):
    at = 0
    while at < len(b):
        ident, (n, start) = b[at], length(b, at + 1)
        value, at = piece(b, start, n)
        yield ident, value

number = lambda v: int.from_bytes(v, "big")


class Device:
    def __init__(self, args):
        self.args, self.left, self.fails, self.backoff, self.sock = args, args.count_messages, 0, (500, 60000, 0.5), None
        self.state, self.tried, self.fresh = {"epoch": 0, "group": [], "cursors": {}}, [], 0
        if args.state and os.path.exists(args.state):
            with open(args.state) as f:
                self.state.update(json.load(f))
        self.cursors = self.state["cursors"]

    def say(self, kind, **more):
        print(json.dumps({"type": kind, "device": self.args.device, **more}), flush=True)

    def store(self):
        if self.args.state:
            with open(self.args.state + ".tmp", "w") as f:
                json.dump(self.state, f)
                f.flush()
                os.fsync(f.fileno())
            os.replace(self.args.state + ".tmp", self.args.state)

    def address(self):  # the last good one, the rest of the group, a new group, round again
        rest = [a for a in self.state["group"] if a not in self.tried]
        if rest and (rest[0] == self.state["group"][0] or time.monotonic() < self.fresh):
            return rest[0]
        query = urllib.parse.urlencode({"device": self.args.device, "transport": "tcp", "failed": ",".join(self.tried[-32:])})
        try:
            with Waiting(), urllib.request.urlopen(f"{self.args.dispatcher.rstrip('/')}/v1/rooms?{query}", timeout=10) as answer:
                a = json.loads(answer.read(64 << 10))
            self.state["group"] = [r["addr"] for r in a["rooms"] if r["transport"] == "tcp"][:16] or self.state["group"]
            self.fresh, b, rest = time.monotonic() + a["ttl_s"], a["backoff"], []
            self.backoff = b["base_ms"], b["max_ms"], b["jitter"]
        except (OSError, ValueError, KeyError, TypeError) as e:
            print(f"dispatcher: {e}", file=sys.stderr)
        if not rest:
            self.tried = []
        if not self.state["group"]:
            raise Ended(2002, "no address is known")
        return (rest or self.state["group"])[0]

    def write(self, kind, body=b""):
        self.sock.settimeout(PATIENCE)
        self.sock.sendall(bytes([kind]) + leb(len(body)) + body)
        self.wrote = time.monotonic()

    def binding(self, product):
        self.sent[product] = self.cursors.get(product, 0)
        return field(1, product) + field(3, self.sent[product])

    def session(self):  # one connection, until Ended or Stop
        host, _, port = self.addr.rpartition(":")
        with Waiting():
            self.sock = socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
        self.bound, self.sent, self.again, self.reported, self.limit, self.pinged = {}, {}, {}, False, 80 << 10, 0
        self.heard, self.idle, buf = time.monotonic(), 0, b""
        self.write(HELLO, bytes([1, 0, 0, 0, 0]) + field(1, self.args.device) + field(2, self.args.token) + b"".join(
            field(3, self.binding(p)) for p in self.args.product) + field(5, self.state["epoch"]) + field(7, "longlink-py/1"))
        while True:
            self.sock.settimeout(max(0.01, self.due() - time.monotonic()))
            try:
                with Waiting():
                    more = self.sock.recv(65536)
            except TimeoutError:
                continue
            if not more:
                raise Ended(2002, "connection lost")
            buf, self.heard, self.pinged, acks = buf + more, time.monotonic(), 0, {}
            while buf and self.left != 0:
                n, at = length(buf, 1)
                if n is not None and n > self.limit:
                    raise Ended(4002, f"a frame of {n} bytes", leave=True)
                if n is None or len(buf) < at + n:
                    break
                kind, body, buf = buf[0], buf[at:at + n], buf[at + n:]
                try:
                    self.frame(kind, body, acks)
                except Ended:
                    self.store()
                    raise
            if acks:  # consumed, then stored, then acknowledged: one ACK for all
                self.store()
            for product, seq in acks.items():
                self.write(ACK, b"\0" + leb(len(product)) + product.encode() + struct.pack(">Q", seq))
            if self.left == 0:
                raise Stop

    def due(self):  # does what the time asks for, and says when it asks again
        now = time.monotonic()
        if self.pinged and now >= self.pinged + PATIENCE:
            raise Ended(1002, "no answer to PING")
        if not self.idle:  # no WELCOME yet
            if now >= self.heard + PATIENCE:
                raise Ended(2002, "no WELCOME", leave=True)
            return self.heard + PATIENCE
        for product in [p for p, at in self.again.items() if now >= at]:
            del self.again[product]
            self.write(BIND, self.binding(product))
        if not self.pinged and now >= min(self.wrote, self.heard) + self.idle:
            self.write(PING)
            self.pinged = now
        return min([self.pinged + PATIENCE if self.pinged else min(self.wrote, self.heard) + self.idle, *self.again.values()])

    def frame(self, kind, body, acks):
        if kind in range(HELLO, BYE) and (kind == WELCOME) == bool(self.idle):
            raise Ended(4003, f"frame {kind} out of place", leave=True)
        if kind == WELCOME:
            f = dict(fields(body[5:]))
            self.room, self.session_id = f.get(2, b"").decode(), number(f.get(1, b""))
            self.idle = (number(f.get(3, b"")) or 300000) / 1000 * random.uniform(0.9, 1)
            self.limit = number(f.get(6, b"")) or 80 << 10
            self.state["epoch"] = max(self.state["epoch"], self.session_id)
            self.state["group"] = [self.addr] + [a for a in self.state["group"] if a != self.addr]
            self.tried, self.welcomed = [], time.monotonic()
        elif kind == BOUND:
            self.on_bound(dict(fields(body)))
        elif kind == PING:
            self.write(PONG)
        elif kind == PUSH and not body[0] & 1:  # broadcasts were not announced
            self.on_push(body, acks)
        elif kind == BYE:
            code, retry = struct.unpack_from(">HI", body)
            raise Ended(code, dict(fields(body[6:])).get(1, b"").decode(), retry, remote=True)
        if self.idle and not self.reported and all(self.bound.get(p, 1) // 1000 in (0, 4) and self.bound.get(p, 1) != 1 for p in self.args.product):
            self.store()
            self.say("connected", room=self.room, session=self.session_id, resumed=False)
            self.reported = True

    def on_bound(self, f):
        product, code, cursor = f[1].decode(), number(f.get(2, b"")), number(f.get(4, b""))
        if code == 0:  # a cut is believed only from the first BOUND of a connection
            if cursor > self.cursors.get(product, 0) or self.bound.get(product) != 0 and cursor < self.sent.get(product, 0):
                self.cursors[product] = cursor
        elif code // 1000 != 4:
            self.again[product] = time.monotonic() + (number(f.get(3, b"")) or HINTS.get(code, 1000)) / 1000 * random.uniform(1, 1.25)
        if code:
            print(f"{product}: {name(code)} {f.get(6, b'').decode()}", file=sys.stderr)
        self.bound[product] = code

    def on_push(self, body, acks):
        product, at = piece(body, 2, body[1])
        (seq,), product = struct.unpack_from(">Q", body, at), product.decode()
        ident, at = piece(body, at + 9, body[at + 8])
        ext, at = piece(body, *reversed(length(body, at)))
        if self.bound.get(product) != 0:
            raise Ended(4003, f"PUSH of {product} before its BOUND", leave=True)
        if 0 < seq <= self.cursors.get(product, 0):
            acks[product] = self.cursors[product]
            return
        payload, pairs = body[at:], [dict(fields(v)) for i, v in fields(ext) if i == 1]
        try:
            what = {"text": payload.decode()} if body[0] & 2 else {"json": json.loads(payload)} if body[0] & 4 else None
        except ValueError:
            what = None  # the backend's fault, not the room's
        what = what or {"payload": base64.b64encode(payload).decode()}
        if pairs:
            what["data"] = {p[1].decode(): p.get(2, b"").decode() for p in pairs}
        self.say("message", product=product, id=ident.decode(), seq=seq, broadcast=False, **what)
        if seq:
            self.cursors[product] = acks[product] = seq
        self.left = self.left and self.left - 1

    def close(self, code):
        sock, self.sock = self.sock, None
        sock.settimeout(1)
        try:
            if code is not None:
                sock.sendall(bytes([BYE, 6]) + struct.pack(">HI", code, 0))
        except OSError:
            pass  # nobody is there to hear it
        sock.close()

    def run(self):
        while True:
            self.addr, self.welcomed = None, None
            try:
                self.addr = self.address()
                self.session()
            except Stop:
                return self.sock and self.close(0)
            except Ended as e:
                end = e
            except OSError as e:
                end = Ended(2002, f"{self.addr}: {e}", leave=not self.welcomed)
            except (ValueError, IndexError, KeyError, struct.error) as e:
                end = Ended(4001, f"from the room: {e}", leave=True)
            if self.sock:
                self.close(None if end.remote else end.code if end.code > 4000 else 0)
                self.say("disconnected", code=name(end.code), reason=end.reason)
            if end.remote and end.code // 1000 == 4:
                print(f"refused for good: {name(end.code)} {end.reason}", file=sys.stderr)
                return 1
            if end.leave and self.addr:
                self.tried.append(self.addr)
            self.fails = 1 if self.welcomed and time.monotonic() - self.welcomed > 10 else self.fails + 1
            base, most, jitter = self.backoff
            pause = min(most, base * 2 ** min(self.fails - 1, 30)) * random.uniform(1 - jitter, 1) if self.fails > 1 else base * random.random()
            try:
                with Waiting():
                    time.sleep(max(pause, end.retry * random.uniform(1, 1.25)) / 1000)
            except Stop:
                return 0


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, more in {"dispatcher": {"required": True, "metavar": "URL"}, "device": {"required": True}, "token": {"required": True},
                         "product": {"action": "append", "default": []}, "state": {"metavar": "FILE"}, "count-messages": {"type": int}}.items():
        p.add_argument("--" + option, **more)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.exit(Device(p.parse_args()).run())
