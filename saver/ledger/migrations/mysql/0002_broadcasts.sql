-- +goose Up
-- The broadcast log of a product: what has not expired, at most one record per place.
-- state as in messages.
CREATE TABLE broadcasts (
  product     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq         BIGINT UNSIGNED NOT NULL,
  expiry_day  INT NOT NULL,
  place       INT NOT NULL,
  tag         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  job         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  accepted_ms BIGINT NOT NULL,
  expires_ms  BIGINT NOT NULL,
  state       TINYINT NOT NULL,
  state_ms    BIGINT NOT NULL,
  paused      TINYINT NOT NULL,
  rate        INT NOT NULL,
  window_size INT NOT NULL,
  body        MEDIUMBLOB NOT NULL,
  PRIMARY KEY (product, seq, expiry_day),
  KEY broadcasts_id (id),
  KEY broadcasts_job (job)
) ENGINE=InnoDB;

-- A broadcast as its caller asked for it. fence grows with every change of hands.
CREATE TABLE broadcast_jobs (
  id          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  product     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  dedup_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  tag         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq         BIGINT UNSIGNED NOT NULL,
  place       INT NOT NULL,
  state       TINYINT NOT NULL,
  dry_run     TINYINT NOT NULL,
  rate        INT NOT NULL,
  window_size INT NOT NULL,
  fence       BIGINT UNSIGNED NOT NULL,
  targets     BIGINT UNSIGNED NOT NULL,
  sent        BIGINT UNSIGNED NOT NULL,
  acked       BIGINT UNSIGNED NOT NULL,
  failed      BIGINT UNSIGNED NOT NULL,
  created_ms  BIGINT NOT NULL,
  updated_ms  BIGINT NOT NULL,
  expires_ms  BIGINT NOT NULL,
  reason      VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  body        MEDIUMBLOB NOT NULL,
  PRIMARY KEY (id),
  KEY broadcast_jobs_product (product, created_ms),
  KEY broadcast_jobs_dedup (product, dedup_id),
  KEY broadcast_jobs_expiry (expires_ms)
) ENGINE=InnoDB;

-- One room's part of a job: who drives it, until when, and how far it is.
CREATE TABLE broadcast_tasks (
  job            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  room           VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  room_epoch     BIGINT UNSIGNED NOT NULL,
  owner          VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  fence          BIGINT UNSIGNED NOT NULL,
  claim_until_ms BIGINT NOT NULL,
  state          TINYINT NOT NULL,
  place_in_table BIGINT UNSIGNED NOT NULL,
  targets        BIGINT UNSIGNED NOT NULL,
  sent           BIGINT UNSIGNED NOT NULL,
  acked          BIGINT UNSIGNED NOT NULL,
  failed         BIGINT UNSIGNED NOT NULL,
  updated_ms     BIGINT NOT NULL,
  PRIMARY KEY (job, room),
  KEY broadcast_tasks_claim (state, claim_until_ms)
) ENGINE=InnoDB;
