package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" help:"bash, zsh or fish." enum:"bash,zsh,fish"`
}

// Help is the example below the flags.
func (completionCmd) Help() string {
	return `Example:
  source <(longlink completion bash)
  longlink completion fish > longlink.fish

The script knows the commands and flags of this version.`
}

// Run prints the script, made from the commands' own description.
func (c *completionCmd) Run(s streams, k *kong.Kong) error {
	words := wordsOf(k.Model.Node)
	script := ""
	switch c.Shell {
	case "bash":
		script = bashScript(words)
	case "zsh":
		script = "# After compinit: source <(longlink completion zsh)\nautoload -Uz bashcompinit && bashcompinit\n" + bashScript(words)
	case "fish":
		script = fishScript(words)
	}
	_, err := fmt.Fprint(s.out, script)
	return err
}

// place is what may follow a path of commands, such as "alias ls".
type place struct {
	path  string
	words []word
	files bool // arguments are files
}

// word is a command, a flag or a word that an argument can be.
type word struct {
	text   string
	short  string
	help   string
	values []string // of a flag
	takes  bool     // a flag with a value
	files  bool     // which is a file
}

// wordsOf walks the commands below a node, each before its own.
func wordsOf(n *kong.Node) (out []place) {
	p := place{path: n.Path()}
	for _, c := range n.Children {
		if !c.Hidden && c.Type == kong.CommandNode {
			p.words = append(p.words, word{text: c.Name, help: c.Help})
		}
	}
	for _, a := range n.Positional {
		p.files = p.files || a.Name == "file"
		for _, v := range listed(a.Enum + "," + a.Tag.Get("complete")) {
			p.words = append(p.words, word{text: v})
		}
	}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			w := word{text: "--" + f.Name, help: f.Help, values: listed(f.Enum), takes: !f.IsBool() && !f.IsCounter()}
			w.files = slices.Contains([]string{"FILE", "DIR", "F"}, f.PlaceHolder)
			if f.Short != 0 {
				w.short = "-" + string(f.Short)
			}
			p.words = append(p.words, w)
		}
	}
	out = append(out, p)
	for _, c := range n.Children {
		if !c.Hidden && c.Type == kong.CommandNode {
			out = append(out, wordsOf(c)...)
		}
	}
	return out
}

func listed(values string) (out []string) {
	for _, v := range strings.Split(values, ",") {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

// pathCase is the pattern of every step that makes a path longer.
func pathCase(places []place, sep string) string {
	var steps []string
	for _, p := range places[1:] {
		at := strings.LastIndex(p.path, " ")
		steps = append(steps, `"`+p.path[:max(at, 0)]+"/"+p.path[at+1:]+`"`)
	}
	return strings.Join(steps, sep)
}
