package api_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"testing"

	"github.com/gabion/gabion/internal/server"
	"github.com/gabion/gabion/test/contract"
)

var unknownPaths = flag.Int("paths", 10_000, "how many unknown paths to ask for")

// allowance is what the heap may grow by, whatever is asked for.
const allowance = 4 << 20

// TestUnknownPathsTakeNoMemory asks for paths that there are not, each once: by
// nobody, by a key that there is, and by one that there is not.
func TestUnknownPathsTakeNoMemory(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.RateLimit = 1_000_000 })
	r.flood(t, "warm", 1000)
	before := heap()
	r.flood(t, "path", *unknownPaths)
	after := heap()
	fmt.Printf("%d unknown paths, heap %.1f MiB before, %.1f MiB after\n", *unknownPaths, mebibytes(before), mebibytes(after))
	if after > before+allowance {
		t.Errorf("the heap grew by %.1f MiB", mebibytes(after-before))
	}
}

func (r *running) flood(t *testing.T, prefix string, paths int) {
	var group sync.WaitGroup
	for asker := range askers {
		group.Go(func() {
			for i := asker; i < paths; i += askers {
				if err := r.askUnknown(fmt.Sprintf("/%s-%d/x?y=%d", prefix, i, i), i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

func (r *running) askUnknown(route string, i int) error {
	method := []string{"GET", "POST", "PUT", "DELETE"}[i%4]
	req, err := http.NewRequest(method, r.endpoint+route, http.NoBody)
	if err != nil {
		return err
	}
	s := r.signingOf(req, "")
	switch i / 4 % 6 {
	case 0:
		req.Header.Set("Authorization", s.header())
	case 1:
		s.credential = fmt.Sprintf("EXO%024x", i)
		req.Header.Set("Authorization", s.header())
	}
	resp, err := r.http.Transport.(*contract.Transport).Next.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != 403 && resp.StatusCode != 404 && resp.StatusCode != 429 {
		return fmt.Errorf("%s %s was answered %d", method, route, resp.StatusCode)
	}
	return err
}

// heap is what is in use once the rest is gone.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func mebibytes(n uint64) float64 { return float64(n) / (1 << 20) }
