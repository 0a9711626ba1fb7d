package e2e

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// leftAfter is when center tries no more to hand an accepted message to its
// room (deliver_deadline, 5 s): what the app saw later was brought by the sweep,
// a later push to its lane or a login.
const leftAfter = 5500 * time.Millisecond

// carried is how long before a kill an answered push may still be on its way.
const carried = 500 * time.Millisecond

// Period is a part of a run, from its begin to the begin of the next. A push
// belongs to the one in which it was answered; to the next when it was answered
// just before that one's kill and not seen before it.
type Period struct {
	Name  string
	Begin time.Time
}

// waits are the measurements of one period.
type waits struct {
	sent, stored []time.Duration // how long messages waited, by the answer of their push
	call         time.Duration   // the longest a push took, with its repetitions
	tries        int             // the most of one push
	left         int             // brought by the sweep, a later push or a login; see leftAfter
}

// Waits tells, for each period, how long messages waited from the first try of
// their push to the app: those that a room took at once (`sent`), and those that
// were stored and then delivered.
func (tr *Traffic) Waits(periods []Period) string {
	all := make([]waits, len(periods))
	tr.each(func(_ *lane, _ int, p *pushed) {
		w := &all[periodOf(periods, p)]
		w.call, w.tries = max(w.call, p.answered.Sub(p.began)), max(w.tries, p.tries)
		if p.seen.IsZero() || p.seen.Sub(p.answered) > leftAfter {
			w.left++
		}
		if p.seen.IsZero() {
			return
		}
		if p.state == "sent" {
			w.sent = append(w.sent, p.waited())
		} else {
			w.stored = append(w.stored, p.waited())
		}
	})
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "period\tsent\tp50\tp99\tworst\tstored\tp50\tp99\tworst\tworst call\ttries\tleft behind\t")
	for i, w := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t\n", periods[i].Name, spread(w.sent), spread(w.stored), brief(w.call), w.tries, w.left)
	}
	t.Flush()
	return b.String()
}

func periodOf(periods []Period, p *pushed) int {
	i := len(periods) - 1
	for i > 0 && p.answered.Before(periods[i].Begin) {
		i--
	}
	if i+1 < len(periods) {
		next := periods[i+1].Begin
		if next.Sub(p.answered) < carried && (p.seen.IsZero() || p.seen.After(next)) {
			return i + 1
		}
	}
	return i
}

func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "0\t-\t-\t-"
	}
	slices.Sort(d)
	return fmt.Sprintf("%d\t%s\t%s\t%s", len(d), brief(d[len(d)/2]), brief(d[len(d)*99/100]), brief(d[len(d)-1]))
}

func brief(d time.Duration) string { return fmt.Sprint(d.Round(time.Millisecond)) }
