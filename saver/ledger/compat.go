package ledger

import (
	"context"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// A rolling upgrade brings the schema forward while older programs run, and may
// restart them. Whether they can go on is known only by the migration that they
// do not have, so it says so in the database: it makes the table where it is
// missing, and adds its row.
//
//	CREATE TABLE IF NOT EXISTS schema_compat (
//	  version               BIGINT NOT NULL PRIMARY KEY,
//	  oldest_program_schema BIGINT NOT NULL
//	);
//	INSERT INTO schema_compat VALUES (5, 4);
//
// reads: programs whose newest migration is 4 may work on schema 5. A migration
// without a row is for nobody older. docs/decisions/0010 has the rule.

// livesWith is nil when every version above known may be worked on by a program
// that knows known.
func (l *Ledger) livesWith(ctx context.Context, have, known int64) error {
	exists := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_compat'"
	if l.partitioned {
		exists = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'schema_compat'"
	}
	var n int
	if err := l.write.QueryRowContext(ctx, exists).Scan(&n); err != nil {
		return err
	}
	if n == 0 {
		return &SchemaError{have, known}
	}
	err := l.write.QueryRowContext(ctx, `SELECT COUNT(*) FROM goose_db_version v LEFT JOIN schema_compat c ON c.version = v.version_id
 WHERE v.version_id > ? AND v.is_applied = 1 AND (c.version IS NULL OR c.oldest_program_schema > ?)`, known, known).Scan(&n)
	if err != nil {
		return err
	}
	if n > 0 {
		return &SchemaError{have, known}
	}
	return nil
}

// Schema tells the version of the schema, and the newest that this program knows.
func (l *Ledger) Schema(ctx context.Context) (have, known int64, err error) {
	p, err := l.provider()
	if err != nil {
		return 0, 0, err
	}
	return p.GetVersions(ctx)
}

func (l *Ledger) provider() (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, l.migrations)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(l.goose, l.write, dir)
}
