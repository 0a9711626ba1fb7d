-- +goose Up
-- A durable name for several devices of a product.
CREATE TABLE aliases (
  product    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  alias      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  device     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (product, alias, device),
  KEY aliases_device (device, product)
) ENGINE=InnoDB;

-- What the redelivery budget (kind 0) or the callbacks (kind 1) gave up on. id is a ULID.
CREATE TABLE dead_letters (
  product    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  kind       TINYINT NOT NULL,
  device     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  message_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq        BIGINT UNSIGNED NOT NULL,
  code       INT NOT NULL,
  reason     VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  attempts   INT NOT NULL,
  created_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  body       MEDIUMBLOB NOT NULL,
  PRIMARY KEY (product, id),
  KEY dead_letters_message (message_id),
  KEY dead_letters_expiry (expires_ms)
) ENGINE=InnoDB;
