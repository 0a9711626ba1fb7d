-- +goose Up
-- The log of device data, one per partition of devices; dropped by expiry day.
-- class: 0 data, 1 event, 2 receipt.
CREATE TABLE upstream (
  part        INTEGER NOT NULL,
  seq         INTEGER NOT NULL,
  expiry_day  INTEGER NOT NULL,
  class       INTEGER NOT NULL,
  product     TEXT NOT NULL,
  device      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  up_id       INTEGER NOT NULL,
  epoch       INTEGER NOT NULL,
  flags       INTEGER NOT NULL,
  received_ms INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  request_id  TEXT NOT NULL,
  ext         BLOB NOT NULL,
  payload     BLOB NOT NULL,
  PRIMARY KEY (part, seq, expiry_day)
);
CREATE INDEX upstream_device ON upstream (device, product, up_id);
CREATE INDEX upstream_expiry ON upstream (expiry_day);

-- How far a consumer of a partition's log is. epoch fences the one before.
CREATE TABLE upstream_positions (
  part       INTEGER NOT NULL,
  consumer   TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  epoch      INTEGER NOT NULL,
  owner      TEXT NOT NULL,
  updated_ms INTEGER NOT NULL,
  PRIMARY KEY (part, consumer)
);

-- What happened to a message: failures and a sample; dropped by expiry day.
CREATE TABLE traces (
  message_id TEXT NOT NULL,
  at_ms      INTEGER NOT NULL,
  stage      TEXT NOT NULL,
  node       TEXT NOT NULL,
  expiry_day INTEGER NOT NULL,
  product    TEXT NOT NULL,
  device     TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  code       INTEGER NOT NULL,
  detail     TEXT NOT NULL,
  PRIMARY KEY (message_id, at_ms, stage, node, expiry_day)
);
CREATE INDEX traces_expiry ON traces (expiry_day);
