package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/calm-go/calm"
)

// metrics counts what the server does, in a registry of its own. docs/serving.md lists them.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // by endpoint and status
	seconds  *prometheus.HistogramVec // a request, by endpoint
	prompts  *prometheus.CounterVec   // tokens that were read, by model; so are all below
	tokens   *prometheus.CounterVec   // written
	patches  *prometheus.CounterVec
	draws    *prometheus.CounterVec
	first    *prometheus.HistogramVec // seconds from a request to the first tokens of a text
	between  *prometheus.HistogramVec // seconds between patches
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "calm", Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, first float64, n int, label string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "calm", Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, 2, n)}, []string{label})
		m.registry.MustRegister(h)
		return h
	}
	gauge := func(name, help string, value func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "calm", Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	m.requests = counter("requests_total", "Requests that were answered, by endpoint and HTTP status.", "endpoint", "code")
	m.seconds = histogram("request_seconds", "Seconds from the arrival of a request to the end of its answer.", .001, 20, "endpoint")
	m.prompts = counter("prompt_tokens_total", "Tokens of prompts and of embedded texts.", "model")
	m.tokens = counter("generated_tokens_total", "Tokens that were written.", "model")
	m.patches = counter("patches_total", "Patches that were written.", "model")
	m.draws = counter("draws_total", "Draws of patches; more than one a patch below temperature 1.", "model")
	m.first = histogram("first_token_seconds", "Seconds from the arrival of a request to the first tokens of a text.", .001, 18, "model")
	m.between = histogram("patch_seconds", "Seconds between two patches of a text.", .0005, 18, "model")
	gauge("queue_requests", "Requests that wait for a slot.", func() int { _, waiting := s.gate.busy(); return waiting })
	gauge("streams", "Texts that are being written, and embeddings that are being made.", func() int { streams, _ := s.gate.busy(); return streams })
	gauge("streams_max", "Texts that may be written at once.", func() int { return cap(s.gate.slots) })
	gauge("models_loaded", "Models in memory.", s.models.count)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// request counts a request that was answered.
func (m *metrics) request(endpoint string, status int, took time.Duration) {
	m.requests.WithLabelValues(endpoint, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(endpoint).Observe(took.Seconds())
}

// prompt counts the tokens of a prompt.
func (m *metrics) prompt(model string, tokens int) {
	m.prompts.WithLabelValues(model).Add(float64(tokens))
}

// watch follows one text.
type watch struct {
	metrics *metrics
	model   string
	arrived time.Time // the request
	last    time.Time // the last progress; zero: none
	before  calm.Result
}

func (m *metrics) watch(model string, arrived time.Time) *watch {
	return &watch{metrics: m, model: model, arrived: arrived}
}

// progress counts what was written since the last call.
func (w *watch) progress(r calm.Result) {
	now := time.Now()
	m, patches := w.metrics, r.Patches-w.before.Patches
	m.tokens.WithLabelValues(w.model).Add(float64(r.Tokens - w.before.Tokens))
	m.patches.WithLabelValues(w.model).Add(float64(patches))
	m.draws.WithLabelValues(w.model).Add(float64(r.Draws - w.before.Draws))
	w.before = r
	switch {
	case patches <= 0:
		return
	case w.last.IsZero():
		m.first.WithLabelValues(w.model).Observe(now.Sub(w.arrived).Seconds())
	default: // a chunk may have more than one patch
		for range patches {
			m.between.WithLabelValues(w.model).Observe(now.Sub(w.last).Seconds() / float64(patches))
		}
	}
	w.last = now
}
