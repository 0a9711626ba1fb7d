package client

import (
	"encoding/json"
	"strings"
	"testing"
)

// sentBatch are the texts and dedup ids of the batch in one call.
func sentBatch(t *testing.T, call string) (texts, dedup []string) {
	t.Helper()
	var b struct {
		Messages []struct {
			Text    string `json:"text"`
			DedupID string `json:"dedup_id"`
		} `json:"messages"`
	}
	body, ok := strings.CutPrefix(call, "POST /v1/push:batch ")
	if err := json.Unmarshal([]byte(body), &b); err != nil || !ok {
		t.Fatalf("%v: %s", err, call)
	}
	for _, m := range b.Messages {
		texts, dedup = append(texts, m.Text), append(dedup, m.DedupID)
	}
	return texts, dedup
}

func itemError(name string, retryMS string) string {
	return `{"error":{"code":"` + name + `","message":"m","retry_after_ms":` + retryMS + `}}`
}

// TestBatchRepeatsWhatMayBeRepeated, under the same dedup ids, and nothing else.
func TestBatchRepeatsWhatMayBeRepeated(t *testing.T) {
	stored := `{"id":"m","results":[{"device":"d","seq":7,"state":"stored"}]}`
	client, srv := start(t,
		`200 {"results":[`+strings.Join([]string{itemError("UNKNOWN", "0"), stored, itemError("RATE_LIMITED", "1"), itemError("INVALID_ARGUMENT", "0"),
			itemError("INBOX_FULL", "30000"), itemError("UNAVAILABLE", "1"), itemError("RATE_LIMITED", "1")}, ",")+`]}`,
		`200 {"results":[`+stored+`,`+itemError("NOT_READY", "1")+`,`+stored+`]}`,
		`200 {"results":[`+stored+`]}`)
	zero := 0
	messages := make([]PushRequest, 7)
	for i := range messages {
		text := string(rune('a' + i))
		messages[i] = PushRequest{Product: "p", Device: "d", Text: &text}
	}
	messages[1].DedupID = "mine"
	messages[5].QoS = &zero // UNAVAILABLE: it may have been sent
	messages[6].QoS = &zero // RATE_LIMITED: it was not
	results, err := client.PushBatch(t.Context(), messages)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		if r.Error != nil {
			got = append(got, r.Error.Code)
		} else {
			got = append(got, r.Results[0].State)
		}
	}
	if s := strings.Join(got, " "); s != "stored stored stored INVALID_ARGUMENT INBOX_FULL UNAVAILABLE stored" {
		t.Errorf("results %s", s)
	}
	calls := srv.seen()
	if len(calls) != 3 {
		t.Fatalf("%d calls", len(calls))
	}
	first, ids := sentBatch(t, calls[0])
	second, again := sentBatch(t, calls[1])
	third, last := sentBatch(t, calls[2])
	if strings.Join(first, "") != "abcdefg" || strings.Join(second, "") != "acg" || strings.Join(third, "") != "c" {
		t.Errorf("sent %v, %v, %v", first, second, third)
	}
	if len(ids[0]) != 26 || ids[0] == ids[2] || ids[1] != "mine" || ids[5] != "" || again[0] != ids[0] || again[1] != ids[2] || last[0] != ids[2] {
		t.Errorf("dedup ids %v, then %v, then %v", ids, again, last)
	}
	if messages[0].DedupID != "" {
		t.Error("the caller's messages were changed")
	}
}

// TestBatchAsAWhole: a batch that was not answered is sent again only if every
// message may be.
func TestBatchAsAWhole(t *testing.T) {
	text, zero := "hi", 0
	answer := `200 {"results":[{"id":"m","results":[{"device":"d","seq":7,"state":"sent"}]}]}`
	for _, c := range []struct {
		name, answer string
		qos          *int
		calls        int
	}{
		{"no answer", "break", nil, 2},
		{"qos 0, no answer", "break", &zero, 1},
		{"refused", fail("RATE_LIMITED", 1), &zero, 2},
		{"our fault", fail("NOT_FOUND", 0), nil, 1},
		{"other length", `200 {"results":[]}`, nil, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, srv := start(t, c.answer, answer)
			results, err := client.PushBatch(t.Context(), []PushRequest{{Product: "p", Device: "d", Text: &text, QoS: c.qos}})
			if calls := srv.seen(); len(calls) != c.calls || (err == nil) != (c.calls == 2) || (len(results) == 1) != (c.calls == 2) {
				t.Errorf("%d calls, %v, %v", len(calls), results, err)
			}
		})
	}
	client, srv := start(t, `200 {"results":[`+itemError("UNAVAILABLE", "1")+`]}`)
	results, err := client.PushBatch(t.Context(), []PushRequest{{Product: "p", Device: "d", Text: &text}})
	if err != nil || results[0].Error.Code != "UNAVAILABLE" || len(srv.seen()) != 4 {
		t.Errorf("away for long: %v, %v, %d calls", results, err, len(srv.seen()))
	}
}
