package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
)

var update = flag.Bool("update", false, "write the code tables of docs/ anew")

const (
	protocolPage = "../../docs/protocol.md"
	codesPage    = "../../docs/codes.md"
)

func page(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// example is a hex example of the page with the JSON that says what it means.
type example struct {
	name  string
	frame []byte
	json  string
}

var exampleForm = regexp.MustCompile("(?s)```frame ([A-Z]+[a-z0-9 ]*)\n(.*?)\n```\n```json\n(.*?)\n```")

func examples(t *testing.T) (out []example) {
	t.Helper()
	text := page(t, protocolPage)
	for _, m := range exampleForm.FindAllStringSubmatch(text, -1) {
		e := example{name: m[1], json: m[3]}
		for line := range strings.SplitSeq(m[2], "\n") {
			digits, _, _ := strings.Cut(line, "  ") // the rest is a remark
			b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
			if err != nil {
				t.Fatalf("%s: line %q: %v", e.name, line, err)
			}
			e.frame = append(e.frame, b...)
		}
		out = append(out, e)
	}
	if n := strings.Count(text, "```frame "); n != len(out) {
		t.Fatalf("%d examples, %d of them in the form that this test reads", n, len(out))
	}
	return out
}

// The page's examples are what the codec reads, and writes, byte by byte.
func TestProtocolPageExamples(t *testing.T) {
	seen := map[Type]bool{}
	for _, e := range examples(t) {
		typ, body, n, err := Header(e.frame, MaxBody)
		if err != nil || n == 0 || n+body != len(e.frame) || !strings.HasPrefix(e.name, typ.String()) {
			t.Errorf("%s: head says %s of %d+%d bytes, there are %d (%v)", e.name, typ, n, body, len(e.frame), err)
			continue
		}
		seen[typ] = true
		got := map[string]any{}
		if typ != TypePing && typ != TypePong {
			v, err := codecs[typ].parse(e.frame[n:])
			if err != nil {
				t.Errorf("%s: %v", e.name, err)
				continue
			}
			if again := codecs[typ].append(v); !bytes.Equal(again, e.frame) {
				t.Errorf("%s: the codec writes\n%x, the page has\n%x", e.name, again, e.frame)
			}
			got = describe(v)
		}
		if want := canonical(t, []byte(e.json)); canonical(t, marshal(t, got)) != want {
			t.Errorf("%s: decoded %s, the page says %s", e.name, canonical(t, marshal(t, got)), want)
		}
	}
	for typ := TypeHello; typ <= TypeBye; typ++ {
		if !seen[typ] {
			t.Errorf("the page has no example of %s", typ)
		}
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// canonical brings JSON into one form, numbers untouched.
func canonical(t *testing.T, b []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return string(marshal(t, v))
}

func TestProtocolPageTables(t *testing.T) {
	text := page(t, protocolPage)
	for typ := TypeHello; typ <= TypeBye; typ++ {
		if row := fmt.Sprintf("| 0x%02X | %s |", uint8(typ), typ); !strings.Contains(text, row) {
			t.Errorf("no row %q", row)
		}
		if head := fmt.Sprintf("%s (0x%02X", typ, uint8(typ)); !strings.Contains(text, head) {
			t.Errorf("no section %q", head)
		}
	}
	for name, bit := range map[string]Features{"broadcast": FeatureBroadcast, "upstream": FeatureUpstream, "redirect": FeatureRedirect, "resume": FeatureResume} {
		if !regexp.MustCompile(fmt.Sprintf(`\| \d \| %d \| %s`, bit, name)).MatchString(text) {
			t.Errorf("no feature bit %s = %d", name, bit)
		}
	}
	for _, flag := range []string{fmt.Sprintf("| 0 | %d | broadcast", FlagBroadcast), fmt.Sprintf("| 1 | %d | the payload is text", FlagText), fmt.Sprintf("| 2 | %d | the payload is a JSON", FlagJSON), fmt.Sprintf("| 3 | %d | first, of UP only", FlagFirst)} {
		if !strings.Contains(text, flag) {
			t.Errorf("no flag %q", flag)
		}
	}
	for _, limit := range []string{
		fmt.Sprintf("| body of HELLO | %d KiB", DefaultMaxHello>>10),
		fmt.Sprintf("before WELCOME %d KiB", DefaultMaxFrame>>10),
		fmt.Sprintf("| products on a connection, tags a product, seen pairs a product | %d, %d, %d |", MaxBindings, MaxTags, MaxSeen),
		fmt.Sprintf("| addresses in a REDIRECT | %d |", MaxAddresses),
		"| largest length that can be written | 2,097,151 |",
		fmt.Sprintf("| a token or grant | %d KiB |", token.MaxLength>>10),
		fmt.Sprintf("Version of the protocol: **%d**", Version),
	} {
		if !strings.Contains(text, limit) {
			t.Errorf("no limit %q", limit)
		}
	}
}

// The page's tokens are those that the gateway takes.
func TestProtocolPageTokens(t *testing.T) {
	text := page(t, protocolPage)
	jwt := func(name string) string {
		m := regexp.MustCompile("```jwt " + name + "\n(.*)\n```").FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no example of a %s token", name)
		}
		return m[1]
	}
	key := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" // 00 01 02 … 1f
	now := time.Unix(1_790_000_100, 0)
	d, err := token.Verify([]cluster.GrantSecret{{KID: "k1", Secret: key}}, jwt("device"), now)
	if err != nil || d.Device != "phone-17" || len(d.Products) != 2 || d.Aliases["mail"] != "ada" {
		t.Errorf("%+v, %v", d, err)
	}
	if err := token.VerifyGrant([]cluster.GrantSecret{{KID: "g7", Secret: key}}, "shop", "phone-17", jwt("bind"), now); err != nil {
		t.Error(err)
	}
}

// tableIn returns text with what is between the marks replaced.
func tableIn(t *testing.T, text, mark, table string) string {
	t.Helper()
	begin, end := "<!-- "+mark+": begin -->\n", "<!-- "+mark+": end -->"
	i, j := strings.Index(text, begin), strings.Index(text, end)
	if i < 0 || j < i {
		t.Fatalf("the marks of %q are gone", mark)
	}
	return text[:i+len(begin)] + table + text[j:]
}

func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func wireTable() string {
	var b strings.Builder
	b.WriteString("| code | name | action | default retry_ms | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, r := range code.Table {
		if r.Wire {
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", r.Code, r.Name, r.Code.Action(), number(r.RetryMS), r.Meaning)
		}
	}
	return b.String()
}

func wholeTable() string {
	var b strings.Builder
	b.WriteString("| code | name | action | HTTP | default retry_ms | to devices | meaning |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range code.Table {
		wire := ""
		if r.Wire {
			wire = "yes"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", r.Code, r.Name, r.Code.Action(), number(uint32(r.HTTP)), number(r.RetryMS), wire, r.Meaning)
	}
	return b.String()
}

func TestCodeTablesOfTheDocs(t *testing.T) {
	for path, c := range map[string]struct{ mark, table string }{
		protocolPage: {"wire codes", wireTable()},
		codesPage:    {"codes", wholeTable()},
	} {
		text := page(t, path)
		want := tableIn(t, text, c.mark, c.table)
		if text == want {
			continue
		}
		if !*update {
			t.Errorf("%s does not have the table of pkg/code: run go test ./pkg/wire -update", path)
			continue
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
