package center

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
	"time"

	"longlink/pkg/code"
	"longlink/pkg/config"
)

var update = flag.Bool("update", false, "write the limits of docs/api.md anew")

const (
	apiPage     = "../docs/api.md"
	limitsBegin = "<!-- limits: begin -->\n"
	limitsEnd   = "<!-- limits: end -->"
)

// limit is one line of the page's table, made of what the checks use.
type limit struct {
	what, is string
	beyond   code.Code
	words    string // instead of beyond
	field    string
	// over makes a call that goes just over the limit; held names the test that
	// does so elsewhere. With neither it is another service's limit.
	over func(w *world) answer
	held string
}

func limits() []limit {
	d := DefaultConfig()
	push := func(fields string) func(w *world) answer {
		return func(w *world) answer {
			return w.call(w.op, "POST", "/v1/push", `{"product":"demo",`+fields+`}`)
		}
	}
	post := func(path, body string) func(w *world) answer {
		return func(w *world) answer { return w.call(w.op, "POST", path, body) }
	}
	list := func(n int, item string) string { return strings.Repeat(item+",", n) + item } // one more than n
	x := func(n int) string { return strings.Repeat("x", n) }
	entries := make([]string, maxDataEntries+1)
	for i := range entries {
		entries[i] = fmt.Sprintf(`"k%d":""`, i)
	}
	return []limit{
		{what: "ids and names", is: "1 to 64 characters of `A-Z a-z 0-9 . _ ~ -`", beyond: code.InvalidArgument, field: "device", over: push(`"device":"` + x(65) + `","text":"hi"`)},
		{what: "payload of a message", is: inBytes(maxPayload), beyond: code.PayloadTooLarge, field: "text", over: push(`"device":"d","text":"` + x(maxPayload+1) + `"`)},
		{what: "`data` of a message", is: fmt.Sprintf("%s entries", thousands(maxDataEntries)), beyond: code.InvalidArgument, field: "data",
			over: push(`"device":"d","text":"hi","data":{` + strings.Join(entries, ",") + `}`)},
		{what: "keys and values of `data` together", is: inBytes(maxDataBytes), beyond: code.InvalidArgument, field: "data", over: push(`"device":"d","text":"hi","data":{"k":"` + x(maxDataBytes) + `"}`)},
		{what: "`devices` of a push", is: thousands(maxDevices), beyond: code.TooManyTargets, field: "devices", over: push(`"devices":[` + list(maxDevices, `"d"`) + `],"text":"hi"`)},
		{what: "devices of an alias that a push names", is: thousands(maxDevices), beyond: code.TooManyTargets, field: "alias", over: func(w *world) answer {
			for i := range maxDevices + 1 {
				w.saver.set(func() { w.saver.alias("demo/ann", fmt.Sprint("d", i)) })
			}
			return push(`"alias":"ann","text":"hi"`)(w)
		}},
		{what: "`ttl` of a message", is: spell(minTTL) + " to " + spell(maxTTL) + ", " + spell(defaultTTL) + " by default", beyond: code.InvalidArgument, field: "ttl",
			over: push(`"device":"d","text":"hi","ttl":"` + (maxTTL + time.Millisecond).String() + `"`)},
		{what: "`wait` of a push", is: spell(maxWait), beyond: code.InvalidArgument, field: "wait", over: push(`"device":"d","text":"hi","wait":"` + (maxWait + time.Millisecond).String() + `"`)},
		{what: "messages of a batch", is: thousands(maxBatch), beyond: code.TooManyTargets, field: "messages", over: post("/v1/push:batch", `{"messages":[`+list(maxBatch, `{}`)+`]}`)},
		{what: "devices of a query", is: thousands(maxQuery), beyond: code.TooManyTargets, field: "devices", over: post("/v1/devices:query", `{"devices":[`+list(maxQuery, `"d"`)+`]}`)},
		{what: "`reason` of a kick", is: inBytes(maxReason), beyond: code.InvalidArgument, field: "reason", over: post("/v1/devices/d:kick", `{"reason":"`+x(maxReason+1)+`"}`)},
		{what: "`limit` of a page", is: fmt.Sprintf("%s, %s by default", thousands(maxPage), thousands(defaultPage)), beyond: code.InvalidArgument, field: "limit", over: func(w *world) answer {
			return w.call(w.op, "GET", fmt.Sprint("/v1/rooms?limit=", maxPage+1), "")
		}},
		{what: "`products` of a device token", is: thousands(maxTokenBinds), beyond: code.InvalidArgument, field: "products", over: post("/v1/tokens", `{"device":"d","products":[`+list(maxTokenBinds, `"demo"`)+`]}`)},
		{what: "`ttl` of a device token", is: spell(minTTL) + " to " + spell(d.MaxTokenTTL.Std()) + " (`center.max_token_ttl`), " + spell(defaultToken) + " by default", beyond: code.InvalidArgument, field: "ttl",
			over: post("/v1/tokens", `{"device":"d","ttl":"`+(d.MaxTokenTTL.Std()+time.Millisecond).String()+`"}`)},
		{what: "devices of an alias", is: "1,000", beyond: code.FailedPrecondition},
		{what: "aliases of a device in a product", is: "16", beyond: code.FailedPrecondition},
		{what: "waiting messages of a device in a product", is: "1,000, 1 MiB (`saver.lane`)", beyond: code.InboxFull},
		{what: "followers of `/v1/events` at one center", is: thousands(d.Events.MaxFollowers) + " (`center.events.max_followers`)", beyond: code.RateLimited, held: "TestFollowersAreBounded"},
		{what: "those of them with one product's keys", is: thousands(d.Events.MaxProductFollowers) + " (`center.events.max_product_followers`)", beyond: code.RateLimited, held: "TestFollowersAreBounded"},
		{what: "steps that a trace tells", is: thousands(maxSteps), words: "the newest are left out"},
		{what: "request body, gRPC message", is: inBytes(int(d.MaxBody)) + " (`center.max_body`)", beyond: code.PayloadTooLarge, over: post("/v1/push", strings.Repeat(" ", int(d.MaxBody)+1))},
		{what: "the same of a batch", is: inBytes(maxBatchBody) + ", and half of `center.max_in_flight_bytes`", beyond: code.PayloadTooLarge, over: post("/v1/push:batch", strings.Repeat(" ", maxBatchBody+1))},
		{what: "request headers", is: inBytes(maxHeader), words: "HTTP 431", held: "TestLongHeaders"},
		{what: "gRPC calls at once on a connection", is: thousands(maxStreams), words: "the client holds them back"},
		{what: "requests at once", is: thousands(d.MaxRequests) + " (`center.max_requests`)", beyond: code.RateLimited, held: "TestRequestsAreBounded"},
		{what: "requests of one key a second", is: "`center.key_rate`, off by default", beyond: code.RateLimited, held: "TestRequestsOfAKeyAreBounded"},
		{what: "device messages in flight", is: thousands(d.MaxInFlight) + " (`center.max_in_flight`)", beyond: code.RateLimited, held: "TestPushesInFlightAreBounded"},
		{what: "bytes of them, and of the bodies of batches", is: inBytes(int(d.MaxInFlightBytes)) + " (`center.max_in_flight_bytes`)", beyond: code.RateLimited, held: "TestBytesInFlightAreBounded"},
	}
}

