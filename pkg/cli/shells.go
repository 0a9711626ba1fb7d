package cli

import (
	"fmt"
	"strings"
)

// bashScript has three tables: which words make the path of commands longer,
// what a flag's value can be, and what may follow a path.
func bashScript(places []place) string {
	var values, follow strings.Builder
	for _, p := range places {
		var words []string
		for _, w := range p.words {
			words = append(words, w.text)
			if !w.takes {
				continue
			}
			pattern := fmt.Sprintf("%q", p.path+" "+w.text)
			if w.short != "" {
				pattern += fmt.Sprintf(" | %q", p.path+" "+w.short)
			}
			action := "return"
			switch {
			case w.files:
				action = `COMPREPLY=($(compgen -f -- "$cur")); return`
			case len(w.values) > 0:
				action = fmt.Sprintf(`COMPREPLY=($(compgen -W %q -- "$cur")); return`, strings.Join(w.values, " "))
			}
			fmt.Fprintf(&values, "    %s) %s ;;\n", pattern, action)
		}
		action := fmt.Sprintf("words=%q", strings.Join(words, " "))
		if p.files {
			action += ` files=1`
		}
		fmt.Fprintf(&follow, "    %q) %s ;;\n", p.path, action)
	}
	return `# longlink completion. For this shell: source <(longlink completion bash)
_longlink() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" path="" words="" files="" i
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path/${COMP_WORDS[i]}" in
        ` + pathCase(places, " | ") + `) path="${path:+$path }${COMP_WORDS[i]}" ;;
        esac
    done
    case "$path $prev" in
` + values.String() + `    esac
    case "$path" in
` + follow.String() + `    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [ -n "$files" ]; then
        COMPREPLY+=($(compgen -f -- "$cur"))
    fi
}
complete -F _longlink longlink
`
}

// fishScript is a line for each word, with the path after which it is offered.
func fishScript(places []place) string {
	var lines strings.Builder
	quote := func(s string) string {
		return "'" + strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `'`, `\'`) + "'"
	}
	for _, p := range places {
		at := "complete -c longlink -n " + quote(`__longlink_at "`+p.path+`"`)
		for _, w := range p.words {
			line := at
			if name, flag := strings.CutPrefix(w.text, "--"); flag {
				line += " -l " + name
				if w.short != "" {
					line += " -s " + w.short[1:]
				}
				switch {
				case w.files:
					line += " -r -F"
				case len(w.values) > 0:
					line += " -x -a " + quote(strings.Join(w.values, " "))
				case w.takes:
					line += " -x"
				}
			} else {
				line += " -a " + w.text
			}
			if w.help != "" {
				line += " -d " + quote(w.help)
			}
			lines.WriteString(line + "\n")
		}
		if p.files {
			lines.WriteString(at + " -F\n")
		}
	}
	return `# longlink completion. For this shell: longlink completion fish | source
function __longlink_at
    set -l path
    for w in (commandline -opc)[2..]
        if contains -- "$path/$w" ` + pathCase(places, " ") + `
            set path (string trim -- "$path $w")
        end
    end
    test "$path" = "$argv[1]"
end
complete -c longlink -f
` + lines.String()
}
