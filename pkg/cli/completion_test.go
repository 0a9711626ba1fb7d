package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBashCompletion asks a bash that has sourced the script.
func TestBashCompletion(t *testing.T) {
	_, script, _ := longlink(t, "completion", "bash")
	dir := t.TempDir()
	for name, content := range map[string]string{"longlink.sh": script, "config.yaml": "", "body.bin": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		line string // words; the last one is completed
		want string
	}{
		{"longlink tr", "trace"},
		{"longlink re", "recall"},
		{"longlink alias ", "ls add rm --help"},
		{"longlink alias a", "add"},
		{"longlink alias add --pro", "--product"},
		{"longlink push --al", "--alias"},
		{"longlink push --device serve --te", "--text"},
		{"longlink push --qos ", "0 1"},
		{"longlink push --device ", ""},
		{"longlink push --file b", "body.bin"},
		{"longlink device --network w", "wifi wired"},
		{"longlink serve r", "room register"},
		{"longlink serve room -c c", "config.yaml"},
		{"longlink config check c", "config.yaml"},
		{"longlink completion ", "bash zsh fish --help"},
		{"longlink bench ch", ""}, // hidden
	} {
		words := strings.Split(tc.line, " ")
		ask := `source ./longlink.sh; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _longlink; printf '%s\n' "${COMPREPLY[@]}"; complete -p longlink >&2`
		cmd := exec.Command("bash", append([]string{"--norc", "-uc", ask, "bash"}, words...)...)
		cmd.Dir = dir
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if strings.TrimSpace(errs.String()) != "complete -F _longlink longlink" {
			t.Fatalf("%q: %v\n%s", tc.line, err, errs.String())
		}
		got, want := strings.Fields(string(out)), strings.Fields(tc.want)
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is completed with %q, want %q (%v)", tc.line, got, want, err)
		}
	}
}

// TestOtherShells: zsh takes bash's script, fish has a line for each word.
func TestOtherShells(t *testing.T) {
	_, bash, _ := longlink(t, "completion", "bash")
	_, zsh, _ := longlink(t, "completion", "zsh")
	if !strings.Contains(zsh, "\nautoload -Uz bashcompinit && bashcompinit\n") || !strings.HasSuffix(zsh, bash) {
		t.Errorf("zsh:\n%s", zsh)
	}
	_, fish, _ := longlink(t, "completion", "fish")
	for _, want := range []string{
		`complete -c longlink -n '__longlink_at ""' -a trace -d `,
		`complete -c longlink -n '__longlink_at "alias"' -a ls -d `,
		`complete -c longlink -n '__longlink_at "push"' -l alias -x -d `,
		`complete -c longlink -n '__longlink_at "push"' -l qos -x -a '0 1' -d `,
		`complete -c longlink -n '__longlink_at "serve"' -l config -s c -r -F -d 'Config file.'`,
		`complete -c longlink -n '__longlink_at "serve"' -a saver`,
		`complete -c longlink -n '__longlink_at "config check"' -F`,
		`-d 'Center\'s URL`,
		`"alias/ls"`,
	} {
		if !strings.Contains(fish, want) {
			t.Errorf("fish has no %s", want)
		}
	}
}
