package center

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"longlink/pkg/code"
)

// FuzzDecode: whatever comes, decode neither panics nor takes what
// encoding/json would not, and its errors are of the two kinds that a door may
// answer with.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", "[]", `{"product":"p","device":"d","text":"t"}`, `{"product":"p"}{}`, `{"product":"p","product":"q"}`,
		`{"data":{"a":"b","a":"c"}}`, `{"data":{"a":null}}`, `{"data":null,"ttl":"24h","wait":"1s","qos":1}`, `{"payload":"AP8="}`, `{"payload":"!"}`,
		`{"json":{"a":[1,2,{"b":null}]}}`, `{"json":null}`, `{"ttl":1}`, `{"ttl":"x"}`, `{"ttl":"-1s"}`, `{"qos":1e400}`, `{"devices":[1]}`, `{"Product":"p"}`,
		"{\"product\":\"\xff\"}", `{"product":"\ud800"}`, `{"a":`, `{"a" 1}`, `{"\u0000":1}`, `{"devices":["a",null]}`, "\ufeff{}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b pushBody
		err := decode(body, &b)
		if err != nil {
			if err.Code != code.Malformed && (err.Code != code.InvalidArgument || !utf8.ValidString(err.Field+err.Message)) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q was taken", body)
		}
		if _, err := b.request(); err != nil && err.Field == "" {
			t.Fatalf("%v", err)
		}
	})
}

func TestDecodeTakesWhatIsMeant(t *testing.T) {
	var b pushBody
	if err := decode([]byte(` {"product":"p" , "data":{"a":"b"},"ttl":"1h30m","wait":"1500us","json":[1 ,2],"qos":0,"devices":null} `), &b); err != nil {
		t.Fatal(err)
	}
	r, err := b.request()
	if err != nil || r.Product != "p" || r.Data["a"] != "b" || r.TtlMs != 5_400_000 || r.WaitMs != 2 || r.GetJson() != "[1 ,2]" || r.Qos == nil || *r.Qos != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
