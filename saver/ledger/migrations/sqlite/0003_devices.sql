-- +goose Up
-- A durable name for several devices of a product.
CREATE TABLE aliases (
  product    TEXT NOT NULL,
  alias      TEXT NOT NULL,
  device     TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (product, alias, device)
);
CREATE INDEX aliases_device ON aliases (device, product);

-- What the redelivery budget (kind 0) or the callbacks (kind 1) gave up on. id is a ULID.
CREATE TABLE dead_letters (
  product    TEXT NOT NULL,
  id         TEXT NOT NULL,
  kind       INTEGER NOT NULL,
  device     TEXT NOT NULL,
  message_id TEXT NOT NULL,
  seq        INTEGER NOT NULL,
  code       INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  attempts   INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  body       BLOB NOT NULL,
  PRIMARY KEY (product, id)
);
CREATE INDEX dead_letters_message ON dead_letters (message_id);
CREATE INDEX dead_letters_expiry ON dead_letters (expires_ms);
