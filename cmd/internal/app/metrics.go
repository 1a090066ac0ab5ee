package app

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// metrics are what Prometheus is told. No label carries a phone number, a
// message or an id.
type metrics struct {
	registry    *prometheus.Registry
	facts       *prometheus.CounterVec
	recorded    *prometheus.CounterVec
	deliveries  *prometheus.CounterVec
	endToEnd    *prometheus.HistogramVec
	answer      *prometheus.HistogramVec
	batch       *prometheus.HistogramVec
	calls       *prometheus.CounterVec
	callSeconds *prometheus.HistogramVec
	quotaUse    *prometheus.GaugeVec
	breakerOpen *prometheus.GaugeVec
	paused      *prometheus.GaugeVec
	cpuUsed     prometheus.Gauge
	cpuPause    prometheus.Gauge
	backlog     *prometheus.GaugeVec
	links       *prometheus.GaugeVec
	letters     *prometheus.GaugeVec
	overdue     *prometheus.GaugeVec
	consistency *prometheus.GaugeVec
	compared    *prometheus.GaugeVec
	unaccounted prometheus.Gauge
	synced      *prometheus.GaugeVec
	syncFits    *prometheus.GaugeVec
	syncRecords *prometheus.CounterVec
	renewBy     *prometheus.GaugeVec
	rejected    prometheus.Gauge
	mappingInfo *prometheus.GaugeVec
	fired       *prometheus.CounterVec
	ruleFaults  *prometheus.CounterVec
	noticed     *prometheus.CounterVec
	noticesOwed *prometheus.GaugeVec
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.facts = counter("crmsync_facts_total", "Facts received and stored, by reporting account and kind.", "account", "kind")
	m.recorded = counter("crmsync_recorded_total", "Facts recorded for the first time, by reporting account and kind; news of a CRM's record (kind record) each time.", "account", "kind")
	m.deliveries = counter("crmsync_deliveries_total", "Deliveries by account, entity and outcome.", "account", "entity", "outcome")
	m.endToEnd = histogram("crmsync_end_to_end_seconds", "From the receipt of a webhook until the account shows it.",
		[]float64{.05, .1, .2, .3, .5, .8, 1, 2, 3, 5, 10, 30, 60, 300, 3600}, "account")
	m.answer = histogram("crmsync_webhook_answer_seconds", "From a webhook's headers until its answer, by HTTP status.",
		[]float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 3}, "status")
	m.batch = histogram("crmsync_batch_records", "Records carried by one call.", []float64{1, 2, 5, 10, 20, 50, 100}, "account")
	m.calls = counter("crmsync_api_calls_total", "HTTP calls to an account by outcome: the status, or what went wrong.", "account", "outcome")
	m.callSeconds = histogram("crmsync_api_call_seconds", "How long an account takes to answer.", prometheus.DefBuckets, "account")
	m.quotaUse = gauge("crmsync_quota_used_ratio", "Share of the account's call quota in use.", "account")
	m.breakerOpen = gauge("crmsync_breaker_open", "1 while the account's circuit breaker is open.", "account")
	m.paused = gauge("crmsync_account_paused", "1 while somebody has paused the account.", "account")
	m.cpuUsed = prometheus.NewGauge(prometheus.GaugeOpts{Name: "crmsync_cpu_used_ratio", Help: "Share of the processors that the process may use and does."})
	m.cpuPause = prometheus.NewGauge(prometheus.GaugeOpts{Name: "crmsync_cpu_pause_seconds", Help: "How long deliveries wait before each call, because of max_cpu."})
	m.registry.MustRegister(m.cpuUsed, m.cpuPause)
	m.backlog = gauge("crmsync_backlog", "Contacts, messages, files and tasks that the account does not show yet.", "account")
	m.links = gauge("crmsync_links", "Contacts, messages, files and tasks that are not in agreement with the account, by state: pending, dead or skipped.", "account", "state")
	m.letters = gauge("crmsync_dead_letters_open", "Dead letters that nobody has settled.", "account", "class")
	m.overdue = gauge("crmsync_dead_letters_overdue", "Dead letters that somebody should have settled by now.", "account", "class")
	m.consistency = gauge("crmsync_consistency_records", "Records in the last comparison of the account, by what came out: compared, and of these missing or differing.", "account", "outcome")
	m.compared = gauge("crmsync_consistency_checked_timestamp_seconds", "When the account was last compared to the end.", "account")
	m.synced = gauge("crmsync_contact_sync_complete_timestamp_seconds", "When the last contact sync began that went through all contacts of the account: none was compared longer ago.", "account")
	m.syncFits = gauge("crmsync_contact_sync_fits", "1 while all contacts of the account can be compared each time, 0 while they are compared a part at a time.", "account")
	m.syncRecords = counter("crmsync_contact_sync_records_total", "Records in contact syncs of the account, by what came out.", "account", "outcome")
	m.unaccounted = prometheus.NewGauge(prometheus.GaugeOpts{Name: "crmsync_audit_unaccounted", Help: "Facts and entities that the last audit found to be unaccounted for."})
	m.registry.MustRegister(m.unaccounted)
	m.rejected = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "crmsync_configuration_rejected",
		Help: "1 while the configuration or the mapping on disk is not valid, and the one before stays in force.",
	})
	m.registry.MustRegister(m.rejected)
	m.mappingInfo = gauge("crmsync_mapping_info", "1, with the revision of the mapping in force.", "revision")
	m.renewBy = gauge("crmsync_watch_renew_by_timestamp_seconds", "Until when the account's webhooks have to be prolonged; crmsync does it by itself.", "account")
	m.fired = counter("crmsync_rules_fired_total", "Times that a rule of the mapping has fired.", "rule")
	m.ruleFaults = counter("crmsync_rule_problems_total", "Actions of a rule that could not be carried out.", "rule")
	m.noticed = counter("crmsync_rule_notices_total", "What rules told receivers, by outcome: told, failed (tried again) or given_up.", "receiver", "outcome")
	m.noticesOwed = gauge("crmsync_rule_notices_owed", "What rules have said and a receiver has not been told yet.", "receiver")
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// The observers' methods; see packages intake and deliver.

func (m *metrics) Fact(account string, kind connectors.Kind) {
	m.facts.WithLabelValues(account, string(kind)).Inc()
}

func (m *metrics) Answer(status int, d time.Duration) {
	m.answer.WithLabelValues(strconv.Itoa(status)).Observe(d.Seconds())
}

func (m *metrics) Delivery(account string, kind directory.EntityKind, outcome string) {
	m.deliveries.WithLabelValues(account, string(kind), outcome).Inc()
}

func (m *metrics) EndToEnd(account string, d time.Duration) {
	m.endToEnd.WithLabelValues(account).Observe(d.Seconds())
}

func (m *metrics) Batch(account string, records int) {
	m.batch.WithLabelValues(account).Observe(float64(records))
}