// inBytes, thousands and spell write a limit for people.
func inBytes(n int) string {
	s := config.Size(n).String()
	at := strings.IndexFunc(s, func(r rune) bool { return r > '9' })
	if s[at:] == "B" {
		return s[:at] + " bytes"
	}
	return s[:at] + " " + s[at:]
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}

func spell(d time.Duration) string {
	if day := 24 * time.Hour; d > day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return config.Duration(d).String()
}

// TestLimitsPage: docs/api.md has the limits that the code has.
func TestLimitsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("| what | limit | beyond it |\n| --- | --- | --- |\n")
	for _, l := range limits() {
		beyond := l.words
		if beyond == "" {
			beyond = l.beyond.String()
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.what, l.is, beyond)
	}
	page, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), limitsBegin)
	table, after, ok2 := strings.Cut(rest, limitsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s lacks %q or %q", apiPage, limitsBegin, limitsEnd)
	}
	if table == b.String() {
		return
	}
	if !*update {
		t.Fatalf("the limits in %s are not those of the code; go test ./center -run Limits -update writes them", apiPage)
	}
	if err := os.WriteFile(apiPage, []byte(before+limitsBegin+b.String()+limitsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestLimitsHold: what goes over a limit is answered as the page says.
func TestLimitsHold(t *testing.T) {
	w := newWorld(t, nil)
	tests := declared(t, ".", func(path string) bool { return strings.HasSuffix(path, "_test.go") })
	for _, l := range limits() {
		t.Run(l.what, func(t *testing.T) {
			if l.held != "" && !tests[l.held] {
				t.Errorf("there is no %s", l.held)
			}
			if l.over != nil {
				l.over(w).failed(t, l.beyond, l.field)
			}
		})
	}
	if len(w.saver.lanes) != 0 || len(w.coord.got) != 0 {
		t.Error("a refused request did something")
	}
}

// TestOpenAPILimits: those that openapi.yaml has a word for.
func TestOpenAPILimits(t *testing.T) {
	f := loadAPI(t)
	of := func(schema, property string) *apiSchema { return f.Components.Schemas[schema].Properties[property] }
	page := f.Components.Parameters["Limit"].Schema
	for what, c := range map[string][2]any{
		"devices of a push":   {of("PushRequest", "devices").MaxItems, maxDevices},
		"data":                {of("PushRequest", "data").MaxProperties, maxDataEntries},
		"messages of a batch": {of("PushBatchRequest", "messages").MaxItems, maxBatch},
		"devices of a query":  {of("DevicesQuery", "devices").MaxItems, maxQuery},
		"products of a token": {of("TokenRequest", "products").MaxItems, maxTokenBinds},
		"a page":              {page.Maximum, maxPage},
		"a page by default":   {page.Default, defaultPage},
		"ids":                 {f.Components.Schemas["Id"].Pattern, `^[A-Za-z0-9._~-]{1,64}$`},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: openapi.yaml says %v, the code %v", what, c[0], c[1])
		}
	}
}

// TestLimitsAreComplete: every limit of limits.go is on the page, but those that
// callers do not meet.
func TestLimitsAreComplete(t *testing.T) {
	hidden := map[string]bool{"maxAsked": true, "maxLookUps": true}
	here, err := os.ReadFile("limits_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := declared(t, ".", func(path string) bool { return path == "limits.go" })
	for name := range names {
		if strings.HasPrefix(name, "max") || strings.HasPrefix(name, "min") || strings.HasPrefix(name, "default") {
			if !hidden[name] && !strings.Contains(string(here), name) {
				t.Errorf("%s is on no line", name)
			}
		}
	}
	if !names["maxPayload"] {
		t.Errorf("limits.go declares %v", names)
	}
}

// declared are the names of constants and functions in files of a directory.
func declared(t *testing.T, dir string, in func(path string) bool) map[string]bool {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range files {
		if !in(e.Name()) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				names[d.Name.Name] = true
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok {
						for _, n := range v.Names {
							names[n.Name] = true
						}
					}
				}
			}
		}
	}
	return names
}
