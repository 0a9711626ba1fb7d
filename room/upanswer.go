package room

import (
	"math/rand/v2"

	"longlink/pkg/code"
)

// upstreamAnswer is answerOf with one exception: while this room knows the
// product, a coordinator or saver that does not is only behind (a product that
// was just created), and the data must not be given up for that. When it was
// deleted this room unbinds it as soon as it hears.
func (c *conn) upstreamAnswer(product string, err *code.Error) upAnswer {
	if err != nil && err.Code == code.UnknownProduct {
		if _, known := c.loop.room.deps.Directory.Product(product); known {
			err = &code.Error{Code: code.Unavailable}
		}
	}
	return answerOf(err)
}

// maxUpRetryMS bounds the hints that are passed on.
const maxUpRetryMS = 600_000

// answerOf puts the outcome of a call into words that a device knows. Hints are
// doubled at random, so that the devices that a failure refused together do not
// come back together.
func answerOf(err *code.Error) upAnswer {
	if err == nil {
		return upAnswer{}
	}
	e := *err
	switch {
	case e.Code == code.Shutdown, e.Code == code.Draining, e.Code.Action() == code.None, e.Code.Action() == code.Drop:
		// Another instance's end, and what is none of a device's business.
		e.Code = code.Unavailable
	case !e.Code.Row().Wire && e.Code.Action() == code.Never:
		e.Code = code.InvalidArgument
	case !e.Code.Row().Wire:
		e.Code = code.Unavailable
	}
	a := upAnswer{code: e.Code}
	if e.Code.Action() == code.RetryAfter {
		least := min(e.RetryMS(), maxUpRetryMS)
		a.retryMS = least + rand.Uint32N(least+1)
	}
	return a
}
