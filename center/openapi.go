package center

import (
	_ "embed"
	"net/http"
	"time"

	"longlink/pkg/code"
)

//go:embed openapi.yaml
var openAPI []byte

// serveOpenAPI answers with the description of REST; it needs no key.
func (d *door) serveOpenAPI(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	ctx := d.identify(w, r)
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // a caller that went away
	d.s.metrics.requests.WithLabelValues("openapi", code.OK.String()).Inc()
	d.s.log.DebugContext(ctx, "api call", "call", "openapi", "took", time.Since(began))
}
