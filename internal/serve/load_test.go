package serve_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/calm-go/calm/internal/serve"
)

// TestDisconnects has many clients that leave at random moments: before and after their text begins, in streams and without. In
// the end no slot is held and no goroutine is left. CALM_SERVE_DISCONNECTS sets how many.
func TestDisconnects(t *testing.T) {
	clients := 120
	if testing.Short() {
		clients = 32
	}
	if n, err := strconv.Atoi(os.Getenv("CALM_SERVE_DISCONNECTS")); err == nil {
		clients = n
	}
	s := start(t, func(o *serve.Options) { o.Streams, o.Queue = 4, 1000 })
	ok[texts](s, "/v1/completions", `{"max_tokens":8,"seed":1}`) // what is made once
	http.DefaultClient.CloseIdleConnections()
	before := settled()
	var cut, done atomic.Int32
	var all sync.WaitGroup
	rooms := make(chan struct{}, 16)
	for i := range clients {
		rooms <- struct{}{}
		all.Go(func() {
			defer func() { <-rooms }()
			r := rand.New(rand.NewPCG(1, uint64(i)))
			stay := time.Duration(r.IntN(40)) * time.Millisecond
			if i%8 == 0 {
				stay = time.Minute
			}
			ctx, leave := context.WithTimeout(t.Context(), stay)
			defer leave()
			body := fmt.Sprintf(`{"stream":%v,"n":%d,"max_tokens":%d,"seed":%d,"temperature":%g,"prompt":"Call"}`, r.IntN(3) > 0, 1+r.IntN(3), 4+r.IntN(3000), i, []float64{1, .5}[r.IntN(2)])
			req, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/v1/completions", strings.NewReader(body))
			got, err := http.DefaultClient.Do(req)
			if err == nil {
				_, err = io.Copy(io.Discard, got.Body)
				got.Body.Close()
			}
			if err != nil {
				cut.Add(1)
			} else {
				done.Add(1)
			}
		})
	}
	all.Wait()
	eventually(t, "all slots are free", func() bool { return s.gauge("calm_streams") == 0 && s.gauge("calm_queue_requests") == 0 })
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	if cut.Load() < int32(clients)/4 {
		t.Errorf("only %d of %d clients left early", cut.Load(), clients)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%d clients left early, %d got their text; %d goroutines before, %d after; the heap has %d KiB", cut.Load(), done.Load(), before, runtime.NumGoroutine(), m.HeapAlloc>>10)
}

// settled returns the number of goroutines when it no longer falls.
func settled() int {
	n := runtime.NumGoroutine()
	for range 20 {
		time.Sleep(5 * time.Millisecond)
		n = min(n, runtime.NumGoroutine())
	}
	return n
}

// TestOverload asks for ten times as much as the server does at once, and checks that all answers are texts or 429, that the queue
// stays within its bound, and that memory does not grow. CALM_SERVE_OVERLOAD sets for how long.
func TestOverload(t *testing.T) {
	long := 1500 * time.Millisecond
	if d, err := time.ParseDuration(os.Getenv("CALM_SERVE_OVERLOAD")); err == nil {
		long = d
	}
	const streams, queue = 2, 4
	s := start(t, func(o *serve.Options) { o.Streams, o.Queue = streams, queue })
	var (
		statuses [600]atomic.Int64
		all      sync.WaitGroup
		bytes    []uint64
	)
	end := time.Now().Add(long)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	for i := range 10 * (streams + queue) {
		all.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				got, err := (&http.Client{Transport: transport}).Post(s.url+"/v1/completions", "application/json",
					strings.NewReader(fmt.Sprintf(`{"prompt":"Call","stream":%v,"max_tokens":200,"seed":%d}`, n%2 == 0, i)))
				if err != nil {
					t.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, got.Body)
				if got.Body.Close(); err != nil {
					t.Error(err)
				}
				if statuses[got.StatusCode].Add(1); got.StatusCode == 429 {
					time.Sleep(2 * time.Millisecond) // less than any client waits
				}
			}
		})
	}
	for time.Now().Before(end) {
		time.Sleep(long / 10)
		if n := s.gauge("calm_queue_requests"); n > queue+streams {
			t.Errorf("%d requests wait", n)
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		bytes = append(bytes, m.HeapAlloc)
	}
	all.Wait()
	served, refused := statuses[200].Load(), statuses[429].Load()
	for status := range statuses {
		if n := statuses[status].Load(); n > 0 && status != 200 && status != 429 {
			t.Errorf("%d answers have the status %d", n, status)
		}
	}
	if served == 0 || refused == 0 {
		t.Errorf("%d texts, %d refused", served, refused)
	}
	if first, last := bytes[len(bytes)/2], bytes[len(bytes)-1]; last > first+first/2+8<<20 {
		t.Errorf("the heap has grown from %d to %d bytes", first, last)
	}
	t.Logf("%v: %d texts, %d refused; the heap in KiB: %d in the middle, %d at the end", long, served, refused, bytes[len(bytes)/2]>>10, bytes[len(bytes)-1]>>10)
}
