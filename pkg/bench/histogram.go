package bench

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"time"
)

// subBits sets the precision: each power of two is cut into 1<<subBits buckets,
// and a bucket answers with its middle, so a quantile is off by at most 1/256
// of its value (0.4 %). It is the layout of HdrHistogram with a binary base.
const subBits = 7

// maxBucket is the index of the largest value, 1<<63 - 1.
const maxBucket = (64-subBits)<<subBits - 1

// Histogram counts durations in logarithmic buckets. The zero value is empty.
// It is not safe for concurrent use; merge several instead.
type Histogram struct {
	counts   []uint64 // grown to the largest bucket seen: at most 58 KiB
	n        uint64
	sum      float64 // ns
	min, max int64   // ns, exact
}

// Record counts d; a negative one, after a step of the clock, counts as 0.
func (h *Histogram) Record(d time.Duration) {
	v := max(int64(d), 0)
	h.add(bucketOf(v), 1)
	if h.n == 0 || v < h.min {
		h.min = v
	}
	h.max = max(h.max, v)
	h.n++
	h.sum += float64(v)
}

func (h *Histogram) add(bucket int, n uint64) {
	if bucket >= len(h.counts) {
		h.counts = append(h.counts, make([]uint64, bucket+1-len(h.counts))...)
	}
	h.counts[bucket] += n
}

// bucketOf: values below 1<<subBits have a bucket each, then each power of two
// has 1<<subBits of them.
func bucketOf(v int64) int {
	e := bits.Len64(uint64(v)) - 1 - subBits
	if e < 0 {
		return int(v)
	}
	return e<<subBits + int(v>>e)
}

// middle is the value that a bucket stands for.
func middle(bucket int) int64 {
	e := bucket>>subBits - 1
	if e <= 0 {
		return int64(bucket)
	}
	low := int64(bucket-e<<subBits) << e
	return low + (int64(1)<<e-1)/2
}

// Merge adds everything that o has counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.n == 0 || o.min < h.min {
		h.min = o.min
	}
	h.max = max(h.max, o.max)
	h.n += o.n
	h.sum += o.sum
	for b, n := range o.counts {
		if n > 0 {
			h.add(b, n)
		}
	}
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest, exactly.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Mean is exact but for floating point; 0 when empty.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return time.Duration(h.sum / float64(h.n))
}

// Quantile is the duration that a share q (0 to 1) of all did not exceed, by
// nearest rank; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) || rank == 0 {
		rank++
	}
	var seen uint64
	for b, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(min(max(middle(b), h.min), h.max))
		}
	}
	return time.Duration(h.max)
}

// histogramJSON is the form between processes: [bucket, count] pairs.
type histogramJSON struct {
	Buckets  [][2]uint64 `json:"buckets,omitempty"`
	Sum      float64     `json:"sum,omitempty"`
	Min, Max int64
}

// MarshalJSON writes the non-empty buckets.
func (h Histogram) MarshalJSON() ([]byte, error) {
	out := histogramJSON{Sum: h.sum, Min: h.min, Max: h.max}
	for b, n := range h.counts {
		if n > 0 {
			out.Buckets = append(out.Buckets, [2]uint64{uint64(b), n})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*h = Histogram{sum: in.Sum, min: in.Min, max: in.Max}
	for _, p := range in.Buckets {
		if p[0] > maxBucket {
			return fmt.Errorf("histogram bucket %d does not exist", p[0])
		}
		h.add(int(p[0]), p[1])
		h.n += p[1]
	}
	return nil
}
