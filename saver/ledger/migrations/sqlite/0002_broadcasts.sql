-- +goose Up
-- The broadcast log of a product: what has not expired, at most one record per place.
-- state as in messages.
CREATE TABLE broadcasts (
  product     TEXT NOT NULL,
  seq         INTEGER NOT NULL,
  expiry_day  INTEGER NOT NULL,
  place       INTEGER NOT NULL,
  tag         TEXT NOT NULL,
  job         TEXT NOT NULL,
  id          TEXT NOT NULL,
  accepted_ms INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  state       INTEGER NOT NULL,
  state_ms    INTEGER NOT NULL,
  paused      INTEGER NOT NULL,
  rate        INTEGER NOT NULL,
  window_size INTEGER NOT NULL,
  body        BLOB NOT NULL,
  PRIMARY KEY (product, seq, expiry_day)
);
CREATE INDEX broadcasts_id ON broadcasts (id);
CREATE INDEX broadcasts_job ON broadcasts (job);

-- A broadcast as its caller asked for it. fence grows with every change of hands.
CREATE TABLE broadcast_jobs (
  id          TEXT NOT NULL,
  product     TEXT NOT NULL,
  dedup_id    TEXT NOT NULL,
  tag         TEXT NOT NULL,
  seq         INTEGER NOT NULL,
  place       INTEGER NOT NULL,
  state       INTEGER NOT NULL,
  dry_run     INTEGER NOT NULL,
  rate        INTEGER NOT NULL,
  window_size INTEGER NOT NULL,
  fence       INTEGER NOT NULL,
  targets     INTEGER NOT NULL,
  sent        INTEGER NOT NULL,
  acked       INTEGER NOT NULL,
  failed      INTEGER NOT NULL,
  created_ms  INTEGER NOT NULL,
  updated_ms  INTEGER NOT NULL,
  expires_ms  INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  body        BLOB NOT NULL,
  PRIMARY KEY (id)
);
CREATE INDEX broadcast_jobs_product ON broadcast_jobs (product, created_ms);
CREATE INDEX broadcast_jobs_dedup ON broadcast_jobs (product, dedup_id);
CREATE INDEX broadcast_jobs_expiry ON broadcast_jobs (expires_ms);

-- One room's part of a job: who drives it, until when, and how far it is.
CREATE TABLE broadcast_tasks (
  job            TEXT NOT NULL,
  room           TEXT NOT NULL,
  room_epoch     INTEGER NOT NULL,
  owner          TEXT NOT NULL,
  fence          INTEGER NOT NULL,
  claim_until_ms INTEGER NOT NULL,
  state          INTEGER NOT NULL,
  place_in_table INTEGER NOT NULL,
  targets        INTEGER NOT NULL,
  sent           INTEGER NOT NULL,
  acked          INTEGER NOT NULL,
  failed         INTEGER NOT NULL,
  updated_ms     INTEGER NOT NULL,
  PRIMARY KEY (job, room)
);
CREATE INDEX broadcast_tasks_claim ON broadcast_tasks (state, claim_until_ms);
