package config

// Origin says for one key what it is and which layer made it so.
type Origin struct {
	Key   string // section.key
	Value string // in text form; *** for a secret that is set
	Layer Layer
	Where string // as Place.String
	Live  bool   // the key follows keeper without a restart
}

// Result is what a successful Load knows beside the values.
type Result struct {
	origins []Origin
}

// Explain lists every key in the order of the struct.
func (r *Result) Explain() []Origin { return append([]Origin(nil), r.origins...) }

func newResult(s *schema) *Result {
	r := &Result{origins: make([]Origin, 0, len(s.keys))}
	for _, f := range s.keys {
		value := textOf(f.val, f.kind)
		if f.secret && !f.isZero() {
			value = "***"
		}
		r.origins = append(r.origins, Origin{
			Key: f.key, Value: value, Layer: f.place.Layer, Where: f.place.String(), Live: f.live,
		})
	}
	return r
}
