-- +goose Up
-- The log of device data, one per partition of devices; dropped by expiry day.
-- class: 0 data, 1 event, 2 receipt.
CREATE TABLE upstream (
  part        INT NOT NULL,
  seq         BIGINT UNSIGNED NOT NULL,
  expiry_day  INT NOT NULL,
  class       TINYINT NOT NULL,
  product     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  device      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  up_id       BIGINT UNSIGNED NOT NULL,
  epoch       BIGINT UNSIGNED NOT NULL,
  flags       INT NOT NULL,
  received_ms BIGINT NOT NULL,
  expires_ms  BIGINT NOT NULL,
  request_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  ext         MEDIUMBLOB NOT NULL,
  payload     MEDIUMBLOB NOT NULL,
  PRIMARY KEY (part, seq, expiry_day),
  KEY upstream_device (device, product, up_id)
) ENGINE=InnoDB
PARTITION BY RANGE (expiry_day) (PARTITION p0 VALUES LESS THAN (1));

-- How far a consumer of a partition's log is. epoch fences the one before.
CREATE TABLE upstream_positions (
  part       INT NOT NULL,
  consumer   VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq        BIGINT UNSIGNED NOT NULL,
  epoch      BIGINT UNSIGNED NOT NULL,
  owner      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  updated_ms BIGINT NOT NULL,
  PRIMARY KEY (part, consumer)
) ENGINE=InnoDB;

-- What happened to a message: failures and a sample; dropped by expiry day.
CREATE TABLE traces (
  message_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at_ms      BIGINT NOT NULL,
  stage      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node       VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  expiry_day INT NOT NULL,
  product    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  device     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq        BIGINT UNSIGNED NOT NULL,
  code       INT NOT NULL,
  detail     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  PRIMARY KEY (message_id, at_ms, stage, node, expiry_day)
) ENGINE=InnoDB
PARTITION BY RANGE (expiry_day) (PARTITION p0 VALUES LESS THAN (1));
