package ledger

import (
	"errors"
	"testing"
)

// A future program has brought the schema forward: this one goes on where each
// of the migrations it does not have allows it, and is refused by any other.
func TestFutureSchema(t *testing.T) {
	both(t, func(t *testing.T, o Options) {
		l := ready(t, o)
		ctx := t.Context()
		_, known, err := l.Schema(ctx)
		if err != nil || known < 4 {
			t.Fatal(known, err)
		}
		do := func(q string, args ...any) {
			t.Helper()
			if _, err := l.write.ExecContext(ctx, q, args...); err != nil {
				t.Fatal(err)
			}
		}
		applied := func(version int64) {
			do("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", version)
		}
		refused := func(what string, have int64) {
			t.Helper()
			var e *SchemaError
			if err := l.Migrate(ctx); !errors.As(err, &e) || e.Have != have || e.Known != known {
				t.Errorf("%s: %v, want it refused", what, err)
			}
		}
		accepted := func(what string, want int64) {
			t.Helper()
			if err := l.Migrate(ctx); err != nil {
				t.Errorf("%s: %v, want it accepted", what, err)
			}
			if have, _, err := l.Schema(ctx); err != nil || have != want {
				t.Errorf("%s: schema %d, %v", what, have, err)
			}
		}
		applied(known + 1)
		refused("no table", known+1)

		do("CREATE TABLE IF NOT EXISTS schema_compat (version BIGINT NOT NULL PRIMARY KEY, oldest_program_schema BIGINT NOT NULL)")
		refused("no row", known+1)
		do("INSERT INTO schema_compat VALUES (?, ?)", known+1, known-1)
		accepted("for one older than this", known+1)
		applied(known + 2)
		refused("the second says nothing", known+2)
		do("INSERT INTO schema_compat VALUES (?, ?)", known+2, known)
		accepted("two versions", known+2)
		// What this program does goes on.
		do("ALTER TABLE aliases ADD COLUMN later INT NOT NULL DEFAULT 0")
		do("CREATE TABLE later (id INT PRIMARY KEY)")
		if full, err := l.Claim(ctx, []AliasClaim{{"p", "d", "a", 1, false}}, 5); err != nil || len(full) > 0 {
			t.Errorf("claim: %v %v", full, err)
		}
		if _, err := l.AddAlias(ctx, "p", "b", "d", AliasLimits{5, 5}); err != nil {
			t.Error(err)
		}
		applied(known + 3)
		do("INSERT INTO schema_compat VALUES (?, ?)", known+3, known+1)
		refused("the third is for newer ones", known+3)
	})
}
