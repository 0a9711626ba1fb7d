package client

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestIDsOfDots: a mux would redirect their paths to shorter ones.
func TestIDsOfDots(t *testing.T) {
	mux := http.NewServeMux()
	got := ""
	mux.HandleFunc("/v1/products/{id}", func(w http.ResponseWriter, r *http.Request) {
		got = r.PathValue("id")
		w.WriteHeader(http.StatusNoContent)
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	h := &http.Client{Transport: &http.Transport{}}
	defer h.CloseIdleConnections()
	c, err := New(Config{Center: s.URL, APIKey: "key", HTTP: h})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{".", "..", "...", "a.b", "a~b"} {
		if err := c.DeleteProduct(t.Context(), id); err != nil || got != id {
			t.Errorf("%q: %q, %v", id, got, err)
		}
	}
}
