-- +goose Up
-- Times are Unix milliseconds, expiry_day is expires_ms / 86400000. States are
-- those of package ledger: 0 live, 1 recalled, 2 void, 3 replaced, 4 dead-lettered.
-- The partitions of the days are made and dropped by the program.
CREATE TABLE messages (
  slot         SMALLINT UNSIGNED NOT NULL,
  seq          BIGINT UNSIGNED   NOT NULL,
  expiry_day   INT               NOT NULL,
  product      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  device       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  id           VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  accepted_ms  BIGINT            NOT NULL,
  expires_ms   BIGINT            NOT NULL,
  dedup_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  collapse_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state        TINYINT           NOT NULL,
  state_ms     BIGINT            NOT NULL,
  body         MEDIUMBLOB        NOT NULL,
  PRIMARY KEY (slot, seq, expiry_day),
  KEY messages_id (id)
) ENGINE=InnoDB
PARTITION BY RANGE (expiry_day) (PARTITION p0 VALUES LESS THAN (1));

CREATE TABLE cursors (
  slot    SMALLINT UNSIGNED NOT NULL,
  product VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  device  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  acked   BIGINT UNSIGNED   NOT NULL,
  changed_ms BIGINT         NOT NULL,
  day     INT               NOT NULL,
  PRIMARY KEY (slot, product, device),
  KEY cursors_day (day)
) ENGINE=InnoDB;
