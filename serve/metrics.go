package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics tells.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // by code
	seconds  *prometheus.HistogramVec // of a request, by code
	images   *prometheus.CounterVec   // by the module whose head answered
	batches  prometheus.Histogram     // images that were computed at once
	compute  prometheus.Counter       // seconds
}

func newMetrics(waiting, inside func() float64) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "locus_requests_total", Help: "Requests to /predict, by status code."}, []string{"code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "locus_request_seconds",
			Help: "Time of a request to /predict, by status code.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15)}, []string{"code"}),
		images: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "locus_images_total", Help: "Images answered, by the module whose head did."}, []string{"module"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "locus_batch_images",
			Help: "Images that a worker computed at once.", Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		compute: prometheus.NewCounter(prometheus.CounterOpts{Name: "locus_compute_seconds_total", Help: "Time that workers have computed."}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.images, m.batches, m.compute,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "locus_queue_images", Help: "Images that wait for a worker."}, waiting),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "locus_requests_in_flight", Help: "Requests that are being answered."}, inside),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// batch is told of every batch that was computed.
func (m *metrics) batch(images int, took time.Duration) {
	m.batches.Observe(float64(images))
	m.compute.Add(took.Seconds())
}

func (m *metrics) answered(module int) { m.images.WithLabelValues(strconv.Itoa(module)).Inc() }

// counted counts and times the requests of a handler.
func (s *Server) counted(h http.Handler) http.Handler {
	return promhttp.InstrumentHandlerDuration(s.metrics.seconds, promhttp.InstrumentHandlerCounter(s.metrics.requests, h))
}
