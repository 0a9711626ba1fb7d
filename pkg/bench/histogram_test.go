package bench

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsAreInOrderAndPrecise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64Range(0, math.MaxInt64-1).Draw(t, "v")
		b := bucketOf(v)
		if b > maxBucket || bucketOf(v+1) < b || bucketOf(v+1) > b+1 {
			t.Fatalf("bucket of %d is %d, of the next value %d", v, b, bucketOf(v+1))
		}
		if off := math.Abs(float64(middle(b) - v)); off > float64(v)/256 {
			t.Fatalf("%d is answered as %d", v, middle(b))
		}
	})
	if b := bucketOf(math.MaxInt64); b != maxBucket {
		t.Errorf("the largest value is in bucket %d, not %d", b, maxBucket)
	}
}

// Quantiles of several merged histograms, after a trip through JSON, are those
// of all values sorted, within the stated error.
func TestQuantilesOfMergedHistograms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOf(rapid.Int64Range(0, int64(time.Hour))), 1, 4).Draw(t, "parts")
		var all []int64
		var sum Histogram
		for _, part := range parts {
			var h, back Histogram
			for _, v := range part {
				h.Record(time.Duration(v))
			}
			b, err := json.Marshal(h)
			if err == nil {
				err = json.Unmarshal(b, &back)
			}
			if err != nil || !reflect.DeepEqual(h, back) {
				t.Fatalf("through JSON: %v, %+v became %+v", err, h, back)
			}
			sum.Merge(&back)
			all = append(all, part...)
		}
		if sum.Count() != uint64(len(all)) {
			t.Fatalf("%d counted, %d recorded", sum.Count(), len(all))
		}
		if len(all) == 0 {
			if sum.Quantile(0.5) != 0 || sum.Mean() != 0 {
				t.Fatal("an empty histogram has quantiles")
			}
			return
		}
		slices.Sort(all)
		if got := sum.Max(); got != time.Duration(all[len(all)-1]) {
			t.Fatalf("max %d, want %d", got, all[len(all)-1])
		}
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
			want := float64(all[max(int(math.Ceil(q*float64(len(all)))), 1)-1])
			if got := float64(sum.Quantile(q)); math.Abs(got-want) > want/256 {
				t.Fatalf("quantile %g is %g, want %g", q, got, want)
			}
		}
	})
}

func TestNegativeDurationCountsAsZero(t *testing.T) {
	var h Histogram
	h.Record(-time.Second)
	if h.Count() != 1 || h.Max() != 0 || h.Quantile(1) != 0 {
		t.Errorf("%+v", h)
	}
}

func TestForgedBucketIsRefused(t *testing.T) {
	var h Histogram
	if err := json.Unmarshal([]byte(`{"buckets":[[7296,1]]}`), &h); err == nil {
		t.Error("a bucket beyond the last was taken")
	}
}
