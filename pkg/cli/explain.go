package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"longlink/pkg/version"
)

// explainToken prints header and claims of a JWT. It does not check the
// signature: only the gateway has the secret.
func explainToken(tok string, s streams) error {
	if tok == "-" {
		b, err := io.ReadAll(os.Stdin)
		if err != nil {
			return err
		}
		tok = string(b)
	}
	parts := strings.Split(strings.TrimSpace(tok), ".")
	if len(parts) != 3 {
		return usagef("--explain: a token has three parts between dots, this has %d", len(parts))
	}
	for i, name := range []string{"header", "claims"} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		var out bytes.Buffer
		if err == nil {
			err = json.Indent(&out, raw, "", "  ")
		}
		if err != nil {
			return usagef("--explain: the token's %s cannot be read: %w", name, err)
		}
		fmt.Fprintf(s.out, "%s %s\n", name, out.String())
		var claims struct {
			Exp int64 `json:"exp"`
		}
		if i == 1 && json.Unmarshal(raw, &claims) == nil && claims.Exp > 0 {
			at := time.Unix(claims.Exp, 0)
			if left := time.Until(at); left > 0 {
				fmt.Fprintf(s.out, "valid until %s (%s left)\n", at.UTC().Format(time.RFC3339), left.Round(time.Second))
			} else {
				fmt.Fprintf(s.out, "expired at %s\n", at.UTC().Format(time.RFC3339))
			}
		}
	}
	fmt.Fprintln(s.out, "signature not checked: only the gateway has the secret")
	return nil
}

type versionCmd struct{}

// Help is the example below the flags.
func (versionCmd) Help() string { return "Example:\n  longlink version" }

// Run prints the version.
func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintf(s.out, "longlink %s %s %s/%s\n", version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
