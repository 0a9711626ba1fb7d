-- +goose Up
-- Times are Unix milliseconds, expiry_day is expires_ms / 86400000. States are
-- those of package ledger: 0 live, 1 recalled, 2 void, 3 replaced, 4 dead-lettered.
CREATE TABLE messages (
  slot         INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  expiry_day   INTEGER NOT NULL,
  product      TEXT    NOT NULL,
  device       TEXT    NOT NULL,
  id           TEXT    NOT NULL,
  accepted_ms  INTEGER NOT NULL,
  expires_ms   INTEGER NOT NULL,
  dedup_id     TEXT    NOT NULL,
  collapse_key TEXT    NOT NULL,
  state        INTEGER NOT NULL,
  state_ms     INTEGER NOT NULL,
  body         BLOB    NOT NULL,
  PRIMARY KEY (slot, seq, expiry_day)
);
CREATE INDEX messages_id ON messages (id);
CREATE INDEX messages_expiry ON messages (expiry_day);

CREATE TABLE cursors (
  slot    INTEGER NOT NULL,
  product TEXT    NOT NULL,
  device  TEXT    NOT NULL,
  acked   INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  day     INTEGER NOT NULL,
  PRIMARY KEY (slot, product, device)
);
CREATE INDEX cursors_day ON cursors (day);
