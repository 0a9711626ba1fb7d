package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
)

// listFlags choose between a table for people and lines for programs.
type listFlags struct {
	JSON bool `name:"json" help:"Print one JSON object per line."`
}

// printList prints a table of tab-separated lines under a head, or each item as
// the API gives it, with its type.
func printList[T any](w io.Writer, f listFlags, kind, head string, items []T, line func(T) []string) error {
	if f.JSON {
		for _, item := range items {
			if err := printObject(w, kind, item); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, head)
	for _, item := range items {
		fmt.Fprintln(t, strings.Join(line(item), "\t"))
	}
	return t.Flush()
}

// printObject prints a struct as one line of JSON that begins with its type.
func printObject(w io.Writer, kind string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	head := `{"type":"` + kind + `"`
	if len(b) > len("{}") {
		head += ","
	}
	_, err = fmt.Fprintf(w, "%s%s\n", head, b[1:])
	return err
}

// dash stands for nothing in a table.
func dash(v string) string {
	if v == "" {
		return "-"
	}
	return v
}

// visible is a text from outside as one line of a terminal: what would move the
// cursor or colour the screen is escaped.
func visible(v string) string {
	if !strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return v
	}
	quoted := fmt.Sprintf("%q", v)
	return quoted[1 : len(quoted)-1]
}
