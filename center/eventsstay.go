package center

import (
	"context"
	"net/http"
	"time"

	"longlink/pkg/code"
)

// stay is what a call that lasts has from the door.
type stay struct {
	life  *lifeline
	begun func()                          // gives back the place of max_requests
	still func(now time.Time) *code.Error // why the caller may not go on; nil: it may
}

type stayKey struct{}

// stay prepares for an answer that lasts; end must be called before the handler
// returns.
func (d *door) stay(ctx context.Context, w http.ResponseWriter, r *http.Request, a *admission) (_ context.Context, end func()) {
	key := r.Header.Get("Authorization")
	y := &stay{
		life:  &lifeline{rc: http.NewResponseController(w), wait: d.s.followers.patience},
		begun: a.release,
		still: func(now time.Time) *code.Error {
			who, err := d.keys.identify(key, now)
			if err == nil && who.product != a.who.product {
				err = code.Errorf(code.Unauthenticated, "the API key is another product's now")
			}
			return err
		},
	}
	stop := context.AfterFunc(d.s.followers.closing, y.life.cut)
	return context.WithValue(ctx, stayKey{}, y), func() {
		stop()
		y.life.end()
	}
}

// stayOf is what the door has given; without a door there is nothing to keep.
func stayOf(ctx context.Context) *stay {
	if y, ok := ctx.Value(stayKey{}).(*stay); ok {
		return y
	}
	return &stay{begun: func() {}, still: func(time.Time) *code.Error { return nil }}
}
