package room

import (
	"context"
	"runtime/debug"
	"slices"
	"time"

	"longlink/pkg/cluster"
	"longlink/pkg/code"
	"longlink/pkg/token"
	"longlink/pkg/wire"
)

// authPool checks tokens and grants off the loops: an HMAC takes as long as
// many frames. Its queue is bounded; a login that finds it full is told BUSY.
type authPool struct {
	workers int
	queue   chan authJob
	dir     cluster.Directory
}

// authJob is a HELLO, or the binding of a BIND, of one connection.
type authJob struct {
	c     *conn
	hello *wire.Hello   // or nil
	bind  *wire.Binding // or nil
	// allowed are the products of the token, for BIND.
	allowed []claim
}

// admission is the outcome for one binding.
type admission struct {
	binding *wire.Binding
	product string      // the directory's own string, shared by connections
	byToken bool        // the token names it: it may be bound again
	alias   *string     // that the token names for it, or nil
	err     *code.Error // why not
}

// authDone brings the outcome back to the connection's loop.
type authDone struct {
	job        authJob
	err        *code.Error // the token's
	claims     []claim     // the token's, for a HELLO
	admissions []admission
}

func newAuthPool(workers, queue int, dir cluster.Directory) *authPool {
	return &authPool{workers, make(chan authJob, queue), dir}
}

// submit queues a job; false when the queue is full. It never blocks.
func (p *authPool) submit(j authJob) bool {
	select {
	case p.queue <- j:
		return true
	default:
		return false
	}
}

// authWorker is one worker.
func (r *Room) authWorker(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-r.auth.queue:
			r.authorize(j)
		}
	}
}

// authorize answers one job. A panic costs the connection, not the worker.
func (r *Room) authorize(j authJob) {
	defer func() {
		if v := recover(); v != nil {
			r.metrics.panics.Inc()
			r.log.Error("panic while checking a token", "value", v, "stack", string(debug.Stack()))
			j.c.loop.post(taskFunc(func(l *loop) {
				defer l.guard(j.c)
				j.c.bye(code.Internal, 0, "")
			}))
		}
	}()
	j.c.loop.post(r.auth.check(j, time.Now()))
}

// check judges the token (for a HELLO) and every binding by itself: a product
// that is refused does not cost the others.
func (p *authPool) check(j authJob, now time.Time) *authDone {
	d := &authDone{job: j}
	if j.bind != nil {
		d.admissions = []admission{p.admit(j.bind, j.c.device, j.allowed, now)}
		return d
	}
	var secrets []cluster.GrantSecret
	if s := p.dir.Secrets(); s != nil {
		secrets = s.TokenSecrets
	}
	t, err := token.Verify(secrets, j.hello.Token, now)
	if err != nil {
		d.err = err
		return d
	}
	if t.Device != j.hello.Device {
		d.err = code.Errorf(code.TokenWrongDevice, "the token is for another device").WithField("device")
		return d
	}
	d.claims = claimsOf(t)
	d.admissions = make([]admission, 0, len(j.hello.Bindings))
	for i := range j.hello.Bindings {
		b := &j.hello.Bindings[i]
		if slices.ContainsFunc(d.admissions, func(a admission) bool { return a.binding.Product == b.Product }) {
			continue // named twice: the first counts
		}
		d.admissions = append(d.admissions, p.admit(b, j.hello.Device, d.claims, now))
	}
	return d
}

// claimsOf lists what a token says of its products. token.Verify has refused
// aliases that are no names, or of products that the token does not name.
func claimsOf(t *token.Device) []claim {
	all := make([]claim, len(t.Products))
	for i, product := range t.Products {
		all[i].product = product
		if alias, ok := t.Aliases[product]; ok {
			all[i].alias = &alias
		}
	}
	return all
}

// admit judges one binding: the product exists and the token or a grant of the
// product names it. Only a token names an alias, a grant has none.
func (p *authPool) admit(b *wire.Binding, device string, allowed []claim, now time.Time) admission {
	a := admission{binding: b, product: b.Product}
	product, ok := p.dir.Product(b.Product)
	named := slices.IndexFunc(allowed, func(c claim) bool { return c.product == b.Product })
	switch {
	case !ok:
		a.err = code.Errorf(code.UnknownProduct, "there is no product %q", b.Product).WithField("product")
	case named >= 0:
		a.product, a.byToken, a.alias = product.Name, true, allowed[named].alias
	case b.Grant == "":
		a.err = code.Errorf(code.ProductNotGranted, "neither the token nor a grant names product %q", b.Product).WithField("product")
	default:
		a.product = product.Name
		if err := token.VerifyGrant(product.GrantSecrets, b.Product, device, b.Grant, now); err != nil {
			a.err = &code.Error{Code: err.Code, Message: err.Message, Field: "grant", Retry: err.Retry}
		}
	}
	if a.err == nil && !validTags(b.Tags) {
		a.err = code.Errorf(code.InvalidArgument, "a tag must be 1 to 64 characters A-Z a-z 0-9 . _ ~ -").WithField("tag")
	}
	return a
}

func validTags(tags []string) bool {
	return !slices.ContainsFunc(tags, func(t string) bool { return !wire.ValidName(t) })
}

func (d *authDone) run(l *loop) {
	c := d.job.c
	defer l.guard(c)
	switch {
	case d.job.hello != nil && c.state == stateAuth:
		c.login(d)
	case d.job.bind != nil && c.state == stateLive:
		c.bindAdmitted(&d.admissions[0])
	}
}
